"""Search with Optuna, one trial at a time; the record takes the place of Optuna's storage."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import optuna
from optuna.pruners import BasePruner, NopPruner, SuccessiveHalvingPruner
from optuna.samplers import BaseSampler, RandomSampler, TPESampler
from optuna.study import StudyDirection
from optuna.trial import TrialState, create_trial

from recbole_sibrar.quick_start.hyper.optuna_tool.distributions import (
    distribution_of,
    from_optuna,
    to_optuna,
)
from recbole_sibrar.quick_start.hyper.record import Status, Trial
from recbole_sibrar.quick_start.hyper.runner import Runner
from recbole_sibrar.quick_start.hyper.suggestions import SeedState, combinations, has_no_progress

__all__ = ["OptunaSettings", "make_pruner", "search"]

_LARGEST_SEED = 2**31 - 1


@dataclass(frozen=True)
class OptunaSettings:
    """Options of a search with Optuna."""

    early_stop: int
    """Number of trials without improvement that end the search; 0 for no limit."""
    scheduler: str
    """``asha`` or ``fifo``."""
    grace_period: int
    """Number of validations before ``asha`` stops a trial."""


def make_pruner(name: str, grace_period: int) -> BasePruner:
    """Make the pruner, which may stop a trial before its end.

    It compares the best scores so far, which are also the scores of the trials. A stopped trial is
    therefore behind another one and cannot be the best.

    Args:
        name: ``asha`` stops a trial outside the better half after ``grace_period``, twice, four
            times, ... as many validations; ``fifo`` stops none.
        grace_period: Number of validations.
    """
    if name == "fifo":
        return NopPruner()
    return SuccessiveHalvingPruner(min_resource=grace_period, reduction_factor=2)


def search(runner: Runner, settings: OptunaSettings) -> None:
    """Search until all trials have ended or there is no progress.

    Args:
        runner: Has the plan and the record.
        settings: Options of the search.
    """
    # The command writes a line for each trial.
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    record, plan = runner.record, runner.plan
    # The values of an interrupted trial are drawn again.
    record.trials = record.ended
    study = _Study(runner, make_pruner(settings.scheduler, settings.grace_period))

    while len(record.trials) < plan.n_trials:
        if has_no_progress(record.losses, settings.early_stop):
            return
        if not study.run_next():
            return


class _Study:
    """Optuna's study of a search.

    Args:
        runner: Has the plan and the record.
        pruner: Optuna's pruner.
    """

    def __init__(self, runner: Runner, pruner: BasePruner) -> None:
        plan = runner.plan
        self.runner = runner
        self.parameters = plan.space.parameters
        self.distributions = {}
        for parameter in self.parameters:
            self.distributions[parameter.name] = distribution_of(parameter)
        self.order = combinations(plan.space, plan.seed) if plan.algo == "exhaustive" else None

        direction = StudyDirection.MAXIMIZE if plan.bigger else StudyDirection.MINIMIZE
        self.study = optuna.create_study(direction=direction, pruner=pruner)
        for trial in runner.record.ended:
            self._add(trial)

    def run_next(self) -> bool:
        """Run a trial; return False after the last combination."""
        number = len(self.runner.record.trials)
        if self.order is not None:
            if number >= len(self.order):
                return False
            # ask takes the enqueued values instead of drawing some.
            self.study.enqueue_trial(self.runner.plan.space.combination(self.order[number]))

        self.study.sampler = _sampler(self.runner.plan.algo, self.runner.plan.seed, number)
        asked = self.study.ask(self.distributions)
        drawn = from_optuna(self.parameters, asked.params)
        trial = self.runner.record.start(number, drawn, self.runner.plan.space.values(drawn))

        self.runner.run(trial, _behind(asked))
        self._tell(asked, trial)
        return True

    def _tell(self, asked: optuna.Trial, trial: Trial) -> None:
        if trial.status is Status.FAILED:
            self.study.tell(asked, state=TrialState.FAIL)
        else:
            self.study.tell(asked, trial.score)

    def _add(self, trial: Trial) -> None:
        """Add a trial of the record, as :meth:`_tell` does with one of this search."""
        # Optuna refuses the value of a failed trial.
        failed = trial.status is Status.FAILED
        added = create_trial(
            params=to_optuna(self.parameters, trial.drawn),
            distributions=self.distributions,
            value=None if failed else trial.score,
            state=TrialState.FAIL if failed else TrialState.COMPLETE,
        )
        self.study.add_trial(added)


def _sampler(algo: str, seed: int, number: int) -> BaseSampler:
    """Make the sampler of a trial."""
    # Each trial has a seed of its own, so that a resumed search draws the same values.
    seeds = SeedState(seed).randint(_LARGEST_SEED, size=number + 1)
    of_trial = int(seeds[-1])
    return TPESampler(seed=of_trial) if algo == "bayes" else RandomSampler(seed=of_trial)


def _behind(asked: optuna.Trial) -> Callable[[Trial], bool]:
    """Make the test of a trial after each validation: True if it is to be stopped."""
    n_validations = 0

    def is_behind(trial: Trial) -> bool:
        nonlocal n_validations
        n_validations += 1
        asked.report(_number(trial.score), n_validations)
        is_worse: bool = asked.should_prune()
        return is_worse

    return is_behind


def _number(score: float | None) -> float:
    return float("nan") if score is None else float(score)
