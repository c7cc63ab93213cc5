"""The command ``recbole-sibrar gap``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from recbole_sibrar.errors import ConfigError
from recbole_sibrar.files import check_writable


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.add_argument(
        "checkpoints", metavar="[NAME=]CHECKPOINT", nargs="*", help="file that a training run saved, and its name"
    )
    parser.add_argument(
        "--series", metavar="[NAME=]FILE", nargs="+", default=[], help="plot files that training with gap_every wrote"
    )
    parser.add_argument("--data_path", metavar="DIR", help="where the data are now, if they have moved since training")
    parser.add_argument("--side", default="item", help="whose modalities: item (default) or user")
    parser.add_argument("--items", default="all", help="all (default), train (with training interactions) or new")
    parser.add_argument("--modalities", metavar="A,B", help="modalities to compare (default: all)")
    parser.add_argument("--projection", default="pca", help="pca (default), tsne, or umap if it is installed")
    parser.add_argument("--seed", default="0", help="of what is drawn at random (default: %(default)s)")
    parser.add_argument("--max_items", default="4000", help="of more items, some are drawn (default: %(default)s)")
    parser.add_argument("--output", metavar="DIR", default="gap", help="folder of the results (default: gap)")


def run(args: argparse.Namespace) -> int:
    """Run the command.

    Returns:
        Exit status.

    Raises:
        ConfigError: An option, a checkpoint or a file of ``--series`` cannot be used.
        DataError: The folder of the results cannot be written to.
    """
    if not args.checkpoints and not args.series:
        raise ConfigError("CHECKPOINT: found none, allowed is one or more, or --series FILE")

    from recbole_sibrar.studies.gap import study as gap

    options = gap.read_options(args.side, args.items, args.modalities, args.seed, args.max_items)
    gap.check_projection(args.projection)
    if args.data_path and not args.checkpoints:
        raise ConfigError("--data_path: has no effect without a CHECKPOINT; leave it out")
    folder = Path(args.output)
    check_writable(folder / "gap.csv", "--output")
    series = gap.read_series(args.series)
    found = gap.run(args.checkpoints, options, _note, args.data_path) if args.checkpoints else []
    text, files = gap.write(found, series, options, args.projection, folder)
    print(text or f"measured during training: {', '.join(series)}")  # noqa: T201
    print(f"written in {folder}: {', '.join(files)}")  # noqa: T201
    return 0


def _note(line: str) -> None:
    print(f"recbole-sibrar gap: {line}", file=sys.stderr)  # noqa: T201
