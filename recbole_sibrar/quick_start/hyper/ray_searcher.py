"""Bridge between Ray Tune and the record of a search."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ray import tune
from ray.tune.experiment import Trial as RayTrial
from ray.tune.search import Searcher

from recbole_sibrar.errors import ProcessError
from recbole_sibrar.quick_start.cluster.jobs import make_job
from recbole_sibrar.quick_start.cluster.watch import Watch
from recbole_sibrar.quick_start.hyper.record import Status, Trial
from recbole_sibrar.quick_start.hyper.runner import Runner
from recbole_sibrar.quick_start.hyper.suggestions import Suggestions, has_no_progress

__all__ = ["ErrorCollector", "RecordSearcher"]

_LONGEST_REASON = 300


class RecordSearcher(Searcher):
    """Gives Ray Tune the values to try and records the results.

    Args:
        runner: Has the plan and the record.
        early_stop: Number of trials without improvement that end the search; 0 for no limit.
        token: File by which a machine recognises the shared folder.
        resources: Resources of a trial, with Ray's names.
        watch: Watch on Ray's processes.
    """

    def __init__(
        self,
        runner: Runner,
        early_stop: int,
        token: Path,
        resources: dict[str, float],
        watch: Watch,
    ) -> None:
        plan, record = runner.plan, runner.record
        super().__init__(metric="score", mode="max" if plan.bigger else "min")
        self.runner = runner
        self.patience = early_stop
        self.token = token
        self.resources = resources
        self.watch = watch
        self.threads = os.environ.get("OMP_NUM_THREADS", str(max(1, int(resources["CPU"]))))

        self.interrupted = [trial for trial in record.trials if trial.status == Status.RUNNING]
        self.suggestions = Suggestions(plan.space, plan.algo, plan.seed, record.ended, record.loss)
        # Hyperopt has to know the values that are tried now, or it may suggest them again.
        for trial in self.interrupted:
            self.suggestions.insert(trial)

        self.trials: dict[str, Trial] = {}
        self.reasons: dict[str, str] = {}

    def is_finished(self) -> bool:
        """Tell if there is no progress any more."""
        return has_no_progress(self.runner.record.losses, self.patience)

    def suggest(self, trial_id: str) -> Any:
        """Return the job of an interrupted or of a new trial, or ``FINISHED``."""
        trial = None if self.is_finished() else self._next()
        if trial is None:
            return Searcher.FINISHED

        self.trials[trial_id] = trial
        folder = self.runner.record.trial_folder(trial)
        specification = self.runner.plan.specification(trial)
        job = make_job(specification, folder, self.token, self.threads, self.resources)
        return {"job": json.dumps(asdict(job))}

    def _next(self) -> Trial | None:
        if self.interrupted:
            return self.interrupted.pop(0)

        record = self.runner.record
        number = len(record.trials)
        drawn = self.suggestions.ask(number)
        if drawn is None:
            return None

        trial = record.start(number, drawn, self.runner.plan.space.values(drawn))
        self.suggestions.insert(trial)
        return trial

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        """Take the score of a validation."""
        if "message" in result:
            self.trials[trial_id].take(json.loads(result["message"]))

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """Record the end of a trial.

        Raises:
            ProcessError: Ray's own processes have failed; the trial can be repeated.
        """
        if error and self.watch.has_failed():
            raise ProcessError(self.watch.reason)

        trial = self.trials[trial_id]
        last = result or {}
        self.on_trial_result(trial_id, last)
        # Stopped by the scheduler, a trial ends without an error and without its last message.
        if error or "failed" in last or "message" not in last:
            reason = self.reasons.get(trial_id, "Ray has lost it")
            self.runner.end(trial, Status.FAILED, last.get("failed", reason))
        else:
            done = json.loads(last["message"]).get("done")
            self.runner.end(trial, Status.OK if done else Status.STOPPED)
        self.suggestions.tell(trial)

    def save(self, checkpoint_path: str) -> None:
        """Save nothing: the record is enough to continue."""

    def restore(self, checkpoint_path: str) -> None:
        """Restore nothing: the record is enough to continue."""


class ErrorCollector(tune.Callback):
    """Keeps Ray's reasons for the end of trials, such as a lost machine.

    Args:
        searcher: Takes the reasons.
    """

    def __init__(self, searcher: RecordSearcher) -> None:
        self.searcher = searcher

    def on_trial_error(
        self, iteration: int, trials: list[RayTrial], trial: RayTrial, **info: object
    ) -> None:
        """Keep the last line of the error."""
        if not trial.error_file:
            return
        text = Path(trial.error_file).read_text(encoding="utf-8", errors="replace")
        lines = text.strip().splitlines()
        if lines:
            self.searcher.reasons[trial.trial_id] = f"Ray: {lines[-1].strip()[:_LONGEST_REASON]}"
