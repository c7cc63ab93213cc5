"""Taking the vectors out of an atomic file block by block; the rest is a small table."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from recbole_sibrar.data.atomic.blocks import Block, keep_cells, read_blocks
from recbole_sibrar.data.atomic.formats import Field
from recbole_sibrar.data.atomic.vectors import (
    BadCellError,
    FloatType,
    NotPlainError,
    Split,
    VectorParser,
    Vectors,
)

if TYPE_CHECKING:
    from recbole_sibrar.data.atomic.file import AtomicFile

_BLOCK = 1 << 20
"""Bytes that are read at a time, few enough for a processor's cache."""

_PROGRESS_FROM = 1 << 29
"""Size in bytes from which on reading shows a progress bar."""


class _Column:
    """A column of vectors. Threads fill its matrix in place, so that no number is copied."""

    def __init__(self, file: AtomicFile, field: Field, position: int, parser: VectorParser) -> None:
        self.file = file
        self.field = field
        self.position = position
        self.parser = parser
        self._matrix: NDArray[np.floating[Any]] = np.empty((0, 0), dtype=parser.dtype)
        self._missing: list[NDArray[np.bool_]] = [np.empty(0, dtype=bool)]

    def measure(self, block: Block) -> None:
        """Take the length of the vectors from a block, where it is not known yet."""
        self.parser.measure(block.text, block.cells[:, self.position])

    def has_room(self, n_rows: int) -> bool:
        """Tell if the matrix has that many rows; it needs none before the first vector."""
        return len(self._matrix) >= n_rows or not self.parser.size

    def make_room(self, n_rows: int) -> None:
        """Give the matrix that many rows; its place in memory changes."""
        if self._matrix.size:
            # in place, as a copy would need the memory twice
            self._matrix.resize((n_rows, self.parser.size), refcheck=False)
            return

        # all rows before the first vector are empty
        n_before = sum(map(len, self._missing))
        self._matrix = np.empty((n_rows, self.parser.size), dtype=self._matrix.dtype)
        self._matrix[:n_before] = np.nan

    def submit(
        self, pool: ThreadPoolExecutor, block: Block, first: int
    ) -> Future[NDArray[np.bool_]]:
        """Start parsing a block whose first row is ``first``."""
        n_rows = len(block.cells)
        cells = block.cells[:, self.position]  # [n_rows, 2]
        out = np.empty((n_rows, 0))
        if self.parser.size:
            out = self._matrix[first : first + n_rows]
        return pool.submit(self.parser.parse, block.text, cells, out)

    def collect(self, future: Future[NDArray[np.bool_]], first: int) -> None:
        """Wait for the next block.

        Raises:
            CellError: One of its cells holds no vector.
        """
        try:
            self._missing.append(future.result())
        except BadCellError as error:
            raise self.file.cell_error(first + error.row, self.field, error.found) from None

    def vectors(self) -> Vectors:
        """Vectors of all blocks."""
        missing = np.concatenate(self._missing)
        # the number of rows was an estimate
        self._matrix.resize((len(missing), self.parser.size), refcheck=False)
        return Vectors(self._matrix, missing)


def split_columns(
    file: AtomicFile,
    fields: list[Field],
    dtype: FloatType,
    strict: bool = False,
) -> Split | None:
    """Divide an atomic file into vectors and everything else.

    Args:
        file: The file.
        fields: The fields to read; other ``float_seq`` columns are skipped.
        dtype: ``np.float64`` for RecBole's numbers, ``np.float32`` for half the memory.
        strict: See :class:`~recbole_sibrar.data.atomic.vectors.VectorParser`.

    Returns:
        Its parts; None where a line is not simply its cells between separators, so that only a full
        reader can tell.

    Raises:
        CellError: A cell of a field holds no vector.
    """
    text_format = file.text_format
    if not text_format.is_plain:
        return None

    columns: list[_Column] = []
    kept: list[int] = []  # positions of the other columns
    for i, field in enumerate(file.header):
        if field.type != "float_seq":
            kept.append(i)
        elif field in fields:
            parser = VectorParser(text_format.seq_separator, text_format.codec, dtype, strict)
            columns.append(_Column(file, field, i, parser))

    separator = text_format.separator.encode()
    names = [field.header.encode(text_format.codec) for field in file.header]
    rest = [separator.join([names[i] for i in kept])]
    n_bytes = os.path.getsize(file.path)
    try:
        with open(file.path, "rb") as stream:
            if stream.readline().rstrip(b"\r\n").split(separator) != names:
                return None  # the header ends in another way than its line

            blocks = read_blocks(stream, _BLOCK, separator, len(names))
            for block in _parsed(blocks, columns, n_bytes):
                rest += keep_cells(block, kept, separator)
    except NotPlainError:
        return None

    vectors = {column.field: column.vectors() for column in columns}
    return Split(b"\n".join([*rest, b""]), vectors)


def _parsed(blocks: Iterator[Block], columns: list[_Column], n_bytes: int) -> Iterator[Block]:
    """Parse the vectors of blocks of lines in threads, and hand the blocks on."""
    n_threads = min(os.cpu_count() or 1, 8)
    # first row of each block, and a future for each column, in the order of the file
    pending: deque[tuple[int, list[Future[NDArray[np.bool_]]]]] = deque()
    n_rows = n_read = 0

    def collect(n_left: int) -> None:
        while len(pending) > n_left:
            first, futures = pending.popleft()
            for column, future in zip(columns, futures, strict=True):
                column.collect(future, first)

    bar = tqdm(
        total=n_bytes,
        unit="B",
        unit_scale=True,
        desc="reading vectors",
        disable=n_bytes < _PROGRESS_FROM,
    )
    with ThreadPoolExecutor(n_threads) as pool, bar:
        for block in blocks:
            first = n_rows
            n_rows += len(block.cells)
            for column in columns:
                column.measure(block)
                if not column.has_room(n_rows):
                    collect(0)  # no thread may write into a matrix while it moves
                    # 5 % more than the rows of this block promise, so that it moves rarely
                    rows_left = (n_bytes - n_read) / block.n_bytes * len(block.cells)
                    column.make_room(n_rows + int(1.05 * rows_left))

            futures = [column.submit(pool, block, first) for column in columns]
            pending.append((first, futures))
            yield block

            n_read += block.n_bytes
            bar.update(block.n_bytes)
            # the texts of few blocks wait in memory, and no thread waits for text
            collect(2 * n_threads)
        collect(0)
