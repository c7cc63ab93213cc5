"""Taking the vectors out of an atomic file block by block, so that what is left is a small table."""

from __future__ import annotations

import codecs
import os
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
from tqdm import tqdm

from recbole_sibrar.data.atomic.blocks import Block, keep_cells, read_blocks
from recbole_sibrar.data.atomic.vectors import BadCellError, NotPlainError, VectorParser, Vectors

_BLOCK = 1 << 20
"""Bytes that are read at a time, which a processor's cache can hold."""

_COMPILED_FROM = 350_000_000
"""Bytes of a file from which on the compiled reader pays: it reads a GB in 3 seconds of processor time where PyArrow
takes 9, but loading it takes half a second (the first time ever, when it is compiled, two) and 100 MB of memory."""

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

    @property
    def is_utf8(self) -> bool:
        """Whether the file is in UTF-8."""
        return codecs.lookup(self.encoding or "utf-8").name == "utf-8"


@dataclass(frozen=True)
class Split:
    """An atomic file divided into vectors and everything else."""

    rest: bytes
    """The file without its ``float_seq`` columns; its separators, encoding and rows are the file's."""
    n_rows: int
    """Number of rows."""
    vectors: dict[str, Vectors]
    """The ``float_seq`` columns that were asked for, by the cells of their headers."""


class _Column:
    """A column of vectors, whose matrix threads fill in its place, so that no number is copied."""

    def __init__(self, name: str, position: int, parser: VectorParser) -> None:
        self.name, self.position, self.parser = name, position, parser
        self._matrix = np.empty((0, 0), dtype=parser.dtype)
        self._missing: list[np.ndarray] = [np.empty(0, dtype=bool)]

    def has_room(self, n_rows: int) -> bool:
        """Whether the matrix has that many rows; it needs none before the first vector."""
        return len(self._matrix) >= n_rows or not self.parser.size

    def make_room(self, n_rows: int) -> None:
        """Give the matrix that many rows; its place in memory changes."""
        if not self._matrix.size:
            self._matrix = np.empty((n_rows, self.parser.size), dtype=self._matrix.dtype)
            self._matrix[: sum(map(len, self._missing))] = np.nan
        else:
            self._matrix.resize((n_rows, self.parser.size), refcheck=False)

    def submit(self, pool: ThreadPoolExecutor, block: Block, first: int) -> Future[np.ndarray]:
        """Start parsing a block whose first row is ``first``."""
        n_rows = len(block.cells)
        out = self._matrix[first : first + n_rows] if self.parser.size else np.empty((n_rows, 0))
        return pool.submit(self.parser.parse, block.text, block.cells[:, self.position], out)

    def note(self, missing: np.ndarray) -> None:
        """Take what is missing in the next block."""
        self._missing.append(missing)

    def vectors(self) -> Vectors:
        """All that was read."""
        missing = np.concatenate(self._missing)
        self._matrix.resize((len(missing), self.parser.size), refcheck=False)
        return Vectors(self._matrix, missing)


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
        strict: See :class:`~recbole_sibrar.data.atomic.vectors.VectorParser`.

    Returns:
        Its parts; None where a line is not simply its cells between separators, so that only a full reader can tell.

    Raises:
        BadCellError: A cell of a wanted column holds no vector; ``row`` counts from the first line after the header.
    """
    if not text_format.is_plain:
        return None
    separator, encoding, size = text_format.separator.encode(), text_format.encoding or "utf-8", os.path.getsize(path)
    read_first = _load_compiled() if wanted and size >= _COMPILED_FROM else None
    parser = VectorParser(text_format.seq_separator, encoding, dtype, strict, read_first)
    with open(path, "rb") as file:
        header = file.readline().rstrip(b"\r\n").split(separator)
        names = [cell.decode(encoding) for cell in header]
        kept = [i for i, name in enumerate(names) if name not in vectors]
        columns = [_Column(name, i, replace(parser)) for i, name in enumerate(names) if name in wanted]
        rest = [separator.join([header[i] for i in kept])]
        n_rows = 0
        try:
            for block in _parsed(read_blocks(file, _BLOCK, separator, len(header)), columns, size):
                rest += keep_cells(block, kept, separator)
                n_rows += len(block.cells)
        except NotPlainError:
            return None
    return Split(b"\n".join([*rest, b""]), n_rows, {column.name: column.vectors() for column in columns})


def _load_compiled() -> Callable[[bytes, np.ndarray, str, np.ndarray], np.ndarray] | None:
    """The compiled reader, if the extra ``fast`` is installed."""
    try:
        from recbole_sibrar.data.atomic.numerals import parse_cells
    except ImportError:
        return None
    return parse_cells


def _parsed(blocks: Iterator[Block], columns: list[_Column], n_bytes: int) -> Iterator[Block]:
    """Parse the vectors of blocks of lines in threads, and hand the blocks on."""
    n_threads = min(os.cpu_count() or 1, 8)
    pending: deque[tuple[int, list[Future[np.ndarray]]]] = deque()
    n_rows = n_read = 0

    def collect(n_left: int) -> None:
        while len(pending) > n_left:
            first, futures = pending.popleft()
            for column, future in zip(columns, futures, strict=True):
                try:
                    column.note(future.result())
                except BadCellError as error:
                    raise BadCellError(first + error.row, error.found, column.name) from None

    bar = tqdm(total=n_bytes, unit="B", unit_scale=True, desc="reading vectors", disable=n_bytes < _PROGRESS_FROM)
    with ThreadPoolExecutor(n_threads) as pool, bar:
        for block in blocks:
            first, n_rows = n_rows, n_rows + len(block.cells)
            for column in columns:
                column.parser.measure(block.text, block.cells[:, column.position])
                if not column.has_room(n_rows):
                    collect(0)  # nobody may write into a matrix that moves
                    column.make_room(n_rows + int(1.05 * (n_bytes - n_read) / block.n_bytes * len(block.cells)))
            pending.append((first, [column.submit(pool, block, first) for column in columns]))
            yield block
            n_read += block.n_bytes
            bar.update(block.n_bytes)
            collect(2 * n_threads)
        collect(0)
