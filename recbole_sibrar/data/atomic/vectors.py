"""Reading the cells of a ``float_seq`` column into one matrix, not number by number."""

# PyArrow reads 380 MB of vectors in 2.8 s of processor time. A compiled reader (numba) took 1.1 s,
# but only for the first reading of a file: then there is a cache. That was not worth 165 lines and
# a dependency.

from __future__ import annotations

from csv import QUOTE_NONE
from dataclasses import dataclass
from io import BytesIO
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from recbole_sibrar.data.atomic.formats import Field

FloatType: TypeAlias = type[np.floating[Any]]
"""``np.float64`` or ``np.float32``."""

Positions: TypeAlias = NDArray[np.int64]
"""int64 ``[n_rows, 2]``: begin and end of each cell in a text."""

UNREAD = -1
"""Count of numbers for a row that has not been read."""

_LONGEST_MISSING = 9
"""Length of the longest word for a missing value, ``-1.#QNAN``, in pandas."""


class NotPlainError(Exception):
    """A line is not simply its cells between separators."""


class BadCellError(ValueError):
    """A cell holds no vector.

    Args:
        row: Its row among the rows that were given.
        found: Description of the fault.
    """

    def __init__(self, row: int, found: str) -> None:
        super().__init__(found)
        self.row = row
        self.found = found


@dataclass(frozen=True)
class Vectors:
    """The values of a ``float_seq`` column."""

    matrix: NDArray[np.floating[Any]]
    """float ``[n_rows, size]``; the rows of missing values have no meaning."""
    missing: NDArray[np.bool_]
    """bool ``[n_rows]``: rows without a value."""

    def rows(self) -> pd.Series[Any]:
        """One array per row, a view of ``matrix``; an empty one where the value is missing."""
        # asarray: the rows of a memory map would be memory maps too, which cost more
        column = np.fromiter(np.asarray(self.matrix), dtype=object, count=len(self.matrix))

        # NumPy would spread an empty array over the rows: an array of one object instead
        absent = np.empty(1, dtype=object)
        absent[0] = np.array([], dtype=self.matrix.dtype)
        column[self.missing] = absent
        return pd.Series(column)


@dataclass(frozen=True)
class Split:
    """An atomic file divided into vectors and everything else."""

    rest: bytes
    """The file without its ``float_seq`` columns; separators, encoding and rows are those of the
    file."""
    vectors: dict[Field, Vectors]
    """The ``float_seq`` columns that were read."""


@dataclass
class VectorParser:
    """Reads the cells of one column, block by block; all vectors must have one length."""

    separator: str
    """Separator of the numbers, repeated any number of times, as in RecBole."""
    encoding: str
    """Encoding of the cells."""
    dtype: FloatType
    """``np.float64`` for exactly the numbers that Python reads, ``np.float32`` for these
    rounded."""
    strict: bool
    """True if NaN in a vector is an error even where all its numbers are NaN; else such a vector is
    missing."""
    size: int = 0
    """Length of the vectors; 0 until :meth:`measure` has seen one."""

    def measure(self, text: bytes, cells: Positions) -> None:
        """Take the length of the first vector, where it is not known yet.

        Args:
            text: See :meth:`parse`.
            cells: See :meth:`parse`.
        """
        if self.size:
            return

        for start, end in cells:
            elements = self._elements(text[start:end]) if start < end else []
            if elements:
                self.size = len(elements)
                return

    def parse(
        self, text: bytes, cells: Positions, out: NDArray[np.floating[Any]]
    ) -> NDArray[np.bool_]:
        """Read a block of cells: ordinary ones all at once, the others one by one.

        Args:
            text: The text that the cells are in; a character follows each of them.
            cells: int64 ``[n_rows, 2]``: begin and end of each cell.
            out: ``dtype`` ``[n_rows, size]``, to be filled; NaN where the value is missing.

        Returns:
            bool ``[n_rows]``: rows without a value.

        Raises:
            BadCellError: A vector has another length than the first, or holds no finite number.
            NotPlainError: A cell may end elsewhere for a full reader.
        """
        counts = np.full(len(cells), UNREAD)
        if len(self.separator) == 1 and self.separator.isascii() and out.size:
            self._parse_with_arrow(text, cells, counts, out)

        # rows that are unread, or have another length than the first vector: an error
        for row in np.flatnonzero((counts != 0) & (counts != out.shape[1])):
            cell = text[slice(*cells[row])]
            counts[row] = self._parse_with_python(int(row), cell, out[row])

        missing: NDArray[np.bool_] = counts == 0
        out[missing] = np.nan
        return missing

    def _parse_with_arrow(
        self,
        text: bytes,
        cells: Positions,
        counts: NDArray[np.int64],
        out: NDArray[np.floating[Any]],
    ) -> None:
        """Read all cells, and count the numbers of each, if all cells are ordinary."""
        size = out.shape[1]
        filled = np.flatnonzero(cells[:, 0] < cells[:, 1])
        texts = [text[start:end] for start, end in cells[filled]]
        values = _numbers(texts, self.separator, size)  # [n_filled, size]
        if values is None:
            return

        # a number beyond float32 becomes infinite: the row is read again, for the message
        with np.errstate(over="ignore"):
            out[filled] = values
        is_finite = np.isfinite(out[filled]).all(axis=1)
        counts[:] = 0
        counts[filled] = np.where(is_finite, size, UNREAD)

    def _parse_with_python(self, row: int, cell: bytes, out: NDArray[np.floating[Any]]) -> int:
        """Read one cell into a row of the matrix.

        Returns:
            The count of its numbers; 0 if its value is missing.
        """
        is_plain = not cell.startswith(b'"') and b"\r" not in cell
        if not is_plain and not _is_missing(cell):
            raise NotPlainError

        elements = self._elements(cell)
        values = _to_numbers(row, elements, out)
        finite = np.isfinite(values)
        is_missing = not self.strict and bool(np.isnan(values).all())
        if not finite.all() and not is_missing:
            raise BadCellError(
                row,
                f"found {values[~finite][0]} among the numbers; "
                "write finite numbers only, or leave the cell empty for a missing value",
            )
        return 0 if is_missing else len(elements)

    def _elements(self, cell: bytes) -> list[str]:
        """Split a cell into its elements; none where the value is missing."""
        if _is_missing(cell):
            return []
        elements = cell.decode(self.encoding).split(self.separator)
        return [element for element in elements if element]


