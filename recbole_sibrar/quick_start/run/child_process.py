"""Child processes of a command; they end together with it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import IO

__all__ = ["Children", "interruptible", "reason_of", "threads_each"]

_COLOURS = re.compile(r"\x1b\[[0-9;]*m")
"""Escape sequences of a terminal."""

_MODULE_OF_ERROR = re.compile(r"^(\w+\.)+(?=\w+: )")
"""Module before the class of an error, in the last line of a traceback."""


class Children:
    """Child processes of a command."""

    def __init__(self) -> None:
        self.processes: list[subprocess.Popen[bytes]] = []
        self.stopped = False
        self.lock = threading.Lock()

    def run(
        self,
        command: Sequence[str],
        *,
        env: Mapping[str, str],
        stdout: IO[bytes],
        stderr: int,
        stdin: int,
    ) -> int:
        """Run a process to its end; return its exit status.

        Args:
            command: Program and arguments.
            env: Environment.
            stdout: As for ``subprocess.Popen``.
            stderr: As for ``subprocess.Popen``.
            stdin: As for ``subprocess.Popen``.
        """
        process = self.start(command, env=env, stdout=stdout, stderr=stderr, stdin=stdin)
        # A process that was not started counts as one that stop has ended.
        return process.wait() if process else -signal.SIGTERM

    def start(
        self,
        command: Sequence[str],
        *,
        env: Mapping[str, str],
        stdout: IO[bytes],
        stderr: int,
        stdin: int,
        pass_fds: Sequence[int] = (),
    ) -> subprocess.Popen[bytes] | None:
        """Start a process; return None after :meth:`stop`.

        Args:
            command: Program and arguments.
            env: Environment.
            stdout: As for ``subprocess.Popen``.
            stderr: As for ``subprocess.Popen``.
            stdin: As for ``subprocess.Popen``.
            pass_fds: File descriptors for the process.
        """
        # Under the lock no process can start between the end of the others and that of the command.
        with self.lock:
            if self.stopped:
                return None
            process = subprocess.Popen(
                command,
                env=env,
                stdout=stdout,
                stderr=stderr,
                stdin=stdin,
                pass_fds=tuple(pass_fds),
            )
            self.processes.append(process)
        return process

    def stop(self) -> None:
        """End all processes and start no others."""
        with self.lock:
            self.stopped = True
            for process in self.processes:
                process.terminate()


@contextmanager
def interruptible() -> Iterator[None]:
    """Treat SIGTERM like Ctrl-C within a ``with`` block, so that the children end too."""
    # Signals cannot be handled elsewhere.
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def threads_each(n_processes: int) -> str:
    """Return ``OMP_NUM_THREADS`` for each of several processes.

    It is the value of this process, else a share of the cores.

    Args:
        n_processes: Number of processes at a time.
    """
    share = max(1, (os.cpu_count() or 1) // n_processes)
    return os.environ.get("OMP_NUM_THREADS", str(share))


def reason_of(status: int, log: str) -> str:
    r"""Return the reason of a failure: a signal, or the last line of the log.

    Args:
        status: Exit status of the process.
        log: Output of the process.

    Example:
        >>> reason_of(1, "Traceback\nsome.module.DataError: no such field")
        'DataError: no such field'
        >>> reason_of(-9, "")
        'ended by SIGKILL'
    """
    if status < 0:
        return f"ended by {signal.Signals(-status).name}"

    lines = _COLOURS.sub("", log).strip().splitlines()
    return _MODULE_OF_ERROR.sub("", lines[-1]) if lines else f"exit status {status}"
