"""Searching with Hyperopt: which values are tried, by RecBole's ``HyperTuning`` or one at a time for others to try."""

from __future__ import annotations

import importlib
import random
import warnings
from collections.abc import Callable, Sequence
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np
from recbole.trainer import HyperTuning

from recbole_sibrar.config import ConfigError
from recbole_sibrar.quick_start.hyper.record import Record, Status, Trial
from recbole_sibrar.quick_start.hyper.space import Space

ALGORITHMS = ("exhaustive", "random", "bayes")
"""RecBole's names: every combination, independent draws, and the tree of Parzen estimators."""

_HYPEROPT = "0.2.5"

Run = Callable[[Trial], None]
"""Runs a trial and records how it has ended."""


def check_hyperopt() -> None:
    """Check that the Hyperopt is there that RecBole works with, and load it without a warning that is none of ours.

    Raises:
        ConfigError: It is not.
    """
    try:
        found = version("hyperopt")
    except PackageNotFoundError:
        found = ""
    if found != _HYPEROPT:
        what = f"hyperopt {found} is installed" if found else "hyperopt is not installed"
        raise ConfigError(
            f"{what}, but RecBole's search needs hyperopt {_HYPEROPT}: pip install 'recbole-sibrar[tune]'"
        )
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="pkg_resources is deprecated", category=UserWarning)
        importlib.import_module("hyperopt")


def exhaustive(space: Space, seed: int) -> Callable[..., list[Any]]:
    """Hyperopt's algorithm that suggests every combination once, in an order that depends on the seed.

    RecBole's draws until a combination is new, and gives up after a thousand draws, before all were suggested.
    """
    total = space.n_values
    assert total is not None
    order = random.Random(seed).sample(range(total), min(total, 1_000_000))

    def suggest(new_ids: Sequence[int], domain: Any, trials: Any, _: int) -> list[Any]:
        numbers = [number for number in new_ids if number < len(order)]
        drawn = [space.combination(order[number]) for number in numbers]
        return documents(trials, domain, numbers, drawn) if numbers else []

    return suggest


def documents(trials: Any, domain: Any, numbers: Sequence[int], drawn: Sequence[dict[str, Any]]) -> list[Any]:
    """Hyperopt's documents of trials with these numbers and values."""
    miscs = [
        {
            "tid": number,
            "cmd": domain.cmd if domain else ("domain_attachment", "FMinIter_Domain"),
            "workdir": None,
            "idxs": {name: [number] for name in values},
            "vals": {name: [value] for name, value in values.items()},
        }
        for number, values in zip(numbers, drawn, strict=True)
    ]
    nones = [None] * len(miscs)
    return trials.new_trial_docs(list(numbers), nones, [{"status": "new"} for _ in miscs], miscs)


def algorithm(name: str, space: Space, seed: int) -> Callable[..., list[Any]]:
    """Hyperopt's function that suggests values."""
    if name == "exhaustive":
        return exhaustive(space, seed)
    from hyperopt import rand, tpe

    return rand.suggest if name == "random" else tpe.suggest


def has_no_progress(losses: Sequence[float], patience: int) -> bool:
    """Whether so many of the last losses are no better than the best one before them; never for a patience of 0."""
    best = min(range(len(losses)), key=losses.__getitem__, default=0)
    return patience > 0 and len(losses) - 1 - best >= patience


class Suggestions:
    """The values that a search tries, one after the other, as Hyperopt's ``fmin`` would ask for them.

    Args:
        space: The parameters.
        algo: One of :data:`ALGORITHMS`.
        seed: Of the draws.
        ended: Trials that Hyperopt is told of before.
        loss: What is minimised.
    """

    def __init__(self, space: Space, algo: str, seed: int, ended: Sequence[Trial], loss: Callable[[Trial], float]):
        from hyperopt.base import Domain, Trials

        self.suggest, self.loss = algorithm(algo, space, seed), loss
        self.domain, self.trials = Domain(lambda _: 0.0, space.nodes()), Trials()
        self.random, self.seeds = np.random.RandomState(seed), list[int]()
        for trial in ended:
            self.insert(trial)
            self.tell(trial)

    def ask(self, number: int) -> dict[str, Any] | None:
        """What to draw for the trial of a number; None if there is nothing left."""
        while len(self.seeds) <= number:
            self.seeds.append(self.random.randint(2**31 - 1))
        found = self.suggest([number], self.domain, self.trials, self.seeds[number])
        if not found:
            return None
        return {name: _plain(values[0]) for name, values in found[0]["misc"]["vals"].items()}

    def insert(self, trial: Trial) -> None:
        """Take a trial in, which has begun."""
        self.trials.insert_trial_docs(documents(self.trials, None, [trial.number], [trial.drawn]))
        self.trials.refresh()

    def tell(self, trial: Trial) -> None:
        """Take in how a trial has ended."""
        from hyperopt.base import JOB_STATE_DONE

        document = next(document for document in self.trials.trials if document["tid"] == trial.number)
        document["state"], document["result"] = JOB_STATE_DONE, _result(trial, self.loss(trial))
        self.trials.refresh()


class Search(HyperTuning):
    """RecBole's search with Hyperopt, which can be repeated and continued and survives failing trials.

    Args:
        record: Holds what an earlier part of the search has found.
        space: The parameters.
        algo: One of :data:`ALGORITHMS`.
        seed: Of the draws.
        max_evals: Number of trials, those of the record included.
        early_stop: The search ends after so many trials without a better one; 0 for never.
        run: Runs a trial.
    """

    def __init__(self, record: Record, space: Space, algo: str, seed: int, max_evals: int, early_stop: int, run: Run):
        suggest = algorithm(algo, space, seed)
        super().__init__(run, space=space.nodes(), algo=suggest, max_evals=max_evals, early_stop=early_stop)
        self.record, self.parameters, self.seed, self.patience = record, space, seed, early_stop
        self.early_stop_fn = self._stop
        record.trials = record.ended  # what was interrupted is suggested again

    def trial(self, params: dict[str, Any]) -> dict[str, Any]:
        """Run the trial of what Hyperopt has drawn."""
        drawn = {name: _plain(value) for name, value in params.items()}
        trial = self.record.start(len(self.record.trials), drawn, self.parameters.values(drawn))
        self.objective_function(trial)
        return _result(trial, self.record.loss(trial))

    def run(self) -> None:
        """Search until all trials are made, or there is no progress."""
        from hyperopt import fmin
        from hyperopt.exceptions import AllTrialsFailed

        ended = self.record.ended
        if len(ended) >= self.max_evals or self._stop(None)[0]:
            return
        before = Suggestions(self.parameters, "random", self.seed, ended, self.record.loss)
        state = np.random.RandomState(self.seed)
        for _ in ended:
            state.randint(2**31 - 1)  # as fmin has drawn before each of them
        options = {"rstate": state, "trials": before.trials, "early_stop_fn": self.early_stop_fn, "verbose": False}
        with suppress(AllTrialsFailed):  # the record has the reasons
            fmin(self.trial, self.space, algo=self.algo, max_evals=self.max_evals, allow_trials_fmin=False, **options)

    def _stop(self, _: Any) -> tuple[bool, list[Any]]:
        return has_no_progress([self.record.loss(trial) for trial in self.record.ended], self.patience), []


def _result(trial: Trial, loss: float) -> dict[str, Any]:
    return {"loss": loss, "status": "fail" if trial.status == Status.FAILED else "ok"}


def _plain(value: Any) -> Any:
    """A number of Python."""
    return value.item() if isinstance(value, np.generic) else value
