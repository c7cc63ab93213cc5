"""Taking the vectors out of an atomic file block by block, so that what is left is a small table."""

from __future__ import annotations

import codecs
import os
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import BinaryIO

import numpy as np
from tqdm import tqdm

from recbole_sibrar.data.vectors import BadCellError, NotPlainError, VectorParser, Vectors

_BLOCK = 1 << 20
"""Bytes that are read at a time, which a processor's cache can hold."""

_PROGRESS_FROM = 1 << 29
"""Bytes of a file from which on reading shows a progress bar."""

_ENCODINGS = {"utf-8", "ascii", "iso8859-1", "iso8859-15", "cp1252"}
"""Encodings whose bytes below 128 are ASCII characters and nothing else."""


@dataclass(frozen=True)
class TextFormat:
    """How an atomic file is written."""

    separator: str = "\t"
    """What separates columns (RecBole's ``field_separator``)."""
    seq_separator: str = " "
    """What separates the elements of a sequence."""
    encoding: str | None = None
    """Encoding of the file; None for UTF-8."""

    @property
    def is_plain(self) -> bool:
        """Whether a line can be divided at a byte, whatever the cells hold."""
        usable = len(self.separator) == 1 and self.separator.isascii() and self.separator not in '"\r\n\\'
        return usable and codecs.lookup(self.encoding or "utf-8").name in _ENCODINGS


@dataclass(frozen=True)
class Split:
    """An atomic file divided into vectors and everything else."""

    rest: bytes
    """The file without its ``float_seq`` columns; its separators, encoding and rows are the file's."""
    n_rows: int
    """Number of rows."""
    vectors: dict[str, Vectors]
    """The ``float_seq`` columns that were asked for, by the cells of their headers."""


@dataclass(frozen=True)
class _Block:
    """Some lines of a file."""

    text: bytes
    """What was read."""
    cells: np.ndarray
    """int64 ``[n_rows, n_columns, 2]``: where each cell begins and ends."""
    n_bytes: int
    """Length of the lines."""


class _Column:
    """A column of vectors while it is read: a matrix that grows in its place, so that it is never there twice."""

    def __init__(self, name: str, position: int, parser: VectorParser) -> None:
        self.name, self.position, self.parser = name, position, parser
        self._matrix = np.empty((0, 0), dtype=parser.dtype)
        self._missing: list[np.ndarray] = []
        self._n_rows = 0

    def submit(self, pool: ThreadPoolExecutor, block: _Block) -> Future[Vectors]:
        """Start parsing a block."""
        cells = np.ascontiguousarray(block.cells[:, self.position])
        self.parser.measure(block.text, cells)
        return pool.submit(self.parser.parse, block.text, cells, self.parser.size)

    def append(self, vectors: Vectors, expected_rows: int) -> None:
        """Append the vectors of a block."""
        before, after = self._n_rows, self._n_rows + len(vectors.missing)
        if not self._matrix.shape[1]:  # the rows before the first vector had no length
            self._matrix = np.empty((max(expected_rows, after), vectors.matrix.shape[1]), dtype=self._matrix.dtype)
            self._matrix[:before] = np.nan
        if after > len(self._matrix):
            self._matrix.resize((after + after // 8, self._matrix.shape[1]), refcheck=False)
        self._matrix[before:after] = vectors.matrix
        self._missing.append(vectors.missing)
        self._n_rows = after

    def vectors(self) -> Vectors:
        """All that was appended."""
        self._matrix.resize((self._n_rows, self._matrix.shape[1]), refcheck=False)
        return Vectors(self._matrix, np.concatenate([np.empty(0, dtype=bool), *self._missing]))


def split_columns(
    path: str | os.PathLike[str],
    vectors: list[str],
    wanted: list[str],
    text_format: TextFormat,
    dtype: type[np.floating],
    strict: bool = False,
) -> Split | None:
    """Read an atomic file, with its vectors in matrices.

    Args:
        path: The file.
        vectors: Header cells of its ``float_seq`` columns.
        wanted: Those of them that are to be read; the others are skipped.
        text_format: How the file is written.
        dtype: ``np.float64`` for RecBole's numbers, ``np.float32`` for half the memory.
        strict: See :class:`~recbole_sibrar.data.vectors.VectorParser`.

    Returns:
        Its parts; None where a line is not simply its cells between separators, so that only a full reader can tell.

    Raises:
        BadCellError: A cell of a wanted column holds no vector; ``row`` counts from the first line after the header.
    """
    if not text_format.is_plain:
        return None
    separator, encoding, size = text_format.separator.encode(), text_format.encoding or "utf-8", os.path.getsize(path)
    parser = VectorParser(text_format.seq_separator, encoding, dtype, strict)
    with open(path, "rb") as file:
        header = file.readline().rstrip(b"\r\n").split(separator)
        names = [cell.decode(encoding) for cell in header]
        kept = [i for i, name in enumerate(names) if name not in vectors]
        columns = [_Column(name, i, replace(parser)) for i, name in enumerate(names) if name in wanted]
        rest = [separator.join([header[i] for i in kept])]
        try:
            for block in _parsed(_blocks(file, separator, len(header)), columns, size):
                rest += _join(block, kept, separator)
        except NotPlainError:
            return None
    return Split(b"\n".join([*rest, b""]), len(rest) - 1, {column.name: column.vectors() for column in columns})


def _blocks(file: BinaryIO, separator: bytes, width: int) -> Iterator[_Block]:
    """The cells of the lines that are not empty, some lines at a time."""
    begun = b""
    while (read := file.read(_BLOCK)) or begun:
        text = begun + (read or b"\n")
        end = text.rfind(b"\n") + 1
        if end:
            yield _Block(text, _find_cells(text, end, separator, width), end)
        begun = text[end:]


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


def _join(block: _Block, kept: list[int], separator: bytes) -> list[bytes]:
    """The lines of a block with some of their cells only."""
    rows = [[block.text[start:end] for start, end in row] for row in block.cells[:, kept].tolist()]
    for row in rows:
        for cell in row:
            if b"\r" in cell or (cell.startswith(b'"') and cell.count(b'"') % 2):
                raise NotPlainError  # a full reader may see another end of this cell
    return [separator.join(row) for row in rows]


def _parsed(blocks: Iterator[_Block], columns: list[_Column], n_bytes: int) -> Iterator[_Block]:
    """Parse the vectors of blocks of lines in threads, and hand the blocks on."""
    n_threads = min(os.cpu_count() or 1, 8)
    pending: deque[tuple[_Block, list[Future[Vectors]]]] = deque()
    first = 0

    def collect() -> int:
        block, futures = pending.popleft()
        for column, future in zip(columns, futures, strict=True):
            try:
                column.append(future.result(), int(1.05 * n_bytes / block.n_bytes * len(block.cells)))
            except BadCellError as error:
                raise BadCellError(first + error.row, error.found, column.name) from None
        return first + len(block.cells)

    bar = tqdm(total=n_bytes, unit="B", unit_scale=True, desc="reading vectors", disable=n_bytes < _PROGRESS_FROM)
    with ThreadPoolExecutor(n_threads) as pool, bar:
        for block in blocks:
            pending.append((block, [column.submit(pool, block) for column in columns]))
            yield block
            bar.update(block.n_bytes)
            if len(pending) > 2 * n_threads:
                first = collect()
        while pending:
            first = collect()
