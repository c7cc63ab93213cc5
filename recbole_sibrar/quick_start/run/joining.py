"""Wait for the processes of a run; the failure of one ends the others."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, NamedTuple, Protocol

from torch.multiprocessing.spawn import (
    ProcessContext,
    ProcessExitedException,
    ProcessRaisedException,
)

from recbole_sibrar.errors import ConfigError, ProcessError
from recbole_sibrar.trainer.interruption import SIGTERM, STATUS, TrainingStopped

__all__ = ["Failure", "Queue", "join", "reason_of_end"]

_WRONG_INPUT = ("ConfigError", "DataError", "CheckpointError", "ValueError", "NotImplementedError")
"""Errors about the user's input."""

_LOST_CONNECTION = ("Connection closed by peer", "Connection reset", "Broken pipe", "recvBytes")
"""Parts of the messages of torch in a process after the end of another one."""

_JOIN_SECONDS = 0.2


class Queue(Protocol):
    """``SimpleQueue`` of multiprocessing."""

    def empty(self) -> bool:
        """Tell if there is no item."""

    def get(self) -> Any:
        """Take an item out."""

    def put(self, item: object, /) -> None:
        """Put an item in."""


class Failure(NamedTuple):
    """Failure of a process; the earliest is the smallest."""

    time: float
    """Seconds of the monotonic clock."""
    local_rank: int
    """Number of the process on this machine."""
    kind: str
    """Class of the error."""
    message: str
    """Message in one line."""


def join(
    context: ProcessContext, results: Queue, errors: Queue, offset: int
) -> dict[str, Any] | None:
    """Wait for all processes and for the result of rank 0; when one fails, end the others.

    Raises:
        ProcessError: A process has failed.
    """
    result: dict[str, Any] | None = None
    try:
        with _passing_on_sigterm(context):
            while not context.join(timeout=_JOIN_SECONDS):
                # A process with a result larger than a pipe ends only after it was read.
                if not results.empty():
                    result = results.get()
        return result if results.empty() else results.get()
    except (ProcessRaisedException, ProcessExitedException):
        # torch names the process that it saw first, which may have ended because of another one.
        failures: list[Failure] = []
        while not errors.empty():
            failures.append(Failure(*errors.get()))
        statuses = [process.exitcode for process in context.processes]
        raise reason_of_end(failures, statuses, offset) from None
    except BaseException:
        for process in context.processes:
            process.terminate()
        raise


@contextmanager
def _passing_on_sigterm(context: ProcessContext) -> Iterator[None]:
    """Pass SIGTERM on to the processes within a ``with`` block."""

    def pass_on(number: int, frame: FrameType | None) -> None:
        # Without an exception: join goes on to wait until they have saved their state.
        for process in context.processes:
            process.terminate()

    # Signals cannot be handled elsewhere.
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    before = signal.signal(signal.SIGTERM, pass_on)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def reason_of_end(
    failures: list[Failure], statuses: list[int | None], offset: int
) -> BaseException:
    """Find the first failure that does not follow from the end of another process."""
    for reason, status in STATUS.items():
        if status in statuses:
            return TrainingStopped(reason, "stopped as asked for")

    own = [failure for failure in failures if not _lost_connection(failure.message)]
    killed = _killed_rank(statuses, bool(own))
    if killed is not None:
        by = _end_of(statuses[killed] or 0)
        return ProcessError(
            f"rank {offset + killed} was ended by {by}; the other processes were ended too"
        )

    if not failures:
        if -signal.SIGTERM in statuses:
            return TrainingStopped(SIGTERM, "stopped before there was anything to save")
        return ProcessError("a process was ended from outside; the other processes were ended too")

    first = min(own or failures)
    if first.kind in _WRONG_INPUT:
        return ConfigError(first.message)
    return ProcessError(f"rank {offset + first.local_rank} failed: {first.kind}: {first.message}")


def _killed_rank(statuses: list[int | None], has_own_failure: bool) -> int | None:
    """Find the first process that was ended from outside."""
    # Success, an exception, still running, and SIGTERM, by which torch ends the others.
    own_ends = (0, 1, None, -signal.SIGTERM)
    for rank, status in enumerate(statuses):
        if status in own_ends:
            continue
        # NCCL aborts a process after the failure of another one.
        if has_own_failure and status == -signal.SIGABRT:
            return None
        return rank
    return None


def _end_of(status: int) -> str:
    return signal.Signals(-status).name if status < 0 else f"exit status {status}"


def _lost_connection(message: str) -> bool:
    return any(part in message for part in _LOST_CONNECTION)
