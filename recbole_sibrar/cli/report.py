"""The command ``recbole-sibrar report``: an HTML page and figures of a comparison."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

from recbole_sibrar.cli import options as shared

__all__ = ["Options", "add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.add_argument(
        "folder", metavar="RUN_FOLDER", type=Path, help="--output folder of run_recbole_group"
    )
    parser.add_argument(
        "--output", metavar="FILE", type=Path, help="HTML page (default: report.html in RUN_FOLDER)"
    )
    parser.add_argument(
        "--figures", metavar="DIR", type=Path, help="write the figures as PDF and PNG there"
    )

    # Both load the models again: only on request.
    parser.add_argument(
        "--missing", action="store_true", help="evaluate the checkpoints with missing modalities"
    )
    shared.add_data_path(parser)
    parser.add_argument(
        "--gap", action="store_true", help="measure the modality gap of the checkpoints"
    )


@dataclass(frozen=True)
class Options:
    """Options of the command."""

    folder: Path
    """Folder of a comparison."""
    output: Path | None
    """HTML page; None for ``report.html`` in the folder."""
    figures: Path | None
    """Folder of the figures as PDF and PNG; None for no such files."""
    missing: bool
    """Evaluate the checkpoints with missing modalities."""
    data_path: str | None
    """Present folder of the data; None if they have not moved."""
    gap: bool
    """Measure the modality gap of the checkpoints."""


def run(args: argparse.Namespace) -> int:
    """Run the command.

    Returns:
        Exit status.
    """
    options = shared.from_arguments(Options, args)

    from recbole_sibrar.report import build as report

    page, n_figures = report.run(
        options.folder,
        options.output,
        options.figures,
        options.missing,
        options.gap,
        options.data_path,
    )
    figures = ""
    if options.figures is not None:
        figures = f", {n_figures} new figures as PDF and PNG in {options.figures}"
    print(f"written: {page}{figures}")  # noqa: T201
    return 0
