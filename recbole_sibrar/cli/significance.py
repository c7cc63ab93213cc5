"""The command ``recbole-sibrar significance``."""

from __future__ import annotations

import argparse
from pathlib import Path

from recbole_sibrar.errors import refuse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.add_argument(
        "runs",
        metavar="RUN",
        nargs="+",
        help="file of save_per_user, or several of different seeds, joined by +",
    )
    parser.add_argument("--metrics", metavar="A,B", help="metrics, such as ndcg@10 (default: all that every file has)")
    parser.add_argument("--reference", metavar="RUN", help="compare this run with all others (default: all pairs)")
    parser.add_argument("--output", metavar="FILE", help="CSV file for the table")


def run(args: argparse.Namespace) -> int:
    """Run the command.

    Returns:
        Exit status.

    Raises:
        ConfigError: An option or a file cannot be used.
    """
    if len(set(args.runs)) < 2:
        refuse("RUN", " ".join(args.runs), "at least two different ones")

    from recbole_sibrar.studies.significance import study as significance

    frame = significance.run(args.runs, args.metrics, args.reference)
    print(frame.to_string(index=False, float_format=lambda number: f"{number:.4g}"))  # noqa: T201
    if args.output:
        significance.write(frame, Path(args.output))
    return 0
