"""Watching Ray's own processes, so that a command ends in one line when they fail.

On a busy machine Ray's processes can end. Ray then raises an exception, ends this process from C++ without one, or lets
it wait for ever.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading

import ray

_ESSENTIAL = ("raylet", "gcs_server")
"""Ray's processes without which nothing goes on."""

_SECONDS = 15.0
"""Time that the command has to end by itself."""

_WITNESS = "import sys; sys.stdin.buffer.read() == b'left' or sys.stderr.write(sys.argv[1] + chr(10))"
"""Program of a process that writes a line when this process has ended without a word."""


class Watch:
    """A watch on the processes that Ray has started for this one.

    Args:
        program: Name of the command.
        reason: What has happened when one of them has ended, and what to do, in one line.
    """

    def __init__(self, program: str, reason: str) -> None:
        self.reason = reason
        self.line = f"{program}: error: {reason}"
        self.left = threading.Event()
        command = [sys.executable, "-I", "-S", "-c", _WITNESS, self.line]
        self.witness = subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True)

    def start(self) -> None:
        """Watch from now on; Ray's processes may start later."""
        if threading.current_thread() is threading.main_thread():  # which alone can be interrupted
            threading.Thread(target=self._wait, daemon=True).start()

    def has_failed(self) -> bool:
        """Tell whether one of Ray's processes has ended."""
        node = ray._private.worker._global_node
        return node is not None and any(kind in _ESSENTIAL for kind, _ in node.dead_processes())

    def close(self) -> None:
        """End the watch; Ray is not used any more."""
        self.left.set()
        self.witness.communicate(b"left")

    def _wait(self) -> None:
        while not self.left.wait(1.0):
            if not self.has_failed():
                continue
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
            if not self.left.wait(_SECONDS):
                print(self.line, file=sys.stderr, flush=True)  # noqa: T201
                self.witness.communicate(b"left")
                os._exit(1)
            return
