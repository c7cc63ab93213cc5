"""Reading the cells of a ``float_seq`` column into one matrix, without a Python object for each number."""

from __future__ import annotations

from collections.abc import Callable
from csv import QUOTE_NONE
from dataclasses import dataclass
from io import BytesIO

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

UNREAD = -1
"""The number of numbers in a row that has not been read."""

_LONGEST_MISSING = 9
"""Length of the longest word for a missing value, ``-1.#QNAN``, which pandas knows."""


class NotPlainError(Exception):
    """A line is not simply its cells between separators."""


class BadCellError(ValueError):
    """A cell holds no vector.

    Args:
        row: Its row among the rows that were given.
        found: What is wrong, in words.
        column: Header cell of its column, where several are read.
    """

    def __init__(self, row: int, found: str, column: str = "") -> None:
        super().__init__(found)
        self.row, self.found, self.column = row, found, column


@dataclass(frozen=True)
class Vectors:
    """The values of a ``float_seq`` column."""

    matrix: np.ndarray
    """float ``[n_rows, size]``; the rows of missing values have no meaning."""
    missing: np.ndarray
    """bool ``[n_rows]``: which rows have no value."""

    def rows(self) -> pd.Series:
        """One array per row, a view of ``matrix``; an empty one where the value is missing."""
        column = np.fromiter(np.asarray(self.matrix), dtype=object, count=len(self.matrix))
        absent = np.empty(1, dtype=object)
        absent[0] = np.array([], dtype=self.matrix.dtype)
        column[self.missing] = absent
        return pd.Series(column)


@dataclass
class VectorParser:
    """Reads the cells of one column, a block of rows after the other; all vectors must have one length."""

    separator: str
    """What separates the numbers; any number of times, as in RecBole."""
    encoding: str
    """Encoding of the cells."""
    dtype: type[np.floating]
    """``np.float64`` for exactly the numbers that Python reads, ``np.float32`` for these rounded."""
    strict: bool
    """Whether NaN in a vector is an error even where all its numbers are NaN, which else is a missing value."""
    read_first: Callable[[bytes, np.ndarray, str, np.ndarray], np.ndarray] | None = None
    """A faster reader of the same values, such as :func:`~recbole_sibrar.data.atomic.numerals.parse_cells`."""
    size: int = 0
    """Length of the vectors; 0 until :meth:`measure` has seen one."""

    def measure(self, text: bytes, cells: np.ndarray) -> None:
        """Take the length of the first vector, where it is not known yet; the arguments are those of :meth:`parse`."""
        if not self.size:
            found = (text[start:end] for start, end in cells if start < end)
            self.size = next((n for cell in found if not _is_missing(cell) and (n := len(self._elements(cell)))), 0)

    def parse(self, text: bytes, cells: np.ndarray, out: np.ndarray) -> np.ndarray:
        """Read a block of cells.

        Args:
            text: The text that the cells are in; a character follows each of them.
            cells: int64 ``[n_rows, 2]``: where each cell begins and ends.
            out: ``dtype`` ``[n_rows, size]``, to be filled; NaN where the value is missing.

        Returns:
            bool ``[n_rows]``: which rows have no value.

        Raises:
            BadCellError: A vector has another length than the first, or what is no finite number.
            NotPlainError: A cell may end elsewhere for a full reader.
        """
        counts = np.full(len(cells), UNREAD)
        if len(self.separator) == 1 and self.separator.isascii() and out.size:
            if self.read_first:
                counts = self.read_first(text, cells, self.separator, out)
            self._parse_with_arrow(text, cells, counts, out)
        for row in np.flatnonzero((counts != 0) & (counts != out.shape[1])):
            counts[row] = self._parse_carefully(int(row), text[slice(*cells[row])], out)
        out[counts == 0] = np.nan
        return counts == 0

    def _parse_with_arrow(self, text: bytes, cells: np.ndarray, counts: np.ndarray, out: np.ndarray) -> None:
        """Read the cells that have not been read, and note how many numbers each has, if all of them are ordinary."""
        rows = np.flatnonzero(counts == UNREAD)
        filled = rows[cells[rows, 0] < cells[rows, 1]]
        values = _numbers([text[start:end] for start, end in cells[filled]], self.separator, out.shape[1])
        if values is not None:
            with np.errstate(over="ignore"):
                out[filled] = values
            counts[rows] = 0
            counts[filled] = np.where(np.isfinite(out[filled]).all(axis=1), out.shape[1], UNREAD)

    def _parse_carefully(self, row: int, cell: bytes, out: np.ndarray) -> int:
        """Read one row as Python does: how many numbers it has, 0 if its value is missing."""
        if _is_missing(cell):
            return 0
        if b'"' in cell[:1] or b"\r" in cell:
            raise NotPlainError
        elements = self._elements(cell)
        if len(elements) not in (0, out.shape[1]):
            raise BadCellError(
                row,
                f"found {len(elements)} numbers, but the vectors before it have {out.shape[1]}; "
                "all vectors of a field must have one length (an empty cell is a missing value)",
            )
        for i, element in enumerate(elements):
            try:
                with np.errstate(over="ignore"):
                    out[row, i] = float(element)
            except ValueError:
                raise BadCellError(row, f"'{element}' is not a number") from None
        values = out[row, : len(elements)]
        finite = np.isfinite(values)
        if finite.all():
            return len(elements)
        if not self.strict and np.isnan(values).all():
            return 0
        raise BadCellError(
            row,
            f"found {values[~finite][0]} among the numbers; "
            "write finite numbers only, or leave the cell empty for a missing value",
        )

    def _elements(self, cell: bytes) -> list[str]:
        return [element for element in cell.decode(self.encoding).split(self.separator) if element]


def join_cells(cells: list[bytes]) -> tuple[bytes, np.ndarray]:
    """The text and the positions that :meth:`VectorParser.parse` asks for."""
    lengths = np.array([len(cell) for cell in cells], dtype=np.int64)
    ends = np.cumsum(lengths + 1) - 1
    return b"\n".join([*cells, b""]), np.stack([ends - lengths, ends], axis=1)


def _numbers(cells: list[bytes], separator: str, size: int) -> np.ndarray | None:
    """Numbers ``[n_rows, size]`` of cells; None where they are not all ordinary."""
    if not cells or any(cell.count(separator.encode()) != size - 1 for cell in cells):
        return None
    try:
        text = pa.array([separator.encode().join(cells)], pa.large_string())
        return pc.split_pattern(text, separator).values.cast(pa.float64()).to_numpy().reshape(-1, size)
    except pa.ArrowInvalid:
        return None


def _is_missing(cell: bytes) -> bool:
    """Whether a cell is empty, or a word such as ``NA`` that pandas, and so RecBole, takes for a missing value."""
    if len(cell) > _LONGEST_MISSING or not cell.strip(b"-.0123456789 \n\r"):
        return not cell
    table = pd.read_csv(BytesIO(b"cell\n" + cell + b"\n"), sep="\x1f", dtype=str, quoting=QUOTE_NONE)
    return bool(table["cell"].isna().all())
