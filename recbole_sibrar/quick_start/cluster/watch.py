"""Watch on Ray's own processes, so that a command ends in one line when they fail.

On a busy machine Ray's processes can end. Ray then raises an exception, ends this process from C++
without any message, or lets it wait for ever.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading

import ray

__all__ = ["Watch"]

_ESSENTIAL = ("raylet", "gcs_server")
"""Essential processes of Ray."""

_POLL_SECONDS = 1.0

_SECONDS_TO_END = 15.0
"""Time for the command to end by itself."""

_WITNESS = (
    "import sys; sys.stdin.buffer.read() == b'left' or sys.stderr.write(sys.argv[1] + chr(10))"
)
"""Program of the witness: it writes a line if this process ends without a message."""


class Watch:
    """A watch on the processes of Ray for this command.

    Args:
        program: Name of the command.
        reason: One line about a failure of Ray, with advice.
    """

    def __init__(self, program: str, reason: str) -> None:
        self.reason = reason
        self.line = f"{program}: error: {reason}"
        self.left = threading.Event()
        self.leaving = threading.Lock()
        # Isolated and without site-packages, the witness starts in little time and memory.
        command = [sys.executable, "-I", "-S", "-c", _WITNESS, self.line]
        # In a session of its own Ctrl-C does not reach it.
        self.witness = subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True)

    def start(self) -> None:
        """Start the watch; Ray's processes may start later."""
        # No other thread can be interrupted.
        if threading.current_thread() is threading.main_thread():
            threading.Thread(target=self._wait, daemon=True).start()

    def has_failed(self) -> bool:
        """Tell if an essential process of Ray has ended."""
        # Ray has no public access to its processes.
        node = ray._private.worker._global_node
        if node is None:
            return False
        return any(kind in _ESSENTIAL for kind, _ in node.dead_processes())

    def stop(self) -> None:
        """End the watch over Ray's processes."""
        # From now on they end because this process ends them, which is no failure.
        with self.leaving:
            self.left.set()

    def close(self) -> None:
        """End the watch after the last use of Ray."""
        self.stop()
        self.witness.communicate(b"left")

    def _wait(self) -> None:
        while not self.left.wait(_POLL_SECONDS):
            with self.leaving:
                has_failed = not self.left.is_set() and self.has_failed()
                if has_failed:
                    signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
            if has_failed:
                self._end_process()
                return

    def _end_process(self) -> None:
        """End this process if the interrupt of its main thread has no effect."""
        if self.left.wait(_SECONDS_TO_END):
            return

        print(self.line, file=sys.stderr, flush=True)  # noqa: T201
        self.witness.communicate(b"left")
        os._exit(1)
