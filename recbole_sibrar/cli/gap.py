"""The command ``recbole-sibrar gap``: measure the modality gap of trained models."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

from recbole_sibrar.cli import options as shared
from recbole_sibrar.cli.reporting import notes_of
from recbole_sibrar.errors import ConfigError
from recbole_sibrar.files import check_writable
from recbole_sibrar.studies.gap.options import check_projection, read_options

__all__ = ["Options", "add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.add_argument(
        "checkpoints",
        metavar="[NAME=]CHECKPOINT",
        nargs="*",
        help="checkpoint of a training run, and its name",
    )
    parser.add_argument(
        "--series",
        metavar="[NAME=]FILE",
        nargs="+",
        default=[],
        help="plot files written during training with gap_every",
    )

    shared.add_data_path(parser)
    shared.add_side(parser, "side of the modalities")
    parser.add_argument(
        "--items", default="all", help="all (default), train (with training interactions) or new"
    )
    shared.add_modalities(parser, "modalities to compare")

    parser.add_argument(
        "--projection", default="pca", help="pca (default), tsne, or umap if it is installed"
    )
    parser.add_argument("--seed", default="0", help="random seed (default: %(default)s)")
    parser.add_argument(
        "--max_items",
        default="4000",
        help="largest number of items; of more, a random sample is measured (default: %(default)s)",
    )
    shared.add_output_folder(parser, "gap")


@dataclass(frozen=True)
class Options:
    """Options of the command."""

    checkpoints: list[str]
    """Checkpoints of training runs, as ``CHECKPOINT`` or ``NAME=CHECKPOINT``."""
    series: list[str]
    """Files written during training, as ``FILE`` or ``NAME=FILE``."""
    data_path: str | None
    """Present folder of the data; None if they have not moved."""
    side: str
    """``user`` or ``item``."""
    items: str
    """``all``, ``train`` or ``new``."""
    modalities: str | None
    """Modalities separated by commas; None for all."""
    projection: str
    """``pca``, ``tsne`` or ``umap``."""
    seed: str
    """Random seed."""
    max_items: str
    """Largest number of items."""
    output: str
    """Folder of the results."""

    def check(self) -> None:
        """Check the options against each other.

        Raises:
            ConfigError: There is nothing to measure, or an option has no effect.
        """
        if not self.checkpoints and not self.series:
            raise ConfigError("CHECKPOINT: found none, allowed is one or more, or --series FILE")
        if self.data_path and not self.checkpoints:
            raise ConfigError("--data_path: has no effect without a CHECKPOINT; leave it out")


def run(args: argparse.Namespace) -> int:
    """Run the command.

    Returns:
        Exit status.

    Raises:
        ConfigError: An option, a checkpoint or a file of ``--series`` cannot be used.
        DataError: The folder of the results is not writable.
    """
    options = shared.from_arguments(Options, args)
    options.check()

    measured = read_options(
        options.side, options.items, options.modalities, options.seed, options.max_items
    )
    check_projection(options.projection)
    folder = Path(options.output)
    check_writable(folder / "gap.csv", "--output")

    from recbole_sibrar.studies.gap import study as gap

    # Everything that can be refused is, before models are loaded.
    series = gap.read_series(options.series)
    found = []
    if options.checkpoints:
        found = gap.run(
            options.checkpoints, measured, notes_of("recbole-sibrar gap"), options.data_path
        )

    text, files = gap.write(found, series, measured, options.projection, folder)
    print(text or f"measured during training: {', '.join(series)}")  # noqa: T201
    print(f"written in {folder}: {', '.join(files)}")  # noqa: T201
    return 0
