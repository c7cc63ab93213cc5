"""The command ``recbole-sibrar encode``: embeddings of a file of users or items."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

from recbole_sibrar.cli import options as shared
from recbole_sibrar.cli.serving import shared as serving
from recbole_sibrar.errors import ConfigError
from recbole_sibrar.names import Side

__all__ = ["Options", "add_arguments", "run"]

_ABOUT = "table in the form of the atomic file (.item, .user, .tsv, .csv, .parquet, .jsonl)"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    serving.add_model_folder(parser)
    parser.add_argument("--items", metavar="FILE", help=f"items to encode: a {_ABOUT}")
    parser.add_argument("--users", metavar="FILE", help="users to encode, likewise")
    parser.add_argument(
        "--output",
        metavar="FILE",
        required=True,
        help="vectors to write (.parquet, .jsonl, or .npy with .ids.txt)",
    )


@dataclass(frozen=True)
class Options:
    """Options of the command."""

    model: str
    """Folder of the portable model."""
    items: str | None
    """Table of items."""
    users: str | None
    """Table of users."""
    output: str
    """File of the vectors."""


def run(args: argparse.Namespace) -> int:
    """Run the command.

    Returns:
        Exit status.

    Raises:
        ConfigError: An option cannot be used.
        DataError: A file cannot be read or written.
        PortableModelError: The model cannot be loaded.
    """
    options = shared.from_arguments(Options, args)
    if (options.items is None) == (options.users is None):
        raise ConfigError("--items, --users: give one of them, a table to encode")

    from recbole_sibrar.serving.batch.jobs import encode_file
    from recbole_sibrar.serving.recommender import Recommender

    side: Side = "user" if options.items is None else "item"
    path = options.users or options.items
    assert path is not None

    model = Recommender.load(options.model)
    n = encode_file(model, side, Path(path), Path(options.output))
    print(f"written: {options.output} ({n:,} vectors)")  # noqa: T201
    return 0
