"""The command ``recbole-sibrar missing``: evaluate trained models with missing modalities."""

from __future__ import annotations

import argparse
from dataclasses import dataclass

from recbole_sibrar.cli import options as shared
from recbole_sibrar.cli.reporting import notes_of
from recbole_sibrar.config.choices import RATES
from recbole_sibrar.studies.missing.options import read_plan

__all__ = ["Options", "add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    shared.add_checkpoints(parser)
    shared.add_data_path(parser)
    shared.add_side(parser, "side with missing modalities")
    shared.add_modalities(parser, "modalities to remove")
    parser.add_argument(
        "--rates", default=RATES, help="shares of values to remove (default: %(default)s)"
    )
    shared.add_seeds(parser, "5", "number of random draws at each rate")
    parser.add_argument(
        "--metric", help="metric of the figure, such as recall@10 (default: the validation metric)"
    )
    shared.add_output_folder(parser, "missing")


@dataclass(frozen=True)
class Options:
    """Options of the command."""

    checkpoints: list[str]
    """Checkpoints of training runs."""
    data_path: str | None
    """Present folder of the data; None if they have not moved."""
    side: str
    """``user`` or ``item``."""
    modalities: str | None
    """Modalities separated by commas; None for all."""
    rates: str
    """Rates from 0 to 1, separated by commas."""
    seeds: str
    """Number of random draws at each rate."""
    metric: str | None
    """Metric of the figure; None for the validation metric."""
    output: str
    """Folder of the results."""


def run(args: argparse.Namespace) -> int:
    """Run the command.

    Returns:
        Exit status.

    Raises:
        ConfigError: An option or a checkpoint cannot be used.
        DataError: The data of a checkpoint cannot be used.
    """
    options = shared.from_arguments(Options, args)

    # Wrong options fail before anything slow is imported.
    plan = read_plan(options.side, options.modalities, options.rates, options.seeds)

    from recbole_sibrar.plotting.style import save_figure
    from recbole_sibrar.studies.missing import plots
    from recbole_sibrar.studies.missing import study as missing

    folder = shared.output_folder(options.output)
    metric = options.metric and options.metric.lower()
    note = notes_of("recbole-sibrar missing")
    frame, metric = missing.run(options.checkpoints, plan, metric, note, options.data_path)

    missing.write_table(frame, folder / "missing.csv")
    figure = plots.missing_curves(frame, metric)
    for suffix in ("png", "pdf"):
        save_figure(figure, folder / f"missing.{suffix}")

    print(missing.table(frame, metric))  # noqa: T201
    print(f"written: {folder / 'missing.csv'}, missing.png, missing.pdf")  # noqa: T201
    return 0
