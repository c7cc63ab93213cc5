"""The command ``recbole-sibrar significance``: paired tests between models."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

from recbole_sibrar.cli import options as shared
from recbole_sibrar.errors import refuse

__all__ = ["Options", "add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.add_argument(
        "runs",
        metavar="RUN",
        nargs="+",
        help="file of save_per_user, or several of different seeds, joined by +",
    )
    parser.add_argument(
        "--metrics",
        metavar="A,B",
        help="metrics, such as ndcg@10 (default: all common to the files)",
    )
    parser.add_argument(
        "--reference", metavar="RUN", help="compare this run with all others (default: all pairs)"
    )

    parser.add_argument("--output", metavar="FILE", help="CSV file for the table")


@dataclass(frozen=True)
class Options:
    """Options of the command."""

    runs: list[str]
    """Files of ``save_per_user``; those of several seeds are joined by ``+``."""
    metrics: str | None
    """Metrics separated by commas; None for all common to the files."""
    reference: str | None
    """Run to compare with all others; None for all pairs."""
    output: str | None
    """CSV file for the table."""


def run(args: argparse.Namespace) -> int:
    """Run the command.

    Returns:
        Exit status.

    Raises:
        ConfigError: An option or a file cannot be used.
    """
    options = shared.from_arguments(Options, args)
    # A run compared with itself has no difference to test.
    if len(set(options.runs)) < 2:
        refuse("RUN", " ".join(options.runs), "at least two different ones")

    from recbole_sibrar.studies.significance import study as significance

    frame = significance.run(options.runs, options.metrics, options.reference)
    print(frame.to_string(index=False, float_format=lambda number: f"{number:.4g}"))  # noqa: T201
    if options.output:
        significance.write(frame, Path(options.output))
    return 0
