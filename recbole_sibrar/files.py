"""Files: the package writes and locks every file, and notes its state, through this module."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from errno import EISDIR
from pathlib import Path
from tempfile import NamedTemporaryFile

from recbole_sibrar.errors import DataError

__all__ = ["check_writable", "locked", "replacing", "states_of_files", "try_lock"]


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Write a file as a whole or not at all.

    The content goes to a temporary file in the same folder. It is renamed when the ``with`` block
    ends well, and removed when the block ends in an exception.

    Args:
        path: The file.

    Yields:
        Path of the temporary file.
    """
    # In the same folder: a rename between two disks is a copy, which can be interrupted.
    temporary = path.with_name(f".{path.name}.{os.getpid()}.writing")
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def states_of_files(folder: Path) -> list[tuple[str, int, int]]:
    """Return name, size and time of the last change of the files in a folder."""
    # Not the content: hashing gigabytes of features would take minutes.
    states: list[tuple[str, int, int]] = []
    for path in sorted(folder.glob("*")):
        if path.is_file():
            state = path.stat()
            states.append((path.name, state.st_size, state.st_mtime_ns))
    return states


def check_writable(path: Path, key: str) -> None:
    """Check that a file can be written; make its folder if there is none.

    Args:
        path: The file.
        key: The configuration key or option that names the file, for the message.

    Raises:
        DataError: The file cannot be written, or ``path`` is a folder.
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

    The lock is the file ``.<name>.lock`` beside the output.

    Args:
        output: The file or folder; its parent folder exists.
        key: The option that names the output, for the message.

    Raises:
        DataError: Another command is writing the output.
    """
    # Windows has no flock: nothing is kept away.
    if sys.platform == "win32":
        yield
        return

    # The system releases the lock when the process ends: the file of a killed one blocks nobody.
    path = output.with_name(f".{output.name}.lock")
    descriptor = _acquire(path)
    if descriptor is None:
        raise DataError(
            f"{key}: another command is writing {output} at this moment; wait for it, or name "
            "another"
        )

    try:
        yield
    finally:
        # The file goes before the lock: afterwards it may be that of another command.
        path.unlink(missing_ok=True)
        os.close(descriptor)


def _acquire(path: Path) -> int | None:
    """Open and lock a file; None if another process has locked it."""
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        if not try_lock(descriptor):
            os.close(descriptor)
            return None

        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(descriptor), path.stat()):
                return descriptor

        # The owner removed the file between our opening and our locking of it: lock the next one.
        os.close(descriptor)


def try_lock(descriptor: int) -> bool:
    """Lock an open file without waiting; closing the file releases the lock.

    A process started with the descriptor inherits the lock.

    Args:
        descriptor: Descriptor of the open file, ``file.fileno()``.

    Returns:
        False if another process has locked the file. True where a file system has no locks.
    """
    # Windows has no such module.
    import fcntl

    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        # A file system without locks, as some of networks: a lock is a courtesy there.
        pass
    return True
