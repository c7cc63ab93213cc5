"""Record of a search, in files that are complete after every trial."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any

import pandas as pd
import yaml
from recbole.utils import dict2str

from recbole_sibrar.config import ConfigError
from recbole_sibrar.files import check_writable, locked, replacing
from recbole_sibrar.quick_start.group.single_run import CHECKPOINT

__all__ = ["BEST", "STATE", "TABLE", "Record", "Status", "Trial"]

STATE = "search.json"
"""All trials, in the folder of a search; each trial has a folder in ``trials/``."""

TABLE = "trials.csv"
"""A row for each trial."""

BEST = "best.yaml"
"""Full configuration of the best trial."""


class Status(str, Enum):  # StrEnum needs Python 3.11
    """Status of a trial; a scheduler stops a trial if others are better."""

    RUNNING = "running"
    OK = "ok"
    FAILED = "failed"
    STOPPED = "stopped"

    def __str__(self) -> str:
        return str(self.value)


@dataclass
class Trial:
    """A combination of values and its results."""

    number: int
    """Counts from 0 in the order of the suggestions."""
    parameters: dict[str, Any]
    """Keys and values."""
    drawn: dict[str, Any]
    """Draws of Hyperopt: positions of choices, and numbers."""
    status: Status = Status.RUNNING
    """Status."""
    score: float | None = None
    """Best validation score."""
    best_epoch: int | None = None
    """Epoch with that score, from 0."""
    result: dict[str, float] = field(default_factory=dict)
    """All validation metrics of that epoch."""
    seconds: float | None = None
    """Time of reading, training and validation."""
    threads: int | None = None
    """Threads of torch; the last digits of a score depend on them."""
    reason: str = ""
    """Reason of a failure."""
    test_result: dict[str, float] = field(default_factory=dict)
    """Metrics of the test part; only of the best trial, after the search."""

    def take(self, message: dict[str, Any]) -> None:
        """Take a message of the trial's process."""
        self.score = message["best_score"]
        self.result = message["best_result"]
        self.seconds = message["seconds"]
        self.threads = message["threads"]
        self.best_epoch = message.get("best_epoch")

    def text(self) -> str:
        """Return keys and values, in RecBole's form."""
        return ", ".join(f"{key}:{value}" for key, value in self.parameters.items())


def _read_trial(fields: dict[str, Any]) -> Trial:
    """Make a trial from its fields in the file."""
    return Trial(**{**fields, "status": Status(fields["status"])})


def _has_score(trial: Trial) -> bool:
    """Tell trials with a score; that of a failed trial does not count."""
    return trial.status != Status.FAILED and trial.score is not None


class Record:
    """All trials of a search.

    Args:
        output: File of the readable results, beside the folder of all other files.
        identity: Properties of the search; a resumed search must have the same ones.
        bigger: True for a metric with greater values for better models.
        configuration: Returns the full configuration of a trial.
    """

    def __init__(
        self,
        output: Path,
        identity: dict[str, Any],
        bigger: bool,
        configuration: Callable[[Trial], dict[str, Any]],
    ) -> None:
        self.output = output
        self.identity = identity
        self.bigger = bigger
        self.configuration = configuration
        # Without a suffix, the file and the folder would have one name.
        if output.suffix:
            self.folder = output.with_suffix("")
        else:
            self.folder = output.with_name(f"{output.name}.search")
        self.trials: list[Trial] = []
        self.finished = False

    @contextmanager
    def opened(self, resume: bool) -> Iterator[None]:
        """Lock the folder, and start the record or continue the one in the folder.

        Args:
            resume: Continue a search.

        Raises:
            ConfigError: There is a search but ``resume`` is not set, there is none, or it is
                another one.
            DataError: The files cannot be written, or another command is writing them.
        """
        state = self.folder / STATE
        check_writable(self.output, "--output_file")
        check_writable(state, "--output_file")

        with locked(state, "--output_file"):
            if state.is_file():
                self.trials = self._load(resume)
            elif resume:
                found = f"there is no search in {self.folder}"
                raise ConfigError(f"--resume: {found}; leave the option out to start one")
            yield

    def _load(self, resume: bool) -> list[Trial]:
        """Read the trials in the folder."""
        file = self.folder / STATE
        try:
            state = json.loads(file.read_text(encoding="utf-8"))
            identity = state["search"]
            finished = state["finished"]
            trials = [_read_trial(fields) for fields in state["trials"]]
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise ConfigError(
                f"{file} cannot be read ({error}); remove {self.folder} to start anew"
            ) from None

        if not resume:
            kind = "an ended search" if finished else "an unfinished search"
            raise ConfigError(
                f"--output_file: {self.folder} holds {kind}; --resume continues it, another "
                "--output_file leaves it, and a new one needs the folder removed"
            )
        self._check_identity(identity)
        return trials

    def _check_identity(self, found: dict[str, Any]) -> None:
        # JSON turns tuples into lists and keys into text.
        as_in_file = json.loads(json.dumps(self.identity))
        for key, now in as_in_file.items():
            if found.get(key) != now:
                raise ConfigError(
                    f"--resume: the search in {self.folder} has another {key} "
                    f"(found {found.get(key)!r}, now {now!r}); "
                    "give another --output_file to start a new one"
                )

    def start(self, number: int, drawn: dict[str, Any], parameters: dict[str, Any]) -> Trial:
        """Record the start of a trial."""
        trial = Trial(number, parameters, drawn)
        self.trials.append(trial)
        self.finished = False
        self._write_state()
        return trial

    def end(self, trial: Trial, status: Status, reason: str = "") -> bool:
        """Record the end of a trial, and keep only the checkpoint of the best one.

        Args:
            trial: The trial, with its score if there is one.
            status: New status.
            reason: Reason of a failure.

        Returns:
            True for the best trial so far.
        """
        # The best one as long as this trial does not count.
        before = self.best
        trial.status = status
        trial.reason = reason

        # A checkpoint can have gigabytes; only that of the best trial is tested.
        for other in (trial, before):
            if other is not None and other is not self.best:
                checkpoint = self.trial_folder(other) / CHECKPOINT
                shutil.rmtree(checkpoint.parent, ignore_errors=True)

        self.write()
        return trial is self.best

    @property
    def best(self) -> Trial | None:
        """The trial with the best score, the first of equal ones; None without any score."""
        scored = [trial for trial in self.ended if _has_score(trial)]
        return min(scored, key=self.loss, default=None)

    @property
    def ended(self) -> list[Trial]:
        """All trials except running ones."""
        return [trial for trial in self.trials if trial.status != Status.RUNNING]

    def loss(self, trial: Trial) -> float:
        """Return the loss of a trial; infinity for a failed one."""
        if trial.score is None or not _has_score(trial):
            return math.inf
        return -trial.score if self.bigger else trial.score

    @property
    def losses(self) -> list[float]:
        """Losses of all ended trials, in their order."""
        return [self.loss(trial) for trial in self.ended]

    def trial_folder(self, trial: Trial) -> Path:
        """Return the folder of a trial."""
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
            keys = self.configuration(self.best)
            text = yaml.safe_dump(keys, sort_keys=False, allow_unicode=True)
            with replacing(self.folder / BEST) as temporary:
                temporary.write_text(text, encoding="utf-8")

    def _write_state(self) -> None:
        state = {
            "search": self.identity,
            "finished": self.finished,
            "trials": [asdict(trial) for trial in self.trials],
        }
        # Replaced at once: an interruption leaves the state of the trial before.
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
