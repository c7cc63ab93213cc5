"""Checking the number of cells in the rows of an atomic file, and finding the line of a row.

pandas, and so RecBole, drops the cells that a row has too many, fills those that it lacks with
missing values, and shifts all columns where the first row is too long.
"""

from __future__ import annotations

import csv
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from typing import BinaryIO, NamedTuple, TextIO

import numpy as np

from recbole_sibrar.data.atomic.formats import SEPARATORS, TextFormat

_BLOCK = 1 << 20
"""Bytes that are checked at a time, few enough for a processor's cache."""


class BadRowError(ValueError):
    """A row cannot be divided into the cells of its header.

    Args:
        line: Number of its line, as an editor counts.
        found: Description of the fault.
    """

    def __init__(self, line: int, found: str) -> None:
        super().__init__(found)
        self.line = line
        self.found = found


class NullByteError(BadRowError):
    """A cell holds a NUL byte; pandas' fast reader ends the cell there."""


class Record(NamedTuple):
    """One row of a file; a quoted cell can make it several lines."""

    line: int
    """Number of its first line."""
    last_line: int
    """Number of its last line."""
    cells: list[str]
    """Its cells, without quotation marks around them."""


def check_rows(
    path: str | os.PathLike[str],
    text_format: TextFormat,
    line_breaks: bool = False,
) -> None:
    """Check that all rows have as many cells as the header; blank lines are no rows.

    Args:
        path: The file.
        text_format: Its format.
        line_breaks: Whether a quoted cell may hold ends of lines, as RecBole reads it.

    Raises:
        BadRowError: A row has more or fewer cells, or a quotation mark is not closed.
        NullByteError: A cell holds a NUL byte.
        UnicodeError: The file is in another encoding.
    """
    is_checked = text_format.is_plain and _check_bytes(path, text_format)
    if not is_checked:
        _check_text(path, text_format, line_breaks)


def _check_bytes(path: str | os.PathLike[str], text_format: TextFormat) -> bool:
    r"""Check a file by counting bytes.

    Returns:
        True if that was possible; False where a cell begins with a quotation mark, or lines end
        otherwise than in ``\n`` or ``\r\n``.
    """
    separator = text_format.separator.encode()
    with open(path, "rb") as file:
        header = file.readline()
        width = header.count(separator) + 1
        # a carriage return inside the header ends its line for pandas
        if header.rstrip(b"\r\n").count(b"\r") or not header.strip():
            return False

        line = 2  # as an editor counts
        for text in _blocks_of_lines(file):
            # a cell that begins with a quotation mark may hold separators and ends of lines
            if text.startswith(b'"') or b'\n"' in text or separator + b'"' in text:
                return False
            if b"\r" in text and text.count(b"\r") != text.count(b"\r\n"):
                return False
            line += _check_block(text, separator, width, line)
    return True


def _blocks_of_lines(file: BinaryIO) -> Iterator[bytes]:
    r"""Read the rest of a file in blocks of whole lines; each line ends in ``\n``."""
    size = _BLOCK
    while text := file.read(size):
        end = text.rfind(b"\n") + 1
        if not end and len(text) < size:
            yield text + b"\n"  # the last line
            return

        if end:
            yield text[:end]
        else:
            size *= 2
        file.seek(end - len(text), os.SEEK_CUR)


def _check_block(text: bytes, separator: bytes, width: int, first_line: int) -> int:
    """Check lines without quoted cells.

    Returns:
        Number of lines.
    """
    data = np.frombuffer(text, dtype=np.uint8)
    ends = np.flatnonzero(data == ord("\n"))
    lengths = np.diff(ends, prepend=-1) - 1
    if b"\r" in text:
        # byte -1 of a block is its last, \n
        lengths = lengths - (data[ends - 1] == ord("\r"))

    # [n_lines]: the separators before each end of a line, less those before the previous one
    separators = np.flatnonzero(data == ord(separator))
    n_cells = np.diff(np.searchsorted(separators, ends), prepend=0) + 1

    for row in np.flatnonzero((n_cells != width) & (lengths > 0)):
        start = ends[row - 1] + 1 if row else 0
        # any byte is a character of latin-1, and pandas takes a line of spaces for a blank one
        line = text[start : ends[row]].decode("latin-1").rstrip("\r")
        if n_cells[row] > 1 or line.strip():
            found = _describe_width(line.split(separator.decode()), width)
            raise BadRowError(first_line + int(row), found)

    if b"\0" in text:
        n_before = text.count(b"\n", 0, text.index(b"\0"))
        raise NullByteError(first_line + n_before, _NULL_BYTE)
    return len(ends)


_NULL_BYTE = "found a NUL byte, allowed is text; the file was damaged or is in another encoding"

