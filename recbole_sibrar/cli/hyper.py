"""The program ``run_hyper``: search the hyperparameters of a model."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from recbole_sibrar.cli import options as shared
from recbole_sibrar.cli.reporting import INTERRUPTED, notes_of
from recbole_sibrar.config.choices import check_model, check_names, chosen
from recbole_sibrar.errors import ConfigError, listed, refuse
from recbole_sibrar.files import check_writable
from recbole_sibrar.quick_start.run.child_process import interruptible

if TYPE_CHECKING:
    from recbole_sibrar.quick_start.hyper.plan import Plan
    from recbole_sibrar.quick_start.hyper.record import Record
    from recbole_sibrar.quick_start.hyper.runner import Runner

__all__ = ["ALGORITHMS", "SCHEDULERS", "TOOLS", "Options", "add_arguments", "run"]

TOOLS = ("hyperopt", "optuna", "ray")
"""Search tools."""

ALGORITHMS = ("exhaustive", "random", "bayes")
"""Search algorithms."""

SCHEDULERS = ("asha", "fifo")
"""Schedulers of Ray Tune, and pruners of Optuna."""

_STOPPING = ("scheduler", "grace_period")

_ONLY_RAY = ("num_samples", "resources_per_trial", "cluster")

_LEAST = {"max_evals": 1, "num_samples": 1, "grace_period": 1, "early_stop": 0}
"""Smallest values of the options with numbers."""

_EPILOG = (
    "Any key of the configuration can be given as --key=value, for all trials. Only the best "
    "trial is evaluated on the test part, once, at the end of the search."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the program."""
    shared.add_model(parser)
    shared.add_dataset(parser)
    shared.add_config_files(parser)

    parser.add_argument(
        "--params_file",
        metavar="FILE",
        help="search space: a file, or the name of a model with a shipped file (default: the file "
        "of the model)",
    )
    parser.add_argument(
        "--output_file",
        metavar="FILE",
        default="hyper.result",
        help="readable results; all other files are in a folder of the same name without suffix "
        "(default: %(default)s)",
    )
    parser.add_argument(
        "--display_file",
        metavar="FILE",
        help="HTML page about all trials: parameters, scores, learning curves",
    )
    parser.add_argument(
        "--resume", action="store_true", help="continue the search of --output_file"
    )

    _add_search_arguments(parser)
    _add_ray_arguments(parser)
    parser.epilog = _EPILOG


def _add_search_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--tool",
        default="Hyperopt",
        help="Hyperopt (default) or Optuna, one trial at a time, or Ray",
    )
    parser.add_argument(
        "--algo",
        help="exhaustive, random or bayes (default: exhaustive if all parameters are choices, else "
        "bayes)",
    )

    # Without defaults: a value given to a tool that has no use for it is refused.
    parser.add_argument(
        "--max_evals",
        type=int,
        help="trials of Hyperopt and Optuna, unless exhaustive (default: 100)",
    )
    parser.add_argument(
        "--num_samples", type=int, help="trials of Ray, unless exhaustive (default: 100)"
    )

    parser.add_argument(
        "--early_stop",
        type=int,
        default=10,
        help="stop after this number of trials without improvement (default: %(default)s; 0: "
        "never)",
    )
    parser.add_argument(
        "--metric",
        help="validation metric to optimise (default: valid_metric of the configuration)",
    )


def _add_ray_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--scheduler",
        help="Ray, Optuna: asha (default) stops trials that are behind, fifo stops none",
    )
    parser.add_argument(
        "--grace_period",
        type=int,
        help="Ray, Optuna: validations before asha stops a trial (default: 5)",
    )
    shared.add_resources(parser, "--resources_per_trial", "Ray: resources of a trial")
    parser.add_argument(
        "--cluster", metavar="ADDRESS", help="Ray: address of a running cluster, or local (default)"
    )