def _to_numbers(
    row: int, elements: list[str], out: NDArray[np.floating[Any]]
) -> NDArray[np.floating[Any]]:
    """Read the elements of a cell as Python does, into a row of the matrix."""
    if len(elements) not in (0, len(out)):
        raise BadCellError(
            row,
            f"found {len(elements)} numbers, but the vectors before it have {len(out)}; "
            "all vectors of a field must have one length (an empty cell is a missing value)",
        )

    for i, element in enumerate(elements):
        try:
            with np.errstate(over="ignore"):
                out[i] = float(element)
        except ValueError:
            raise BadCellError(row, f"'{element}' is not a number") from None
    return out[: len(elements)]


def join_cells(cells: list[bytes]) -> tuple[bytes, Positions]:
    """Join cells to a text with their positions, as :meth:`VectorParser.parse` takes them."""
    lengths = np.array([len(cell) for cell in cells], dtype=np.int64)
    # one more for the line break behind each cell
    ends = np.cumsum(lengths + 1) - 1
    positions = np.stack([ends - lengths, ends], axis=1)  # [n_rows, 2]
    return b"\n".join([*cells, b""]), positions


def _numbers(cells: list[bytes], separator: str, size: int) -> NDArray[np.float64] | None:
    """Numbers ``[n_rows, size]`` of cells; None where they are not all ordinary."""
    # a cell with two separators in a row, or another length, is not ordinary
    mark = separator.encode()
    if not cells or any(cell.count(mark) != size - 1 for cell in cells):
        return None

    try:
        # all cells as one text, which Arrow divides in a single call
        text = pa.array([mark.join(cells)], pa.large_string())
        elements = pc.split_pattern(text, separator).values
        numbers: NDArray[np.float64] = elements.cast(pa.float64()).to_numpy()
    except pa.ArrowInvalid:
        return None
    return numbers.reshape(-1, size)


def _is_missing(cell: bytes) -> bool:
    """Tell if a cell is empty, or a word such as ``NA`` for a missing value in RecBole."""
    # most cells are too long for such a word, or plain numbers
    if len(cell) > _LONGEST_MISSING or not cell.strip(b"-.0123456789 \n\r"):
        return not cell

    # RecBole's words are those of pandas: ask pandas itself
    text = BytesIO(b"cell\n" + cell + b"\n")
    table = pd.read_csv(text, sep="\x1f", dtype=str, quoting=QUOTE_NONE)
    return bool(table["cell"].isna().all())
