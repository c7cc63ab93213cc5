"""Dividing the text of an atomic file into blocks of lines, and these into cells."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from recbole_sibrar.data.atomic.vectors import NotPlainError


@dataclass(frozen=True)
class Block:
    """Some lines of a file."""

    text: bytes
    """Text that was read."""
    cells: NDArray[np.int64]
    """int64 ``[n_rows, n_columns, 2]``: begin and end of each cell."""
    n_bytes: int
    """Length of the lines."""


def read_blocks(file: BinaryIO, size: int, separator: bytes, width: int) -> Iterator[Block]:
    """Read the non-empty lines, some at a time.

    Args:
        file: The file, after its header.
        size: Bytes to read at a time; more where a line is longer.
        separator: Separator of cells, one byte.
        width: Number of cells in each line.

    Raises:
        NotPlainError: A line has another number of cells.
    """
    while text := file.read(size):
        if len(text) < size and b"\n" not in text:
            text += b"\n"  # the last line

        end = text.rfind(b"\n") + 1
        if end:
            yield Block(text, _find_cells(text, end, separator, width), end)
        else:
            size *= 2

        # reading half a line again costs less than moving it
        file.seek(end - len(text), os.SEEK_CUR)


def _find_cells(text: bytes, length: int, separator: bytes, width: int) -> NDArray[np.int64]:
    """Find begin and end of each cell, int64 ``[n_rows, width, 2]``."""
    bounds: list[int] = []
    n_rows = start = 0

    while start < length:
        newline = text.index(b"\n", start)
        end = newline
        if newline > start and text[newline - 1 : newline] == b"\r":
            end -= 1

        if end > start:
            bounds.append(start)
            position = text.find(separator, start, end)
            while position >= 0:
                bounds += (position, position + 1)
                position = text.find(separator, position + 1, end)
            bounds.append(end)

            # the end of one cell and the begin of the next lie one byte apart
            n_rows += 1
            if len(bounds) != 2 * width * n_rows:
                raise NotPlainError
        start = newline + 1

    return np.array(bounds, dtype=np.int64).reshape(n_rows, width, 2)


def keep_cells(block: Block, kept: list[int], separator: bytes) -> list[bytes]:
    """Reduce the lines of a block to some of their cells.

    Args:
        block: The block.
        kept: Positions of the kept columns, ascending.
        separator: Separator of cells.

    Raises:
        NotPlainError: A full reader may see another end of a cell.
    """
    if b'"' in block.text and _has_open_cell(block):
        raise NotPlainError

    runs = _runs(kept)
    lines = [b""] * len(block.cells)
    if runs:
        parts = [_text_of(block, first, last) for first, last in runs]
        lines = [separator.join(row) for row in zip(*parts, strict=True)]

    # for a full reader, a carriage return inside a line ends it
    if any(b"\r" in line for line in lines):
        raise NotPlainError
    return lines


def _runs(positions: list[int]) -> list[tuple[int, int]]:
    """First and last position of each run of neighbours: they are copied as one piece of text."""
    runs: list[tuple[int, int]] = []
    for position in positions:
        if runs and runs[-1][1] == position - 1:
            runs[-1] = (runs[-1][0], position)
        else:
            runs.append((position, position))
    return runs


def _text_of(block: Block, first: int, last: int) -> list[bytes]:
    """Text of neighbouring columns, one piece a line."""
    starts = block.cells[:, first, 0].tolist()
    ends = block.cells[:, last, 1].tolist()
    return [block.text[start:end] for start, end in zip(starts, ends, strict=True)]


def _has_open_cell(block: Block) -> bool:
    """Tell if a cell, kept or not, has an open quotation mark: it goes on for a full reader."""
    starts = np.frombuffer(block.text, dtype=np.uint8)[block.cells[:, :, 0]]
    quoted = block.cells[starts == ord('"')].tolist()  # [n_quoted, 2]
    # two marks inside a quoted cell stand for one: an even number is closed
    return any(block.text.count(b'"', start, end) % 2 for start, end in quoted)
