"""Files of CiteULike-a with a list in each line: its length, then its entries."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from recbole_sibrar.errors import DataError


def read_lines(path: Path, encoding: str = "utf-8") -> list[str]:
    """Read the lines of a file.

    Raises:
        DataError: It cannot be read.
    """
    try:
        return path.read_text(encoding=encoding).splitlines()
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise DataError(f"{path}: the text is not {encoding}") from None


def read_lists(
    path: Path, limit: int | None = None, counted: bool = False
) -> list[NDArray[np.int64]]:
    r"""Read the numbers of each line, without its length.

    Args:
        path: The file.
        limit: Numbers are below it; None for any.
        counted: True for entries ``number:count``, of which the numbers are read.

    Raises:
        DataError: A length is wrong, or an entry has another form.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as folder:
        ...     file = Path(folder) / "users.dat"
        ...     _ = file.write_text("2 7 3\n0\n")
        ...     [numbers.tolist() for numbers in read_lists(file)]
        [[7, 3], []]
    """
    lists = []
    for number, line in enumerate(read_lines(path), start=1):
        length, *entries = line.split() or [""]

        # A wrong length shows a file cut off in the middle of a line.
        if length != str(len(entries)):
            found = f"found the length '{length}' before {len(entries)} entries"
            raise DataError(f"{path}, line {number}: {found}, allowed is the number of entries")

        lists.append(_numbers(path, number, entries, limit, counted))
    return lists


def _numbers(
    path: Path, line: int, entries: list[str], limit: int | None, counted: bool
) -> NDArray[np.int64]:
    """Read the entries of a line."""
    numbers = [entry.partition(":")[0] for entry in entries] if counted else entries
    form = "number:count with a number" if counted else "a number"

    for text, entry in zip(numbers, entries, strict=True):
        if not (text.isascii() and text.isdigit()) or (limit is not None and int(text) >= limit):
            below = "" if limit is None else f" below {limit}"
            raise DataError(
                f"{path}, line {line}: found '{entry}', allowed is {form} from 0 on{below}"
            )
    return np.array(numbers, dtype=np.int64)
