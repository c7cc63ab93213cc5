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
    """Keep other commands from writing an output while the ``with`` block runs.

    The system releases the lock when the process ends, in any way. A killed process leaves the file ``.<name>.lock``
    beside the output, and the next command takes it over. Windows and some network file systems have no such locks:
    there, nothing is kept away.

    Args:
        output: A file or folder to write; its parent folder exists.
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
        except OSError:  # a file system without locks
            return descriptor

        # The owner may have removed the file between our opening and our locking it: then lock the next one.
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(descriptor), path.stat()):
                return descriptor
        os.close(descriptor)