@dataclass(frozen=True)
class Options:
    """Options of the program."""

    model: str
    """Name of the model."""
    dataset: str
    """Name of the data set."""
    given: shared.GivenKeys
    """Configuration keys from files and from the command line."""
    params_file: str | None
    """Search space: a path or the name of a shipped file; None for the file of the model."""
    output_file: Path
    """Readable results, beside a folder with all other files."""
    display_file: Path | None
    """HTML page about all trials: parameters, scores, learning curves."""
    tool: str
    """One of :data:`TOOLS`."""
    algo: str | None
    """One of :data:`ALGORITHMS`; None for the default."""
    max_evals: int | None
    """Trials of Hyperopt and Optuna."""
    num_samples: int | None
    """Trials of Ray."""
    early_stop: int
    """Trials without improvement that end the search; 0 for no limit."""
    metric: str | None
    """Validation metric to optimise; None for ``valid_metric``."""
    scheduler: str | None
    """One of :data:`SCHEDULERS`; None for the default."""
    grace_period: int | None
    """Validations before a scheduler stops a trial."""
    resources_per_trial: str | None
    """Resources of a trial."""
    cluster: str | None
    """Address of a Ray cluster; None for this machine."""
    resume: bool
    """Continue the search of ``output_file``."""

    @classmethod
    def from_arguments(cls, args: argparse.Namespace) -> Options:
        """Read and check the parsed arguments, without importing RecBole.

        Raises:
            ConfigError: An option, a configuration file or a key cannot be used.
        """
        tool = _choice("--tool", args.tool, TOOLS)
        _check_numbers(args)
        scheduler = args.scheduler and _choice("--scheduler", args.scheduler, SCHEDULERS)
        algo = args.algo and _choice("--algo", args.algo, ALGORITHMS)

        overrides = shared.parse_overrides(args.keys)
        given = shared.GivenKeys.read(args.config_files.split(), overrides)
        model = chosen("model", args, overrides, given.of_files)
        check_model(model)
        check_names(given.values, model, shared.option_names(args))

        return cls(
            model=model,
            dataset=chosen("dataset", args, overrides, given.of_files),
            given=given,
            params_file=args.params_file,
            output_file=Path(args.output_file),
            display_file=Path(args.display_file) if args.display_file else None,
            tool=tool,
            algo=algo,
            max_evals=args.max_evals,
            num_samples=args.num_samples,
            early_stop=args.early_stop,
            metric=args.metric,
            scheduler=scheduler,
            grace_period=args.grace_period,
            resources_per_trial=args.resources_per_trial,
            cluster=args.cluster,
            resume=args.resume,
        )

    def check_effects(self, algo: str) -> None:
        """Refuse options without effect.

        Args:
            algo: Algorithm of the search.

        Raises:
            ConfigError: An option has no effect.
        """
        # Option -> reason. None of these options has a default: a value was given.
        useless: dict[str, str] = {}
        if self.tool == "hyperopt":
            useless |= dict.fromkeys((*_ONLY_RAY, *_STOPPING), "--tool=Hyperopt")
        elif self.tool == "optuna":
            useless |= dict.fromkeys(_ONLY_RAY, "--tool=Optuna")
        else:
            useless["max_evals"] = "--tool=Ray; its number of trials is --num_samples"
        if algo == "exhaustive":
            number = "num_samples" if self.tool == "ray" else "max_evals"
            useless[number] = "an exhaustive search, which tries every combination"
        if self.scheduler == "fifo":
            useless["grace_period"] = "--scheduler=fifo"

        for name, reason in useless.items():
            if getattr(self, name) is not None:
                raise ConfigError(f"--{name}: has no effect with {reason}; leave it out")


def _choice(option: str, text: str, allowed: Sequence[str]) -> str:
    value = text.lower()
    if value not in allowed:
        refuse(option, value, f"one of {listed(allowed, value)}")
    return value


