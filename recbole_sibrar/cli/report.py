"""The command ``recbole-sibrar report``."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.add_argument("folder", metavar="RUN_FOLDER", type=Path, help="what run_recbole_group --output names")
    parser.add_argument("--output", metavar="FILE", type=Path, help="the page (default: report.html in RUN_FOLDER)")
    parser.add_argument("--figures", metavar="DIR", type=Path, help="folder of figures (default: beside the page)")
    parser.add_argument("--missing", action="store_true", help="evaluate the checkpoints while modalities are missing")
    parser.add_argument("--data_path", metavar="DIR", help="where the data are now, if they have moved since training")
    parser.add_argument("--gap", action="store_true", help="measure the modality gap of the checkpoints")


def run(args: argparse.Namespace) -> int:
    """Run the command.

    Returns:
        Exit status.
    """
    from recbole_sibrar.report import build as report

    page, figures, n_figures = report.run(
        args.folder, args.output, args.figures, args.missing, args.gap, args.data_path
    )
    print(f"written: {page}, {n_figures} figures as PDF and PNG in {figures}")  # noqa: T201
    return 0
