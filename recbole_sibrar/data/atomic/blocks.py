"""Dividing the text of an atomic file into blocks of lines, and these into cells."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import BinaryIO

import numpy as np

from recbole_sibrar.data.atomic.vectors import NotPlainError


@dataclass(frozen=True)
class Block:
    """Some lines of a file."""

    text: bytes
    """What was read."""
    cells: np.ndarray
    """int64 ``[n_rows, n_columns, 2]``: where each cell begins and ends."""
    n_bytes: int
    """Length of the lines."""


def read_blocks(file: BinaryIO, size: int, separator: bytes, width: int) -> Iterator[Block]:
    """Read the lines that are not empty, some at a time.

    Args:
        file: The file, after its header.
        size: Bytes to read at a time; more where a line is longer.
        separator: What separates cells, one byte.
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
        file.seek(end - len(text), os.SEEK_CUR)  # reading half a line again costs less than moving it


def _find_cells(text: bytes, length: int, separator: bytes, width: int) -> np.ndarray:
    """Where the cells of the lines begin and end; int64 ``[n_rows, width, 2]``."""
    bounds: list[int] = []
    n_rows = start = 0
    while start < length:
        newline = text.index(b"\n", start)
        end = newline - 1 if text[newline - 1 : newline] == b"\r" and newline > start else newline
        if end > start:
            bounds.append(start)
            position = text.find(separator, start, end)
            while position >= 0:
                bounds += (position, position + 1)
                position = text.find(separator, position + 1, end)
            bounds.append(end)
            n_rows += 1
            if len(bounds) != 2 * width * n_rows:
                raise NotPlainError
        start = newline + 1
    return np.array(bounds, dtype=np.int64).reshape(n_rows, width, 2)


def keep_cells(block: Block, kept: list[int], separator: bytes) -> list[bytes]:
    """The lines of a block with some of their cells only.

    Args:
        block: The block.
        kept: Positions of the columns whose cells are kept, in order.
        separator: What separates cells.

    Raises:
        NotPlainError: A full reader may see another end of a cell.
    """
    if b'"' in block.text and _has_open_cell(block):
        raise NotPlainError
    runs = [[i for _, i in run] for _, run in groupby(enumerate(kept), lambda pair: pair[1] - pair[0])]  # neighbours
    bounds = [(block.cells[:, run[0], 0].tolist(), block.cells[:, run[-1], 1].tolist()) for run in runs]
    parts = [[block.text[start:end] for start, end in zip(*pair, strict=True)] for pair in bounds]
    lines = [separator.join(row) for row in zip(*parts, strict=True)] if runs else [b""] * len(block.cells)
    if any(b"\r" in line for line in lines):
        raise NotPlainError
    return lines


def _has_open_cell(block: Block) -> bool:
    """Whether a cell, kept or not, begins with a quotation mark and ends behind a separator for a full reader."""
    starts = np.frombuffer(block.text, dtype=np.uint8)[block.cells[:, :, 0]]
    quoted = block.cells[starts == ord('"')].tolist()
    return any(block.text.count(b'"', start, end) % 2 for start, end in quoted)
