"""What happens around the trials of a search: running one here, a line for each, and the test of the best."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from recbole.utils import dict2str

from recbole_sibrar.quick_start.hyper import display, trial_process
from recbole_sibrar.quick_start.hyper.plan import Plan
from recbole_sibrar.quick_start.hyper.record import BEST, TABLE, Record, Status, Trial
from recbole_sibrar.quick_start.run.child_process import Children, threads_each


class Runner:
    """Runs trials, and says what has come of them.

    Args:
        plan: The search.
        record: Where results are kept.
        note: Takes a line for each trial.
        advance: Is called for each trial that has ended.
    """

    def __init__(self, plan: Plan, record: Record, note: Callable[[str], None], advance: Callable[[], object]) -> None:
        self.plan, self.record, self.note, self.advance = plan, record, note, advance
        self.children = Children()

    def run(self, trial: Trial) -> None:
        """Run a trial on this machine, and record how it has ended."""
        folder = self.record.trial_folder(trial)
        trial_process.prepare(folder, self.plan.specification(trial))
        try:
            trial_process.run(folder, "train", self.children, trial.take, {"OMP_NUM_THREADS": threads_each(1)})
        except trial_process.TrialError as error:
            self.end(trial, Status.FAILED, str(error))
        else:
            self.end(trial, Status.OK)

    def end(self, trial: Trial, status: Status, reason: str = "") -> None:
        """Record how a trial has ended, and say so."""
        is_best = self.record.end(trial, status, reason)
        if status == Status.FAILED:
            outcome = f"failed: {reason} ({self.record.trial_folder(trial) / trial_process.LOG})"
        else:
            outcome = f"{self.plan.metric} {trial.score:.4f}" + (", stopped" if status == Status.STOPPED else "")
        seconds = "" if trial.seconds is None else f", {trial.seconds:.0f} s"
        self.note(f"trial {trial.number}: {trial.text()}: {outcome}{seconds}{', the best so far' if is_best else ''}")
        self.advance()

    def conclude(self, display_file: str | None) -> int:
        """Test the best trial, if that was not done, and write and print the results.

        Args:
            display_file: Where to write a page, or None.

        Returns:
            Exit status.
        """
        record, best = self.record, self.record.best
        status = 0
        if best is None:
            failed = [trial for trial in record.ended if trial.status == Status.FAILED]
            self.note(f"error: all {len(failed)} trials have failed, the first one: {failed[0].reason}")
            status = 1
        elif not best.test_result:
            status = self._test(best)
        record.finished = status == 0
        record.write()
        if display_file:
            display.write(record, self.plan.metric, f"{self.plan.model}, {self.plan.dataset}", Path(display_file))
        if best is not None:
            self._print(best)
        return status

    def _test(self, best: Trial) -> int:
        for trial in self.record.trials:
            trial.test_result = {}
        folder = self.record.trial_folder(best)
        environment = {"OMP_NUM_THREADS": str(best.threads)}
        try:
            message = trial_process.run(folder, "test", self.children, lambda message: None, environment)
        except trial_process.TrialError as error:
            self.note(f"error: the test of the best trial has failed: {error} ({folder / trial_process.LOG})")
            return 1
        best.test_result = message["test_result"]
        return 0

    def _print(self, best: Trial) -> None:
        ended = self.record.ended
        numbers = [
            sum(trial.status == status for trial in ended) for status in (Status.OK, Status.STOPPED, Status.FAILED)
        ]
        counts = f"{len(ended)} trials: {numbers[0]} complete, {numbers[1]} stopped, {numbers[2]} failed"
        epoch = "" if best.best_epoch is None else f", epoch {best.best_epoch}"
        folder = self.record.folder
        lines = [
            counts,
            f"best: trial {best.number}{epoch}, {best.threads} thread(s) (OMP_NUM_THREADS={best.threads})",
            *(f"  {key}: {value}" for key, value in best.parameters.items()),
            f"validation: {dict2str(best.result)}",
            f"test: {dict2str(best.test_result)}",
            f"written: {self.record.output}, {folder / TABLE}, {folder / BEST}",
            f"run it alone: OMP_NUM_THREADS={best.threads} run_recbole --config_files={folder / BEST}",
        ]
        print("\n".join(lines))  # noqa: T201
