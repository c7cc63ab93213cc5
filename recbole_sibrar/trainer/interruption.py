"""Requests to stop: SIGTERM, and the key ``max_hours``."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psutil

from recbole_sibrar.config import training_config
from recbole_sibrar.parallel import processes

SIGTERM, MAX_HOURS = "SIGTERM", "max_hours"
"""Why a run stops."""

STATUS = {SIGTERM: 128 + signal.SIGTERM, MAX_HOURS: os.EX_TEMPFAIL}
"""Exit status of each reason: what shells have for the signal, and the one that asks to try again later."""

_start = time.monotonic() - (time.time() - psutil.Process().create_time())
_requests: list[str] = []
_listener = 0


class TrainingStopped(SystemExit):
    """A training was asked to stop and did; nothing has failed.

    It ends the process, without a traceback and with a status that says why, unless somebody catches it.

    Args:
        reason: :data:`SIGTERM` or :data:`MAX_HOURS`.
        message: Where it stopped and how it goes on.
    """

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(STATUS[reason])
        self.reason = reason
        self.message = message

    def __str__(self) -> str:
        return self.message


@contextmanager
def listening() -> Iterator[None]:
    """Let SIGTERM ask for a stop within a ``with`` block; a second one ends the process at once.

    Nothing changes in other threads than the main one, where signals cannot be handled, nor where the program has a
    handler of its own.
    """
    before = signal.getsignal(signal.SIGTERM)
    if threading.current_thread() is not threading.main_thread() or not _is_nobodys(before):
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
    """Undo what importing Ray has done, whose handler ends a process with another status than the system does.

    For commands, which own their process.
    """
    if threading.current_thread() is threading.main_thread() and _is_nobodys(signal.getsignal(signal.SIGTERM)):
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _is_nobodys(handler: Any) -> bool:
    """Whether a handler is the system's, or the one that ray leaves behind when RecBole imports it."""
    return handler == signal.SIG_DFL or getattr(handler, "__module__", "").startswith("ray.")


def _request(number: int, frame: Any) -> None:
    if _requests or os.getpid() != _listener:  # processes that load data inherit the handler
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGTERM)
    _requests.append(SIGTERM)


def reason_to_stop(config: Any, reserve: float = 0.0) -> str | None:
    """Why this process has to stop now; None if it has not.

    Args:
        config: RecBole's ``Config``.
        reserve: Seconds that stopping takes.
    """
    if _requests:
        return SIGTERM
    hours = training_config(config).max_hours
    if hours is not None and time.monotonic() - _start + reserve >= hours * 3600:
        return MAX_HOURS
    return None


def common_reason(config: Any, reason: str | None) -> str | None:
    """The same for all processes that train one model; all have to ask."""
    if not processes.any_rank(config, reason is not None):
        return None
    return processes.broadcast(config, next((found for found in processes.gather(config, reason) if found), None))
