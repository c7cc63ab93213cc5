"""Search with Hyperopt, one trial at a time, through RecBole's ``HyperTuning``."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

from recbole.trainer import HyperTuning

from recbole_sibrar.quick_start.hyper.record import Record, Trial
from recbole_sibrar.quick_start.hyper.space import Space
from recbole_sibrar.quick_start.hyper.suggestions import (
    SeedState,
    Suggestions,
    algorithm,
    has_no_progress,
    result_of,
    to_python,
)

__all__ = ["Run", "Search"]

Run = Callable[[Trial], None]
"""Runs a trial and records its result."""


class Search(HyperTuning):
    """RecBole's search with Hyperopt, made repeatable and resumable; failing trials do not end it.

    Args:
        record: Results of an earlier part of the search.
        space: The search space.
        algo: ``exhaustive``, ``random`` or ``bayes``.
        seed: Seed of the draws.
        max_evals: Number of trials, including those of the record.
        early_stop: Number of trials without improvement that end the search; 0 for no limit.
        run: Runs a trial.
    """

    def __init__(
        self,
        record: Record,
        space: Space,
        algo: str,
        seed: int,
        max_evals: int,
        early_stop: int,
        run: Run,
    ) -> None:
        super().__init__(
            run,
            space=space.nodes(),
            algo=algorithm(algo, space, seed),
            max_evals=max_evals,
            early_stop=early_stop,
        )
        self.record = record
        self.parameters = space
        self.seed = seed
        self.patience = early_stop
        self.early_stop_fn = self._stop
        # Hyperopt suggests the values of an interrupted trial again.
        record.trials = record.ended

    def trial(self, params: dict[str, Any]) -> dict[str, Any]:
        """Run a trial with the values drawn by Hyperopt."""
        drawn = {name: to_python(value) for name, value in params.items()}
        trial = self.record.start(len(self.record.trials), drawn, self.parameters.values(drawn))
        self.objective_function(trial)
        return result_of(trial, self.record.loss(trial))

    def run(self) -> None:
        """Search until all trials have ended or there is no progress."""
        from hyperopt import fmin
        from hyperopt.exceptions import AllTrialsFailed

        ended = self.record.ended
        if len(ended) >= self.max_evals or self._has_no_progress():
            return

        # fmin draws one seed for each trial; skip the seeds of the trials in the record.
        state = SeedState(self.seed)
        for _ in ended:
            state.randint(2**31 - 1)

        # The algorithm does not matter here: these suggestions hold the ended trials only.
        before = Suggestions(self.parameters, "random", self.seed, ended, self.record.loss)
        with suppress(AllTrialsFailed):  # the record has the reasons
            fmin(
                self.trial,
                self.space,
                algo=self.algo,
                max_evals=self.max_evals,
                rstate=state,
                trials=before.trials,
                early_stop_fn=self.early_stop_fn,
                allow_trials_fmin=False,
                verbose=False,
            )

    def _stop(self, _: object) -> tuple[bool, list[object]]:
        """Stop without progress, in the form of Hyperopt's ``early_stop_fn``."""
        return self._has_no_progress(), []

    def _has_no_progress(self) -> bool:
        return has_no_progress(self.record.losses, self.patience)
