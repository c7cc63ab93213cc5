"""Files that are there as a whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
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