def _check_numbers(args: argparse.Namespace) -> None:
    for name, least in _LEAST.items():
        value = getattr(args, name)
        if value is not None and value < least:
            refuse(f"--{name}", value, f"a number of at least {least}")


def run(args: argparse.Namespace) -> int:
    """Run the program.

    Returns:
        Exit status: 0, 1 if all trials or the test of the best one have failed, or 130 after
        Ctrl-C.

    Raises:
        ConfigError: An option, a configuration or a file cannot be used.
    """
    options = Options.from_arguments(args)
    note = notes_of("run_hyper")
    plan = _make_plan(options, note)

    # The default algorithm depends on the search space.
    options.check_effects(plan.algo)
    if options.display_file:
        check_writable(options.display_file, "--display_file")

    record = plan.record(options.output_file)
    with record.opened(options.resume), interruptible():
        return _search_and_conclude(options, plan, record, note)


def _make_plan(options: Options, note: Callable[[str], None]) -> Plan:
    """Check the request as far as RecBole can, before any trial runs."""
    from recbole_sibrar.quick_start.hyper import plan, suggestions

    if options.tool == "optuna":
        shared.check_installed("--tool=Optuna", "optuna", "tune")
    else:
        suggestions.check_hyperopt()
    if options.tool == "ray":
        shared.check_installed("--tool=Ray", "ray", "cluster")

    shared.hide_arguments_from_recbole()
    request = plan.Request(
        model=options.model,
        dataset=options.dataset,
        files=options.given.files,
        overrides=dict(options.given.overrides),
        params_file=options.params_file,
        metric=options.metric,
        tool=options.tool,
        algo=options.algo,
        n_trials=options.max_evals or options.num_samples,
    )
    return plan.make(request, note)


def _search_and_conclude(
    options: Options, plan: Plan, record: Record, note: Callable[[str], None]
) -> int:
    from tqdm import tqdm

    from recbole_sibrar.quick_start.hyper.runner import Runner

    with tqdm(desc="trials", unit="trial", total=plan.n_trials) as bar:
        bar.update(len(record.ended))
        runner = Runner(plan, record, note, bar.update)
        try:
            _search(options, runner)
            bar.close()
            return runner.conclude(_page_writer(options, plan, record))
        except KeyboardInterrupt:
            # A trial in a process of its own would go on without the search.
            runner.children.stop()
            note(
                f"interrupted; {len(record.ended)} trials have ended, the same command with "
                "--resume continues"
            )
            return INTERRUPTED


def _page_writer(options: Options, plan: Plan, record: Record) -> Callable[[], None] | None:
    """Return the function that writes the page; None without ``--display_file``."""
    file = options.display_file
    if file is None:
        return None

    def write() -> None:
        # Imports scikit-learn, for this option alone.
        from recbole_sibrar.report import search_page

        search_page.write(record, plan, file)

    return write


def _search(options: Options, runner: Runner) -> None:
    plan = runner.plan
    if options.tool == "hyperopt":
        from recbole_sibrar.quick_start.hyper.search import Search

        Search(
            runner.record,
            plan.space,
            plan.algo,
            plan.seed,
            plan.n_trials,
            options.early_stop,
            runner.run,
        ).run()
        return

    if options.tool == "optuna":
        from recbole_sibrar.quick_start.hyper.optuna_tool import results, search

        settings = search.OptunaSettings(
            options.early_stop, options.scheduler or "asha", options.grace_period or 5
        )
        search.search(runner, settings)
        results.write_storage(runner.record, plan.space, runner.record.folder / results.STORAGE)
        return

    # Imports Ray Tune, which takes seconds.
    from recbole_sibrar.quick_start.hyper import ray_search

    ray_search.search(
        runner,
        ray_search.RaySettings(
            early_stop=options.early_stop,
            address=options.cluster or "local",
            resources=options.resources_per_trial,
            scheduler=options.scheduler or "asha",
            grace_period=options.grace_period or 5,
        ),
    )