_LINE_BREAK = (
    "found a cell that begins with a quotation mark and ends on another line; remove the mark"
)


def _check_text(path: str | os.PathLike[str], text_format: TextFormat, line_breaks: bool) -> None:
    """Check a file line by line."""
    records = read_records(path, text_format)
    width = len(next(records, Record(1, 1, [])).cells)
    for line, last_line, cells in records:
        if last_line > line and not line_breaks:
            raise BadRowError(line, _LINE_BREAK)
        if len(cells) != width:
            raise BadRowError(line, _describe_width(cells, width))
        if "\0" in "".join(cells):
            raise NullByteError(line, _NULL_BYTE)


def read_records(path: str | os.PathLike[str], text_format: TextFormat) -> Iterator[Record]:
    """Read the header and the rows of a file without blank lines, divided as pandas divides them.

    Args:
        path: The file.
        text_format: Its format.

    Raises:
        BadRowError: A quotation mark begins a cell and is not closed, or only within another line.
        UnicodeError: The file is in another encoding.
    """
    with open(path, encoding=text_format.codec, newline="") as lines:
        divide = _divide_as_csv if len(text_format.separator) == 1 else _divide_as_pattern
        # An open mark reaches to the end of the file, in its last row: that one is checked in
        # addition. So rows come out one step late.
        last = None
        for record in divide(lines, text_format.separator):
            if len(record.cells) < 2 and not "".join(record.cells).strip():
                continue

            if last is not None:
                yield last
            if record.last_line > record.line:
                _check_closed(path, text_format, record)
            last = record

    if last is not None:
        _check_closed(path, text_format, last)
        yield last


def _divide_as_csv(lines: TextIO, separator: str) -> Iterator[Record]:
    """Divide lines as pandas does: a cell that begins with a quotation mark ends with the next."""
    with _long_cells():
        reader = csv.reader(lines, delimiter=separator)
        line = 1
        try:
            for cells in reader:
                yield Record(line, reader.line_num, cells)
                line = reader.line_num + 1
        except csv.Error as error:
            # Python 3.10 reads no NUL bytes
            found = _NULL_BYTE if "NUL" in str(error) else str(error)
            raise NullByteError(line, found) from None


def _divide_as_pattern(lines: TextIO, separator: str) -> Iterator[Record]:
    """Divide lines by a separator of several characters as pandas does, which knows no quotes."""
    for number, line in enumerate(lines, 1):
        cells = line.rstrip("\r\n").split(separator)
        # pandas strips lines; a separator of white space at an end may be an empty cell
        stripped = line.strip().split(separator)
        if len(stripped) == len(cells):
            cells = stripped
        yield Record(number, number, cells)


def _check_closed(path: str | os.PathLike[str], text_format: TextFormat, record: Record) -> None:
    """Check that quoted cells end with their quotation mark."""
    if len(text_format.separator) > 1:
        return

    with open(path, encoding=text_format.codec, newline="") as lines, _long_cells():
        own_lines = islice(lines, record.line - 1, record.last_line)
        try:
            next(csv.reader(own_lines, delimiter=text_format.separator, strict=True), None)
        except csv.Error as error:
            if record.last_line > record.line or "end of data" in str(error):
                raise BadRowError(record.line, _OPEN_QUOTE) from None


_OPEN_QUOTE = (
    "found a quotation mark that begins a cell and does not end with it; remove the mark, or write "
    'a quoted cell as "...", with "" for each mark inside'
)


@contextmanager
def _long_cells() -> Iterator[None]:
    """Let the ``csv`` module read cells of any length."""
    limit = csv.field_size_limit(sys.maxsize)
    try:
        yield
    finally:
        csv.field_size_limit(limit)


def _describe_width(cells: list[str], width: int) -> str:
    """Describe a row with another number of cells than the header."""
    found = f"found {len(cells)} cell{'s' * (len(cells) > 1)}, allowed are {width} as in the header"
    if "\0" in "".join(cells):
        return (
            f"{found}; there are NUL bytes in it: the file was damaged, or not written to its end"
        )

    if len(cells) == 1:
        for other, name in SEPARATORS.items():
            if cells[0].count(other) == width - 1:
                return f"{found}; its cells seem to be separated by {name}"
        return found

    if len(cells) < width:
        return f"{found}; a missing value is an empty cell between its separators"
    if not any(cells[width:]):
        return f"{found}; the line ends in a separator too many"
    return found


def line_of(path: str | os.PathLike[str], text_format: TextFormat, row: int) -> int:
    """Find the number of a row's line, as an editor counts.

    Args:
        path: The file.
        text_format: Its format.
        row: Position of the row, from 0 for the first after the header.
    """
    records = islice(read_records(path, text_format), row + 1, None)
    return next(records).line
