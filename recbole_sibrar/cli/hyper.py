"""The command ``run_hyper``: its options, and what it runs."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tqdm import tqdm

from recbole_sibrar.cli.common import INTERRUPTED, parse_overrides
from recbole_sibrar.config.choices import check_model, check_names, chosen, configuration_file, keys_of_files
from recbole_sibrar.errors import ConfigError, OptionParser, nearest, refuse
from recbole_sibrar.files import check_writable
from recbole_sibrar.quick_start.run.child_process import interruptible

TOOLS = ("hyperopt", "ray")
"""What can search."""

ALGORITHMS = ("exhaustive", "random", "bayes")
"""Ways to search."""

_ONLY_RAY = ("num_samples", "resources_per_trial", "scheduler", "grace_period", "cluster")


def parser() -> argparse.ArgumentParser:
    """The options of the command."""
    parser = OptionParser(
        prog="run_hyper",
        description="Search the values of keys with which a model does best on the validation part of a data set.",
        epilog="Any key of the configuration can be given as --key=value, for all trials. The best trial alone is "
        "evaluated on the test part, once, when the search has ended.",
        allow_abbrev=False,
    )
    parser.add_argument("--model", "-m", help="name of the model (default: the configuration's, else BPR)")
    parser.add_argument("--dataset", "-d", help="name of the data set (default: the configuration's, else ml-100k)")
    parser.add_argument("--config_files", metavar='"FILE ..."', default="", help="as for run_recbole")
    parser.add_argument("--params_file", metavar="FILE", help="what is searched: a file, or the name of a model whose "
                        "file comes with this package (default: that of the model)")  # fmt: skip
    parser.add_argument("--output_file", metavar="FILE", default="hyper.result", help="results for people; a folder of "
                        "the same name without suffix has the others (default: %(default)s)")  # fmt: skip
    parser.add_argument("--display_file", metavar="FILE", help="HTML page with a figure of all trials")
    parser.add_argument("--tool", default="Hyperopt", help="Hyperopt (default), one trial at a time, or Ray")
    parser.add_argument("--algo", help="exhaustive, random or bayes (default: exhaustive if all parameters are "
                        "choices, else bayes)")  # fmt: skip
    parser.add_argument("--max_evals", type=int, help="trials of Hyperopt, unless exhaustive (default: 100)")
    parser.add_argument("--num_samples", type=int, help="trials of Ray, unless exhaustive (default: 100)")
    parser.add_argument("--early_stop", type=int, default=10, help="end after so many trials that were no better "
                        "(default: %(default)s; 0: never)")  # fmt: skip
    parser.add_argument("--metric", help="validation metric to compare by (default: the key valid_metric)")
    parser.add_argument("--scheduler", help="Ray: asha (default) stops trials that are behind, fifo stops none")
    parser.add_argument("--grace_period", type=int, help="Ray: validations before asha stops a trial (default: 5)")
    parser.add_argument("--resources_per_trial", metavar="cpu=N,gpu=N", help="Ray: what a trial takes (default: a CPU, "
                        "and a GPU if there is one)")  # fmt: skip
    parser.add_argument("--cluster", metavar="ADDRESS", help="Ray: address of a running cluster, or local (default)")
    parser.add_argument("--resume", action="store_true", help="go on with the search of --output_file")
    return parser


def run(args: argparse.Namespace, rest: Sequence[str]) -> int:
    """Run the command.

    Args:
        args: Its own options.
        rest: Keys of the configuration, as ``--key=value``.

    Returns:
        Exit status: 0, 1 if all trials or the test of the best one have failed, or that of Ctrl-C.

    Raises:
        ConfigError: An option, a configuration or a file cannot be used.
    """
    args.tool = _choice("--tool", args.tool.lower(), TOOLS)
    _check_numbers(args)
    overrides = parse_overrides(rest)
    _check_names(args, overrides)

    from recbole_sibrar.quick_start.hyper import plan as hyper_plan
    from recbole_sibrar.quick_start.hyper import search as hyper_search
    from recbole_sibrar.quick_start.hyper.runner import Runner

    hyper_search.check_hyperopt()
    sys.argv = sys.argv[:1]  # RecBole would read the same options once more, by its own rules
    plan = hyper_plan.make(args, overrides, _note)
    _check_effects(args, plan.algo)
    if args.display_file:
        check_writable(Path(args.display_file), "--display_file")
    record = plan.record(Path(args.output_file))
    with record.opened(args.resume), interruptible(), tqdm(desc="trials", unit="trial", total=plan.n_trials) as bar:
        bar.update(len(record.ended))
        runner = Runner(plan, record, _note, bar.update)
        try:
            _search(args, runner)
            bar.close()
            return runner.conclude(args.display_file)
        except KeyboardInterrupt:
            runner.children.stop()
            done = f"{len(record.ended)} trials have ended"
            _note(f"interrupted; {done}, the same command with --resume goes on")
            return INTERRUPTED


def _check_names(args: argparse.Namespace, overrides: dict[str, str]) -> None:
    """Check the model and the names of the keys, which needs nothing that takes long to import."""
    keys = keys_of_files([configuration_file(name) for name in args.config_files.split()])
    model = chosen("model", args, overrides, keys)
    check_model(model)
    check_names({**keys, **overrides}, model, vars(args))


def _search(args: argparse.Namespace, runner: Any) -> None:
    from recbole_sibrar.quick_start.hyper import search as hyper_search

    plan, record = runner.plan, runner.record
    options = (record, plan.space, plan.algo, plan.seed, plan.n_trials, args.early_stop)
    if args.tool == "hyperopt":
        hyper_search.Search(*options, runner.run).run()
        return
    from recbole_sibrar.quick_start.hyper import ray_search  # loads Ray Tune, which no other search waits for

    scheduling = (args.scheduler or "asha", args.grace_period or 5)
    ray_search.search(runner, args.early_stop, args.cluster or "local", args.resources_per_trial, *scheduling)


def _choice(option: str, value: str, allowed: Sequence[str]) -> str:
    if value not in allowed:
        refuse(option, value, f"one of {', '.join(allowed)}{nearest(value, allowed)}")
    return value


def _check_numbers(args: argparse.Namespace) -> None:
    for name, least in (("max_evals", 1), ("num_samples", 1), ("grace_period", 1), ("early_stop", 0)):
        value = getattr(args, name)
        if value is not None and value < least:
            refuse(f"--{name}", value, f"a number of at least {least}")
    args.scheduler = args.scheduler and _choice("--scheduler", args.scheduler.lower(), ("asha", "fifo"))
    args.algo = args.algo and _choice("--algo", args.algo.lower(), ALGORITHMS)


def _check_effects(args: argparse.Namespace, algo: str) -> None:
    """Refuse options that do nothing."""
    useless = dict.fromkeys(_ONLY_RAY, "--tool=Hyperopt") if args.tool == "hyperopt" else {}
    if args.tool == "ray":
        useless["max_evals"] = "--tool=Ray; its number of trials is --num_samples"
    if algo == "exhaustive":
        number = "max_evals" if args.tool == "hyperopt" else "num_samples"
        useless[number] = "an exhaustive search, which tries every combination"
    if args.scheduler == "fifo":
        useless["grace_period"] = "--scheduler=fifo"
    for name, reason in useless.items():
        if getattr(args, name) is not None:
            raise ConfigError(f"--{name}: has no effect with {reason}; leave it out")


def _note(line: str) -> None:
    tqdm.write(f"run_hyper: {line}", file=sys.stderr)
