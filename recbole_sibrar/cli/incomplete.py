"""The command ``recbole-sibrar incomplete``: train models on data with hidden values."""

from __future__ import annotations

import argparse
import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

from recbole_sibrar.cli import options as shared
from recbole_sibrar.cli.reporting import INTERRUPTED, notes_of
from recbole_sibrar.config.choices import TRAINING_RATES, check_names, chosen, model_names
from recbole_sibrar.errors import listed, refuse
from recbole_sibrar.names import IMPUTATIONS
from recbole_sibrar.quick_start.group.variants import Variant, parse_seeds, parse_variants
from recbole_sibrar.studies.incomplete.settings import Setting, read_plan

if TYPE_CHECKING:
    import pandas as pd

    from recbole_sibrar.quick_start.group.runs import Run

__all__ = ["Options", "add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.add_argument(
        "--model_list", "-m", metavar="A,B", default="SiBraR", help="models (default: %(default)s)"
    )
    shared.add_dataset(parser)
    shared.add_config_files(parser)

    parser.add_argument(
        "--rates",
        default=TRAINING_RATES,
        help="shares of values to hide before training (default: %(default)s)",
    )
    parser.add_argument(
        "--imputations",
        metavar="A,B",
        default=",".join(IMPUTATIONS),
        help="ways to fill in missing values: values of the key impute (default: %(default)s)",
    )
    parser.add_argument("--fields", metavar="A,B", help="fields with hidden values (default: all)")

    shared.add_seeds(parser, "1", "number of seeds, or seeds separated by commas")
    parser.add_argument(
        "--jobs",
        type=int,
        default=1,
        help="runs at a time, each in a process (default: %(default)s)",
    )
    parser.add_argument(
        "--metric",
        help="metric of table and figure, such as recall@10 (default: the validation metric)",
    )
    shared.add_output_folder(parser, "incomplete")


@dataclass(frozen=True)
class Options:
    """Options of the command."""

    model_list: str
    """Models, with keys of their own."""
    dataset: str | None
    """Name of the data set; None for that of the configuration."""
    config_files: str
    """Configuration files, separated by spaces."""
    rates: str
    """Shares of hidden values, separated by commas."""
    imputations: str
    """Ways to fill in missing values, separated by commas."""
    fields: str | None
    """Fields with hidden values, separated by commas; None for all."""
    seeds: str
    """Number of seeds, or seeds separated by commas."""
    jobs: int
    """Runs at a time."""
    metric: str | None
    """Metric of table and figure; None for the validation metric."""
    output: str
    """Folder of the results."""


def run(args: argparse.Namespace) -> int:
    """Run the command.

    Returns:
        Exit status: 0, 1 if a run has failed, or 130 after Ctrl-C.

    Raises:
        ConfigError: An option, or a configuration, cannot be used.
    """
    options = shared.from_arguments(Options, args)
    if options.jobs < 1:
        refuse("--jobs", options.jobs, "a positive number of processes")
    # Wrong options fail before anything slow is imported.
    given, settings, variants = _read(args, options)
    shared.hide_arguments_from_recbole()
    note = notes_of("recbole-sibrar incomplete")

    from recbole_sibrar.quick_start.group import execution, planning

    output = Path(options.output)
    runs = planning.plan(
        variants,
        chosen("dataset", args, given.overrides, given.of_files),
        given.files,
        dict(given.overrides),
        functools.partial(parse_seeds, options.seeds),
        output,
        note,
    )

    # Before anything is trained: a wrong metric would end the command after all of it.
    metric = _metric(options.metric, runs[0].configuration)
    shared.output_folder(options.output)
    try:
        failed = execution.execute(runs, options.jobs, note)
    except KeyboardInterrupt:
        finished = sum(run.finished for run in runs)
        note(
            f"interrupted; {finished} of {len(runs)} runs are finished, the same command "
            "continues with the others"
        )
        return INTERRUPTED

    finished_runs = [run for run in runs if run.finished]
    if finished_runs:
        _write(_frame(finished_runs, settings), metric, output)
    return 1 if failed else 0


def _read(
    args: argparse.Namespace, options: Options
) -> tuple[shared.GivenKeys, dict[str, tuple[str, Setting]], list[Variant]]:
    """Read the options: all models and settings.

    Returns:
        The keys of files and command line; the name of each variant -> its model in the table, and
        its setting; and the variants.
    """
    overrides = shared.parse_overrides(args.keys)
    given = shared.GivenKeys.read(options.config_files.split(), overrides)
    models = parse_variants(options.model_list, model_names())
    plan = read_plan(options.rates, options.imputations, options.fields)

    settings: dict[str, tuple[str, Setting]] = {}
    variants: list[Variant] = []
    for model in models:
        # The study sets some of the keys itself.
        plan.check_keys([*overrides, *model.keys])
        check_names({**given.values, **model.keys}, model.model, shared.option_names(args))
        for setting in plan.settings:
            name = f"{model.name} {setting.label}"
            settings[name] = (model.name, setting)
            variants.append(Variant(name, model.model, {**model.keys, **setting.keys}))
    return given, settings, variants


def _frame(runs: Sequence[Run], settings: dict[str, tuple[str, Setting]]) -> pd.DataFrame:
    """Make a table with a row for each finished run."""
    import pandas as pd

    rows = []
    for run in runs:
        model, setting = settings[run.variant.name]
        result = run.result()
        rows.append(
            {
                "model": model,
                "impute": setting.way,
                "rate": setting.rate,
                "seed": run.seed,
                "minutes": round(result["seconds"] / 60, 2),
                "valid_score": result["best_valid_score"],
                **result["test_result"],
            }
        )
    return pd.DataFrame(rows)


def _metric(given: str | None, configuration: Mapping[str, Any]) -> str:
    """Choose the metric of table and figure."""
    valid_metric = str(configuration["valid_metric"]).lower()
    metric = valid_metric if given is None else given.lower()
    pairs = product(configuration["metrics"], configuration["topk"])
    known = [f"{name}@{k}".lower() for name, k in pairs]
    if metric not in (*known, valid_metric):
        refuse("--metric", metric, f"any of {listed(known, metric)}")
    return metric


def _write(frame: pd.DataFrame, metric: str, output: Path) -> None:
    """Write and print the results."""
    from recbole_sibrar.files import replacing
    from recbole_sibrar.plotting.style import save_figure
    from recbole_sibrar.studies.files import write_table
    from recbole_sibrar.studies.incomplete import plots, tables

    write_table(frame, output / "incomplete.csv")
    text = tables.markdown(frame, metric)
    with replacing(output / "incomplete.md") as temporary:
        temporary.write_text(text, encoding="utf-8")

    figure = plots.incomplete_curves(frame, metric)
    for suffix in ("png", "pdf"):
        save_figure(figure, output / f"incomplete.{suffix}")

    print(text)  # noqa: T201
    print(f"written: {output / 'incomplete.csv'}, incomplete.md, incomplete.png, incomplete.pdf")  # noqa: T201
