"""One command at a time for one output."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from recbole_sibrar.data.atomic import DataError


@contextmanager
def locked(output: Path, key: str) -> Iterator[None]:
    """Keep other commands from writing an output while the ``with`` block runs.

    The system lets go of the lock when the process ends, in whatever way; the file ``.<name>.lock`` that a killed
    process leaves beside the output is in nobody's way. Windows and some network file systems have no such locks: there
    nothing is kept away.

    Args:
        output: What is written; its folder exists.
        key: The option that names it, for the message.

    Raises:
        DataError: Another command is writing it.
    """
    if sys.platform == "win32":
        yield
        return
    path = output.with_name(f".{output.name}.lock")
    descriptor = _acquire(path)
    if descriptor is None:
        raise DataError(f"{key}: another command is writing {output} at this moment; wait for it, or name another")
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
        os.close(descriptor)


def _acquire(path: Path) -> int | None:
    """Open and lock a file; None if another process has locked it."""
    import fcntl  # Windows has none

    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return None
        except OSError:
            return descriptor
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(descriptor), path.stat()):
                return descriptor
        os.close(descriptor)  # its owner removed it between the opening and the locking: lock the next one
