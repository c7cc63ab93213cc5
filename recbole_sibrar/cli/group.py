"""The command ``run_recbole_group``: its options, and what it runs."""

from __future__ import annotations

import argparse
import functools
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tqdm import tqdm

from recbole_sibrar.cli.common import INTERRUPTED, output_folder, parse_overrides
from recbole_sibrar.config.choices import check_names, chosen, configuration_file, keys_of_files, model_names
from recbole_sibrar.errors import ConfigError, OptionParser, refuse
from recbole_sibrar.quick_start.group.variants import parse_seeds, parse_variants


def parser() -> argparse.ArgumentParser:
    """The options of the command."""
    parser = OptionParser(
        prog="run_recbole_group",
        description="Train and test several models on the same parts of a data set, and compare them.",
        epilog="\n".join(
            [
                "Any key of the configuration can be given as --key=value, for all models. A model has keys and a",
                'name of its own as in --model_list="BPR,SiBraR,text=SiBraR:item_modalities=[interactions,text]".',
                "A comparison that is started again repeats no run that has finished.",
            ]
        ),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--model_list", "-m", metavar="A,B", help="models (default: the configuration's model_list)")
    parser.add_argument("--dataset", "-d", help="name of the data set (default: the configuration's, else ml-100k)")
    parser.add_argument("--config_files", metavar='"FILE ..."', default="", help="as for run_recbole")
    parser.add_argument(
        "--splits",
        metavar="A,B",
        default="",
        help="configurations, such as cold_start_item,warm: a comparison with each of them, in a folder of its name",
    )
    parser.add_argument("--seeds", default="1", help="number of seeds, or seeds separated by commas (default: 1)")
    parser.add_argument("--jobs", type=int, help="runs at a time, each a process (default: 1; with --cluster, what it "
                        "has resources for)")  # fmt: skip
    parser.add_argument("--cluster", metavar="ADDRESS", help="run on a Ray cluster: its address, such as auto or "
                        "HOST:6379, or local to start one on this machine")  # fmt: skip
    parser.add_argument("--resources_per_run", metavar="cpu=N,gpu=N", help="with --cluster, what a run takes (default: "
                        "a CPU, and a GPU if there is one)")  # fmt: skip
    parser.add_argument("--output", metavar="DIR", default="comparison", help="folder of the results")
    return parser


def run(args: argparse.Namespace, rest: Sequence[str]) -> int:
    """Run the command.

    Args:
        args: Its own options.
        rest: Keys of the configuration, as ``--key=value``.

    Returns:
        Exit status: 0, 1 if a run has failed, or that of Ctrl-C.

    Raises:
        ConfigError: An option, or a configuration, cannot be used.
    """
    if args.jobs is not None and args.jobs < 1:
        refuse("--jobs", args.jobs, "a positive number of processes")
    if args.resources_per_run and not args.cluster:
        raise ConfigError("--resources_per_run: has no effect without --cluster; leave it out")
    sys.argv = sys.argv[:1]  # RecBole would read the same options once more, by its own rules
    plans = _plan(args, parse_overrides(rest))

    from recbole_sibrar.quick_start.group import results as comparison

    output_folder(args.output)
    runs = [run for _, planned in plans.values() for run in planned]
    try:
        failed = _execute(args, runs)
    except KeyboardInterrupt:
        done = f"{sum(run.finished for run in runs)} of {len(runs)} runs are finished"
        _note(f"interrupted; {done}, the same command goes on with the others")
        return INTERRUPTED
    for output, (title, planned) in plans.items():
        print(comparison.write(planned, output, title).terminal)  # noqa: T201
        print(f"written: {output}")  # noqa: T201
    return 1 if failed else 0


def _execute(args: argparse.Namespace, runs: Sequence[Any]) -> Sequence[Any]:
    from recbole_sibrar.quick_start.group import runs as group

    if not args.cluster:
        return group.execute(runs, args.jobs or 1, _note)
    from recbole_sibrar.quick_start.group import cluster as group_cluster

    return group_cluster.execute(runs, args.jobs, args.cluster, args.resources_per_run, _note)


def _plan(args: argparse.Namespace, overrides: dict[str, str]) -> dict[Path, tuple[str, list[Any]]]:
    """For each folder of results a title, and the runs."""
    plans: dict[Path, tuple[str, list[Any]]] = {}
    for split in args.splits.split(",") if args.splits else [""]:
        names = [*args.config_files.split(), *([split] if split else [])]
        files = [configuration_file(name) for name in names]
        keys = keys_of_files(files)
        variants = parse_variants(args.model_list or keys.get("model_list") or "", model_names())
        dataset = chosen("dataset", args, overrides, keys)
        output = Path(args.output, Path(split).stem)
        if output in plans:
            refuse("--splits", args.splits, "names that differ, each of which is a folder of the results")
        title = " ".join([dataset, *names, *(f"{key}={value}" for key, value in overrides.items())])
        for variant in variants:
            check_names({**keys, **overrides, **variant.keys}, variant.model, vars(args))

        from recbole_sibrar.quick_start.group import runs as group

        seeds = functools.partial(parse_seeds, args.seeds)
        plans[output] = title, group.plan(variants, dataset, files, overrides, seeds, output, _note)
    return plans


def _note(line: str) -> None:
    tqdm.write(f"run_recbole_group: {line}", file=sys.stderr)
