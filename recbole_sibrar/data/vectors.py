"""Reading the cells of a ``float_seq`` column into one matrix, without a Python object for each number."""

from __future__ import annotations

from csv import QUOTE_NONE
from dataclasses import dataclass
from io import BytesIO

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

_UNREAD = -1

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
        column = np.empty(len(self.matrix), dtype=object)
        column[:] = list(np.asarray(self.matrix))
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
    """``np.float64`` for exactly the numbers that Python reads, ``np.float32`` for half the memory."""
    strict: bool
    """Whether NaN in a vector is an error even where all its numbers are NaN, which else is a missing value."""
    size: int = 0
    """Length of the vectors; 0 until :meth:`measure` has seen one."""

    def measure(self, text: bytes, cells: np.ndarray) -> None:
        """Take the length of the first vector, where it is not known yet; the arguments are those of :meth:`parse`."""
        if not self.size:
            found = (text[start:end] for start, end in cells if start < end)
            self.size = next((n for cell in found if not _is_missing(cell) and (n := len(self._elements(cell)))), 0)

    def parse(self, text: bytes, cells: np.ndarray, size: int) -> Vectors:
        """Read a block of cells.

        Args:
            text: The text that the cells are in.
            cells: int64 ``[n_rows, 2]``: where each cell begins and ends.
            size: Length of the vectors; 0 where there is none.

        Raises:
            BadCellError: A vector has another length than the first, or what is no finite number.
        """
        out = np.empty((len(cells), size), dtype=self.dtype)
        counts = self._bulk(text, cells, out)
        for row in np.flatnonzero((counts != 0) & (counts != size)):
            counts[row] = self._careful(int(row), text[slice(*cells[row])], out)
        missing = counts == 0
        finite = np.isfinite(out)
        for row in np.flatnonzero(~finite.all(axis=1) & ~missing):
            if not self.strict and np.isnan(out[row]).all():
                missing[row] = True
                continue
            raise BadCellError(
                int(row),
                f"found {out[row][~finite[row]][0]} among the numbers; "
                "write finite numbers only, or leave the cell empty for a missing value",
            )
        out[missing] = np.nan
        return Vectors(out, missing)

    def _bulk(self, text: bytes, cells: np.ndarray, out: np.ndarray) -> np.ndarray:
        """Read the cells of ordinary numbers: how many numbers each has, or that it was not read."""
        counts = np.full(len(cells), _UNREAD)
        if len(self.separator) != 1 or not self.separator.isascii() or not out.size:
            return counts
        filled = np.flatnonzero(cells[:, 0] < cells[:, 1])
        values = _parse_with_arrow([text[start:end] for start, end in cells[filled]], self.separator, out.shape[1])
        if values is not None:
            counts[:] = 0
            counts[filled] = out.shape[1]
            out[filled] = values
        return counts

    def _careful(self, row: int, cell: bytes, out: np.ndarray) -> int:
        """Read one row as Python does: how many numbers it has."""
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
                out[row, i] = float(element)
            except ValueError:
                raise BadCellError(row, f"'{element}' is not a number") from None
        return len(elements)

    def _elements(self, cell: bytes) -> list[str]:
        return [element for element in cell.decode(self.encoding).split(self.separator) if element]


def join_cells(cells: list[bytes]) -> tuple[bytes, np.ndarray]:
    """The text and the positions that :meth:`VectorParser.parse` asks for."""
    ends = np.cumsum([len(cell) + 1 for cell in cells])
    starts = ends - [len(cell) + 1 for cell in cells]
    return b"\n".join(cells), np.stack([starts, ends - 1], axis=1)


def _parse_with_arrow(cells: list[bytes], separator: str, size: int) -> np.ndarray | None:
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
