"""Trials of a search on this machine, a line about each, and the test of the best one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from recbole.utils import dict2str

from recbole_sibrar.quick_start.hyper import trial_process
from recbole_sibrar.quick_start.hyper.plan import Plan
from recbole_sibrar.quick_start.hyper.record import BEST, TABLE, Record, Status, Trial
from recbole_sibrar.quick_start.run.child_process import Children, threads_each

__all__ = ["Runner"]


class _BehindError(Exception):
    """A trial is behind others and is not continued."""


class Runner:
    """Runs trials and reports their results.

    Args:
        plan: The search.
        record: Takes the results.
        note: Takes a line for each trial.
        advance: Called after each trial.
    """

    def __init__(
        self, plan: Plan, record: Record, note: Callable[[str], None], advance: Callable[[], object]
    ) -> None:
        self.plan = plan
        self.record = record
        self.note = note
        self.advance = advance
        self.children = Children()

    def run(self, trial: Trial, is_behind: Callable[[Trial], bool] | None = None) -> None:
        """Run a trial on this machine and record its result.

        Args:
            trial: The trial.
            is_behind: Called after each validation; the trial is stopped if it returns True.
        """
        folder = self.record.trial_folder(trial)
        trial_process.prepare(folder, self.plan.specification(trial))
        # Trials run one after the other here: each may use all cores.
        environment = {"OMP_NUM_THREADS": threads_each(1)}

        def report(message: dict[str, Any]) -> None:
            trial.take(message)
            # A trial that has ended keeps its result.
            if is_behind is not None and not message.get("done") and is_behind(trial):
                raise _BehindError

        try:
            trial_process.run(folder, "train", self.children, report, environment)
        except _BehindError:
            self.end(trial, Status.STOPPED)
        except trial_process.TrialError as error:
            self.end(trial, Status.FAILED, str(error))
        else:
            self.end(trial, Status.OK)

    def end(self, trial: Trial, status: Status, reason: str = "") -> None:
        """Record and report the end of a trial.

        Args:
            trial: The trial.
            status: New status.
            reason: Reason of a failure.
        """
        is_best = self.record.end(trial, status, reason)

        parts = [f"trial {trial.number}: {trial.text()}: {self._outcome(trial)}"]
        if trial.seconds is not None:
            parts.append(f"{trial.seconds:.0f} s")
        if is_best:
            parts.append("the best so far")
        self.note(", ".join(parts))
        self.advance()

    def _outcome(self, trial: Trial) -> str:
        if trial.status == Status.FAILED:
            return f"failed: {trial.reason} ({self.record.trial_folder(trial) / trial_process.LOG})"
        stopped = ", stopped" if trial.status == Status.STOPPED else ""
        return f"{self.plan.metric} {trial.score:.4f}{stopped}"

    def conclude(self, write_page: Callable[[], object] | None = None) -> int:
        """Test the best trial unless that was done before; write and print the results.

        Args:
            write_page: Writes a page about the search, or None.

        Returns:
            Exit status: 1 if all trials or the test have failed.
        """
        best = self.record.best
        status = self._test_best()
        # --resume repeats a test that has failed.
        self.record.finished = status == 0
        self.record.write()

        if write_page is not None:
            write_page()
        if best is not None:
            print("\n".join(self._report(best)))  # noqa: T201
        return status

    def _test_best(self) -> int:
        """Test the best trial; return the exit status."""
        best = self.record.best
        if best is None:
            failed = [trial for trial in self.record.ended if trial.status == Status.FAILED]
            reason = failed[0].reason
            self.note(f"error: all {len(failed)} trials have failed, the first one: {reason}")
            return 1
        return 0 if best.test_result else self._test(best)

    def _test(self, best: Trial) -> int:
        # An earlier part of the search has tested another trial, which is no longer the best.
        for trial in self.record.trials:
            trial.test_result = {}

        folder = self.record.trial_folder(best)
        # The last digits of a score depend on it.
        environment = {"OMP_NUM_THREADS": str(best.threads)}
        try:
            message = trial_process.run(
                folder, "test", self.children, lambda message: None, environment
            )
        except trial_process.TrialError as error:
            log = folder / trial_process.LOG
            self.note(f"error: the test of the best trial has failed: {error} ({log})")
            return 1

        best.test_result = message["test_result"]
        return 0

    def _report(self, best: Trial) -> list[str]:
        folder = self.record.folder
        epoch = "" if best.best_epoch is None else f", epoch {best.best_epoch}"
        variable = f"OMP_NUM_THREADS={best.threads}"

        lines = [
            self._counts(),
            f"best: trial {best.number}{epoch}, {best.threads} thread(s) ({variable})",
        ]
        for key, value in best.parameters.items():
            lines.append(f"  {key}: {value}")
        lines += [
            f"validation: {dict2str(best.result)}",
            f"test: {dict2str(best.test_result)}",
            f"written: {self.record.output}, {folder / TABLE}, {folder / BEST}",
            f"run it alone: {variable} run_recbole --config_files={folder / BEST}",
        ]
        return lines

    def _counts(self) -> str:
        statuses = [trial.status for trial in self.record.ended]
        complete = statuses.count(Status.OK)
        stopped = statuses.count(Status.STOPPED)
        failed = statuses.count(Status.FAILED)
        return f"{len(statuses)} trials: {complete} complete, {stopped} stopped, {failed} failed"
