"""Processes that a command starts, and that end with it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any


class Children:
    """Processes of a command, which end with it."""

    def __init__(self) -> None:
        self.processes: list[subprocess.Popen[bytes]] = []
        self.stopped = False
        self.lock = threading.Lock()

    def run(self, command: Sequence[str], **options: Any) -> int:
        """Run a process; its exit status."""
        process = self.start(command, **options)
        return process.wait() if process else -signal.SIGTERM

    def start(self, command: Sequence[str], **options: Any) -> subprocess.Popen[bytes] | None:
        """Start a process; None after :meth:`stop`."""
        with self.lock:
            if self.stopped:
                return None
            process = subprocess.Popen(command, **options)
            self.processes.append(process)
        return process

    def stop(self) -> None:
        """End all, and start none any more."""
        with self.lock:
            self.stopped = True
            for process in self.processes:
                process.terminate()


@contextmanager
def interruptible() -> Iterator[None]:
    """``kill`` is Ctrl-C, so that the children end too."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def threads_each(n_processes: int) -> str:
    """``OMP_NUM_THREADS`` for each of some processes at a time: that of this process, else a share of the cores."""
    return os.environ.get("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // n_processes)))


def reason_of(status: int, log: str) -> str:
    """Why a process failed: the signal that ended it, or the last line that it wrote."""
    if status < 0:
        return f"ended by {signal.Signals(-status).name}"
    lines = re.sub(r"\x1b\[[0-9;]*m", "", log).strip().splitlines()
    return re.sub(r"^(\w+\.)+(?=\w+: )", "", lines[-1]) if lines else f"exit status {status}"
