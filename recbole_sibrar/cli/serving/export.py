"""The command ``recbole-sibrar export``: write a trained model as a portable one."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

from recbole_sibrar.cli import options as shared
from recbole_sibrar.cli.serving import shared as serving
from recbole_sibrar.errors import refuse

__all__ = ["Options", "add_arguments", "run"]

_DTYPES = ("float32", "float16")
_INDEXES = ("hnsw", "ivf")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.add_argument("checkpoint", metavar="CHECKPOINT", help="checkpoint of a training run")
    parser.add_argument("--output", metavar="NAME.sibrar", required=True, help="folder to write")
    parser.add_argument(
        "--display",
        metavar="A,B",
        default="",
        help="fields of the data to keep for display and filters (default: none)",
    )
    parser.add_argument(
        "--modalities",
        action="store_true",
        help="keep the embeddings of single modalities, for explanations",
    )

    parser.add_argument(
        "--dtype", default="float32", help="type of the embeddings: float32 (default) or float16"
    )
    parser.add_argument(
        "--index",
        help="approximate search, for more than 200,000 items: hnsw or ivf (default: none, exact "
        "search)",
    )

    parser.add_argument(
        "--overwrite", action="store_true", help="replace an earlier portable model"
    )
    shared.add_data_path(parser)


@dataclass(frozen=True)
class Options:
    """Options of the command."""

    checkpoint: str
    """Checkpoint of a training run."""
    output: str
    """Folder to write."""
    display: str
    """Display columns, separated by commas."""
    modalities: bool
    """Keep the embeddings of single modalities."""
    dtype: str
    """Type of the embeddings."""
    index: str | None
    """Kind of the index; None for exact search."""
    overwrite: bool
    """Replace an earlier portable model."""
    data_path: str | None
    """Present folder of the data; None if they have not moved."""


def run(args: argparse.Namespace) -> int:
    """Run the command.

    Returns:
        Exit status.

    Raises:
        ConfigError: An option or the checkpoint cannot be used.
        PortableModelError: The folder cannot be written.
    """
    options = shared.from_arguments(Options, args)
    if options.dtype not in _DTYPES:
        refuse("--dtype", options.dtype, " or ".join(_DTYPES))
    if options.index is not None and options.index not in _INDEXES:
        refuse("--index", options.index, " or ".join(_INDEXES))
    display = tuple(serving.names_of(options.display) or ())

    from recbole_sibrar.quick_start.export.checkpoint import ExportOptions, describe, export

    chosen = ExportOptions(
        display, options.dtype, options.modalities, options.index, options.overwrite
    )
    content = export(options.checkpoint, Path(options.output), chosen, options.data_path)
    print(f"written: {options.output} ({describe(content)})")  # noqa: T201
    return 0
