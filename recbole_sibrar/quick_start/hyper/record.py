"""What a search has found so far, in files that are complete after every trial."""

from __future__ import annotations

import fcntl
import json
import math
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

import pandas as pd
import yaml
from recbole.utils import dict2str

from recbole_sibrar.config import ConfigError
from recbole_sibrar.files import check_writable, replacing
from recbole_sibrar.quick_start.group.single_run import CHECKPOINT

STATE, TABLE, BEST, LOCK = "search.json", "trials.csv", "best.yaml", "lock"
"""Files in the folder of a search; each trial has a folder in ``trials/``."""


class Status(StrEnum):
    """What can be said of a trial; stopped: by the scheduler, because others were better."""

    RUNNING = "running"
    OK = "ok"
    FAILED = "failed"
    STOPPED = "stopped"


@dataclass
class Trial:
    """A combination of values, and what came of it."""

    number: int
    """Counts from 0 in the order of the suggestions."""
    parameters: dict[str, Any]
    """Keys and values."""
    drawn: dict[str, Any]
    """What Hyperopt has drawn: positions of choices, and numbers."""
    status: Status = Status.RUNNING
    """Whether it runs, or how it has ended."""
    score: float | None = None
    """Best validation score."""
    best_epoch: int | None = None
    """The epoch with that score, from 0."""
    result: dict[str, float] = field(default_factory=dict)
    """All validation metrics of that epoch."""
    seconds: float | None = None
    """Time of reading, training and validation."""
    threads: int | None = None
    """Threads of torch, on which the last digits of a score depend."""
    reason: str = ""
    """Why it has failed."""
    test_result: dict[str, float] = field(default_factory=dict)
    """Metrics of the test part; of the best trial alone, when the search has ended."""

    def take(self, message: dict[str, Any]) -> None:
        """Note what its process has said."""
        self.score, self.result = message["best_score"], message["best_result"]
        self.seconds, self.threads = message["seconds"], message["threads"]
        self.best_epoch = message.get("best_epoch")

    def text(self) -> str:
        """Keys and values, in RecBole's form."""
        return ", ".join(f"{key}:{value}" for key, value in self.parameters.items())


