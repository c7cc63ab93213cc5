"""The command ``recbole-sibrar missing``."""

from __future__ import annotations

import argparse
import sys

from recbole_sibrar.cli.common import output_folder
from recbole_sibrar.config.choices import RATES


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.add_argument("checkpoints", metavar="CHECKPOINT", nargs="+", help="file that a training run saved")
    parser.add_argument("--data_path", metavar="DIR", help="where the data are now, if they have moved since training")
    parser.add_argument("--side", default="item", help="whose modalities are missing: item (default) or user")
    parser.add_argument("--modalities", metavar="A,B", help="modalities that can be missing (default: all)")
    parser.add_argument("--rates", default=RATES, help="shares of values to lose (default: %(default)s)")
    parser.add_argument("--seeds", default="5", help="number of random draws at each rate (default: %(default)s)")
    parser.add_argument("--metric", help="metric of the figure, such as recall@10 (default: that of the validation)")
    parser.add_argument("--output", metavar="DIR", default="missing", help="folder of the results (default: missing)")


def run(args: argparse.Namespace) -> int:
    """Run the command.

    Returns:
        Exit status.

    Raises:
        ConfigError: An option or a checkpoint cannot be used.
        DataError: The data of a checkpoint cannot be used.
    """
    from recbole_sibrar.plotting.style import save_figure
    from recbole_sibrar.studies.missing import plots
    from recbole_sibrar.studies.missing import study as missing

    plan = missing.read_plan(args.side, args.modalities, args.rates, args.seeds)
    folder = output_folder(args.output)
    frame, metric = missing.run(args.checkpoints, plan, args.metric and args.metric.lower(), _note, args.data_path)

    missing.write_table(frame, folder / "missing.csv")
    figure = plots.missing_curves(frame, metric)
    for suffix in ("png", "pdf"):
        save_figure(figure, folder / f"missing.{suffix}")

    print(missing.table(frame, metric))  # noqa: T201
    print(f"written: {folder / 'missing.csv'}, missing.png, missing.pdf")  # noqa: T201
    return 0


def _note(line: str) -> None:
    print(f"recbole-sibrar missing: {line}", file=sys.stderr)  # noqa: T201
