"""The program ``run_recbole_group``: train, test and compare several models."""

from __future__ import annotations

import argparse
import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from recbole_sibrar.cli import options as shared
from recbole_sibrar.cli.reporting import INTERRUPTED, notes_of
from recbole_sibrar.config.choices import check_names, chosen, model_names
from recbole_sibrar.errors import ConfigError, refuse
from recbole_sibrar.quick_start.group.variants import Variant, parse_seeds, parse_variants

if TYPE_CHECKING:
    from recbole_sibrar.quick_start.group.runs import Run

__all__ = ["Comparison", "Options", "add_arguments", "run"]

_EPILOG = """\
Any key of the configuration can be given as --key=value, for all models. A model has keys and a
name of its own as in --model_list="BPR,SiBraR,text=SiBraR:item_modalities=[interactions,text]".
A comparison that is started again repeats no finished run."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the program."""
    parser.add_argument(
        "--model_list",
        "-m",
        metavar="A,B",
        help="models (default: model_list of the configuration)",
    )
    shared.add_dataset(parser)
    shared.add_config_files(parser)
    parser.add_argument(
        "--splits",
        metavar="A,B",
        default="",
        help="configurations, such as cold_start_item,warm: one comparison with each, in a folder "
        "of its name",
    )
    shared.add_seeds(parser, "1", "number of seeds, or seeds separated by commas")
    parser.add_argument(
        "--jobs",
        type=int,
        help="runs at a time, each in a process (default: 1; with --cluster, limited by its "
        "resources)",
    )
    parser.add_argument(
        "--cluster",
        metavar="ADDRESS",
        help="run on a Ray cluster: its address, such as auto or HOST:6379, or local to start one "
        "on this machine",
    )
    shared.add_resources(parser, "--resources_per_run", "with --cluster, resources of a run")
    shared.add_output_folder(parser, "comparison")

    parser.epilog = _EPILOG
    parser.formatter_class = argparse.RawDescriptionHelpFormatter


@dataclass(frozen=True)
class Comparison:
    """A comparison of models on one split."""

    output: Path
    """Folder of the results."""
    title: str
    """Data set, configuration files and keys."""
    dataset: str
    """Name of the data set."""
    files: list[str]
    """Paths of yaml files."""
    variants: list[Variant]
    """Models, with keys of their own."""


@dataclass(frozen=True)
class Options:
    """Options of the program."""

    comparisons: list[Comparison]
    """One comparison for each split."""
    overrides: dict[str, str]
    """Keys of the command line, for all models."""
    seeds: str
    """Number of seeds, or seeds separated by commas."""
    jobs: int | None
    """Runs at a time; None for the default."""
    cluster: str | None
    """Address of a Ray cluster; None for this machine without Ray."""
    resources: str | None
    """Resources of a run on a cluster."""
    output: str
    """Folder of the results."""

    @classmethod
    def from_arguments(cls, args: argparse.Namespace) -> Options:
        """Read and check the parsed arguments, without importing RecBole.

        Raises:
            ConfigError: An option, a configuration file or a key cannot be used.
        """
        if args.jobs is not None and args.jobs < 1:
            refuse("--jobs", args.jobs, "a positive number of processes")
        if args.resources_per_run and not args.cluster:
            raise ConfigError("--resources_per_run: has no effect without --cluster; leave it out")

        overrides = shared.parse_overrides(args.keys)
        comparisons: dict[Path, Comparison] = {}
        for split in args.splits.split(",") if args.splits else [""]:
            comparison = _read_comparison(args, split, overrides)

            # Two files of one name in different folders would share a folder of results.
            if comparison.output in comparisons:
                allowed = "different names: each is the name of a folder of results"
                refuse("--splits", args.splits, allowed)
            comparisons[comparison.output] = comparison

        return cls(
            comparisons=list(comparisons.values()),
            overrides=overrides,
            seeds=args.seeds,
            jobs=args.jobs,
            cluster=args.cluster,
            resources=args.resources_per_run,
            output=args.output,
        )


def _read_comparison(
    args: argparse.Namespace, split: str, overrides: Mapping[str, str]
) -> Comparison:
    """Read the models and the configuration of a split; an empty name for the only one."""
    names = args.config_files.split()
    if split:
        names.append(split)
    given = shared.GivenKeys.read(names, overrides)

    # The command line overrides model_list of the configuration.
    model_list = args.model_list or given.of_files.get("model_list") or ""
    variants = parse_variants(model_list, model_names())
    for variant in variants:
        check_names({**given.values, **variant.keys}, variant.model, shared.option_names(args))

    dataset = chosen("dataset", args, overrides, given.of_files)
    keys = [f"{key}={value}" for key, value in overrides.items()]
    title = " ".join([dataset, *names, *keys])
    return Comparison(Path(args.output, Path(split).stem), title, dataset, given.files, variants)


def run(args: argparse.Namespace) -> int:
    """Run the program.

    Returns:
        Exit status: 0, 1 if a run has failed, or 130 after Ctrl-C.

    Raises:
        ConfigError: An option, or a configuration, cannot be used.
    """
    options = Options.from_arguments(args)
    shared.hide_arguments_from_recbole()
    note = notes_of("run_recbole_group")

    from recbole_sibrar.quick_start.group import results

    planned = [_plan(comparison, options, note) for comparison in options.comparisons]

    # Only now, after all checks, is anything written. The runs of all comparisons share the jobs.
    runs = list(chain.from_iterable(planned))
    shared.output_folder(options.output)
    try:
        failed = _execute(options, runs, note)
    except KeyboardInterrupt:
        finished = sum(run.finished for run in runs)
        note(
            f"interrupted; {finished} of {len(runs)} runs are finished, the same command "
            "continues with the others"
        )
        return INTERRUPTED

    # The tables of all finished runs, even after a failure of others.
    for comparison, its_runs in zip(options.comparisons, planned, strict=True):
        print(results.write(its_runs, comparison.output, comparison.title).terminal)  # noqa: T201
        print(f"written: {comparison.output}")  # noqa: T201
    return 1 if failed else 0


def _plan(comparison: Comparison, options: Options, note: Callable[[str], None]) -> list[Run]:
    from recbole_sibrar.quick_start.group import planning

    return planning.plan(
        comparison.variants,
        comparison.dataset,
        comparison.files,
        dict(options.overrides),
        functools.partial(parse_seeds, options.seeds),
        comparison.output,
        note,
    )


def _execute(options: Options, runs: Sequence[Run], note: Callable[[str], None]) -> list[Run]:
    from recbole_sibrar.quick_start.group import execution

    if not options.cluster:
        return execution.execute(runs, options.jobs or 1, note)

    shared.check_installed("--cluster", "ray", "cluster")
    # Imports Ray, which takes seconds.
    from recbole_sibrar.quick_start.group import cluster

    return cluster.execute(runs, options.jobs, options.cluster, options.resources, note)