class Record:
    """All trials of a search.

    Args:
        output: File of the results for people; the folder beside it has the others.
        identity: What has to be the same where a search is resumed.
        bigger: Whether a greater score is better.
        configuration: Gives the full configuration of a trial.
    """

    def __init__(
        self,
        output: Path,
        identity: dict[str, Any],
        bigger: bool,
        configuration: Callable[[Trial], dict[str, Any]],
    ) -> None:
        self.output, self.identity, self.bigger, self.configuration = output, identity, bigger, configuration
        self.folder = output.with_suffix("") if output.suffix else output.with_name(f"{output.name}.search")
        self.trials: list[Trial] = []
        self.finished = False

    @contextmanager
    def opened(self, resume: bool) -> Iterator[None]:
        """Hold the folder; start the record, or go on with what is there.

        Args:
            resume: Whether a search goes on.

        Raises:
            ConfigError: There is a search but ``resume`` is not set, there is none, it is another one, or it runs.
            DataError: The files cannot be written.
        """
        check_writable(self.output, "--output_file")
        check_writable(self.folder / STATE, "--output_file")
        with open(self.folder / LOCK, "ab") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise ConfigError(f"--output_file: another command is searching in {self.folder}") from None
            if (self.folder / STATE).is_file():
                self._load(resume)
            elif resume:
                raise ConfigError(f"--resume: there is no search in {self.folder}; leave the option out to start one")
            yield

    def _load(self, resume: bool) -> None:
        file = self.folder / STATE
        try:
            state = json.loads(file.read_text(encoding="utf-8"))
            identity, finished = state["search"], state["finished"]
            trials = [Trial(**{**trial, "status": Status(trial["status"])}) for trial in state["trials"]]
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise ConfigError(f"{file} cannot be read ({error}); remove {self.folder} to start anew") from None
        if not resume:
            kind = "a search that has ended" if finished else "an unfinished search"
            raise ConfigError(
                f"--output_file: {self.folder} holds {kind}; --resume goes on with it, another --output_file leaves "
                "it, and a new one needs the folder removed"
            )
        for key, now in json.loads(json.dumps(self.identity)).items():
            if identity.get(key) != now:
                raise ConfigError(
                    f"--resume: the search in {self.folder} has another {key} "
                    f"(found {identity.get(key)!r}, now {now!r}); give another --output_file to start a new one"
                )
        self.trials = trials

    def start(self, number: int, drawn: dict[str, Any], parameters: dict[str, Any]) -> Trial:
        """Note a trial that begins."""
        trial = Trial(number, parameters, drawn)
        self.trials.append(trial)
        self.finished = False
        self._write_state()
        return trial

    def end(self, trial: Trial, status: Status, reason: str = "") -> bool:
        """Note that a trial has ended, and keep no checkpoint but the best one's.

        Args:
            trial: The trial, which has its score if it has one.
            status: How it has ended.
            reason: Why it has failed.

        Returns:
            Whether it is the best one.
        """
        before = self.best
        trial.status, trial.reason = status, reason
        for other in {id(other): other for other in (trial, before) if other is not None}.values():
            if other is not self.best:
                shutil.rmtree((self.trial_folder(other) / CHECKPOINT).parent, ignore_errors=True)
        self.write()
        return trial is self.best

    @property
    def best(self) -> Trial | None:
        """The trial with the best score, the first of equal ones; None if none has one."""
        scored = [trial for trial in self.ended if trial.status != Status.FAILED and trial.score is not None]
        return min(scored, key=self.loss, default=None)

    @property
    def ended(self) -> list[Trial]:
        """All trials but those that run."""
        return [trial for trial in self.trials if trial.status != Status.RUNNING]

    def loss(self, trial: Trial) -> float:
        """What a search minimises: infinity for a trial that has failed."""
        if trial.status == Status.FAILED or trial.score is None:
            return math.inf
        return -trial.score if self.bigger else trial.score

    def trial_folder(self, trial: Trial) -> Path:
        """Where the files of a trial are."""
        return self.folder.absolute() / "trials" / str(trial.number)

    def write(self) -> None:
        """Write all files anew."""
        self._write_state()
        rows = [self._row(trial) for trial in self.trials]
        with replacing(self.folder / TABLE) as temporary:
            pd.DataFrame(rows).to_csv(temporary, index=False)
        with replacing(self.output) as temporary:
            temporary.write_text("\n".join(map(self._paragraph, self.ended)), encoding="utf-8")
        if self.best is not None:
            with replacing(self.folder / BEST) as temporary:
                text = yaml.safe_dump(self.configuration(self.best), sort_keys=False, allow_unicode=True)
                temporary.write_text(text, encoding="utf-8")

    def _write_state(self) -> None:
        state = {
            "search": self.identity,
            "finished": self.finished,
            "trials": [asdict(trial) for trial in self.trials],
        }
        with replacing(self.folder / STATE) as temporary:
            temporary.write_text(json.dumps(state, indent=1), encoding="utf-8")

    def _row(self, trial: Trial) -> dict[str, Any]:
        own = ("status", "score", "best_epoch", "seconds", "threads", "reason")
        columns = {name: getattr(trial, name) for name in own}
        metrics = {f"valid_{name}": value for name, value in trial.result.items()}
        return {"trial": trial.number, **trial.parameters, **columns, **metrics}

    def _paragraph(self, trial: Trial) -> str:
        lines = [trial.text()]
        if trial.status == Status.FAILED:
            lines.append(f"Failed: {trial.reason}")
        else:
            lines += ["Valid result:", dict2str(trial.result)]
        if trial.status == Status.STOPPED:
            lines.append("Stopped by the scheduler")
        if trial.test_result:
            lines += ["Test result:", dict2str(trial.test_result)]
        return "\n".join(lines) + "\n"
