"""Requests to stop: SIGTERM, and the key ``max_hours``."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import psutil

from recbole_sibrar.config import training_config
from recbole_sibrar.parallel import processes
from recbole_sibrar.protocols import ConfigLike

__all__ = [
    "MAX_HOURS",
    "SIGTERM",
    "STATUS",
    "TrainingStopped",
    "common_reason",
    "let_sigterm_end_this_process",
    "listening",
    "reason_to_stop",
]

SIGTERM = "SIGTERM"
"""Reason: the signal, as sent by a batch system before the end of a job."""

MAX_HOURS = "max_hours"
"""Reason: the key ``max_hours``."""

STATUS = {SIGTERM: 128 + signal.SIGTERM, MAX_HOURS: os.EX_TEMPFAIL}
"""Exit status of each reason: the shells' for the signal, and the one for another try later."""

# The hours of max_hours count from the start of the process, with its imports, as those of a batch
# job do.
_start = time.monotonic() - (time.time() - psutil.Process().create_time())
_requests: list[str] = []
_listener = 0


class TrainingStopped(SystemExit):
    """A training has stopped on request; nothing has failed.

    Unless it is caught, it ends the process without a traceback and with the status of the reason.

    Args:
        reason: :data:`SIGTERM` or :data:`MAX_HOURS`.
        message: Place of the stop, and the way to continue.
    """

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(STATUS[reason])
        self.reason = reason
        self.message = message

    def __str__(self) -> str:
        return self.message


@contextmanager
def listening() -> Iterator[None]:
    """Treat SIGTERM as a request to stop within a ``with`` block.

    A second one ends the process at once. Outside the main thread, or with a handler of the program
    itself, nothing changes.
    """
    # Python handles signals in the main thread alone
    before = signal.getsignal(signal.SIGTERM)
    if threading.current_thread() is not threading.main_thread() or not _is_default(before):
        yield
        return

    global _listener
    _listener = os.getpid()
    _requests.clear()
    signal.signal(signal.SIGTERM, _request)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
        _requests.clear()


def let_sigterm_end_this_process() -> None:
    """Restore the system's handler of SIGTERM in the process of a command."""
    # Ray's handler, installed by its import, ends a process with another status than the system
    is_main = threading.current_thread() is threading.main_thread()
    if is_main and _is_default(signal.getsignal(signal.SIGTERM)):
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _is_default(handler: object) -> bool:
    """Tell if a handler is the system's, or the one of Ray, which RecBole imports."""
    module: str = getattr(handler, "__module__", "")
    return handler == signal.SIG_DFL or module.startswith("ray.")


def _request(number: int, frame: FrameType | None) -> None:
    # Processes of a data loader inherit the handler.
    if _requests or os.getpid() != _listener:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGTERM)
    _requests.append(SIGTERM)


def reason_to_stop(config: ConfigLike, reserve: float = 0.0) -> str | None:
    """Return the reason for this process to stop now, or None.

    Args:
        config: RecBole's ``Config``.
        reserve: Seconds needed for stopping.
    """
    if _requests:
        return SIGTERM

    hours = training_config(config).max_hours
    elapsed = time.monotonic() - _start
    if hours is not None and elapsed + reserve >= hours * 3600:
        return MAX_HOURS
    return None


def common_reason(config: ConfigLike, reason: str | None) -> str | None:
    """Agree on a reason between all processes of a training; every one has to call this.

    Args:
        config: RecBole's ``Config``.
        reason: Reason of this process, or None.
    """
    if not processes.any_rank(config, reason is not None):
        return None
    reasons = [found for found in processes.gather(config, reason) if found]
    agreed: str | None = processes.broadcast(config, reasons[0] if reasons else None)
    return agreed
