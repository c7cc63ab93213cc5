"""Files that are there as a whole or not at all."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from errno import EISDIR
from pathlib import Path
from tempfile import NamedTemporaryFile

from recbole_sibrar.errors import DataError


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Write a file under a temporary name beside it, which becomes the file's when the ``with`` block ends well.

    Args:
        path: The file.

    Yields:
        Where to write. What is there when the block ends in an exception is removed.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.writing")
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def check_writable(path: Path, key: str) -> None:
    """Make the folder of a file, and try whether a file can be written there.

    Args:
        path: The file.
        key: The key that names it, for the message.

    Raises:
        DataError: It cannot, or ``path`` is a folder.
    """
    try:
        if path.is_dir():
            raise IsADirectoryError(EISDIR, "it is a folder")
        path.parent.mkdir(parents=True, exist_ok=True)
        with NamedTemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        raise DataError(f"{key}: cannot write {path}: {error.strerror or error}") from None


@contextmanager
def locked(output: Path, key: str) -> Iterator[None]:
    """Keep other commands from writing an output within a ``with`` block.

    The system releases the lock when the process ends, in whatever way. A killed process leaves the harmless file
    ``.<name>.lock`` beside the output. There are no locks on Windows and on some network file systems.

    Args:
        output: The output; its folder exists.
        key: The option with the output, for the message.

    Raises:
        DataError: Another command is writing the output.
    """
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
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        if not try_lock(descriptor):
            os.close(descriptor)
            return None

        # The owner may have removed the file between opening and locking; then lock the next one.
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(descriptor), path.stat()):
                return descriptor
        os.close(descriptor)


def try_lock(descriptor: int) -> bool:
    """Lock an open file, for this process and for children with the same open file.

    Args:
        descriptor: The open file.

    Returns:
        False if another process has locked the file; True also where the file system has no locks.
    """
    if sys.platform == "win32":
        return True
    import fcntl  # not there on Windows

    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True
