"""Columns of an atomic file.

They write their cells block by block: wide vectors would fill memory as text.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from tqdm import tqdm

from recbole_sibrar.data.atomic import Field
from recbole_sibrar.errors import DataError

from . import cells
from .raw import RawField

NUMBERS_PER_BLOCK = 2**21
"""Numbers of vectors to write as text at a time (about 25 MB)."""


class Column(Protocol):
    """A column of an atomic file."""

    @property
    def field(self) -> Field:
        """Name and type."""

    @property
    def width(self) -> int:
        """Most numbers or texts in a cell, to choose the size of a block."""

    def text(self, start: int, stop: int) -> pa.Array:
        """Write the cells of rows ``start`` to below ``stop`` as texts, null if missing."""


@dataclass(frozen=True)
class TextColumn:
    """A column of texts."""

    field: Field
    """Name and type."""
    cells: pa.Array
    """``[n]`` texts."""
    width = 1

    def text(self, start: int, stop: int) -> pa.Array:
        """Write the cells of a block."""
        return self.cells[start:stop]


@dataclass(frozen=True)
class CodeColumn:
    """A column of ids, each held once."""

    field: Field
    """Name and type."""
    codes: NDArray[Any]
    """int ``[n]``, position of a row's id."""
    cells: pa.Array
    """The ids as texts."""
    width = 1

    def text(self, start: int, stop: int) -> pa.Array:
        """Write the cells of a block."""
        return self.cells.take(pa.array(self.codes[start:stop]))


@dataclass(frozen=True)
class NumberColumn:
    """A column of numbers."""

    field: Field
    """Name and type."""
    values: NDArray[Any]
    """float or int ``[n]``, NaN if missing."""
    width = 1

    def text(self, start: int, stop: int) -> pa.Array:
        """Write the cells of a block."""
        return cells.number_cells(self.values[start:stop])


@dataclass(frozen=True)
class VectorColumn:
    """A column of vectors, in memory or in a file."""

    field: Field
    """Name and type."""
    matrix: NDArray[Any]
    """float32 ``[m, size]``, a row of NaN for a missing vector."""
    rows: NDArray[Any]
    """int ``[n]``, row in ``matrix`` of a row of the column."""

    @property
    def width(self) -> int:
        """Size of the vectors."""
        return self.matrix.shape[1]

    def text(self, start: int, stop: int) -> pa.Array:
        """Write the cells of a block."""
        return cells.vector_cells(self.matrix[self.rows[start:stop]])


@dataclass(frozen=True)
class FieldColumn:
    """A field of users or items for the kept entities."""

    column: TextColumn | VectorColumn
    """The cells."""
    available: NDArray[Any]
    """bool ``[n]``, True for entities with a value."""
    source: str
    """Its file."""

    @property
    def size(self) -> int:
        """Length of the vectors, or number of different values or labels; 1 for a number."""
        if isinstance(self.column, VectorColumn):
            return self.column.width
        if self.column.field.type == "float":
            return 1
        texts = self.column.cells.drop_null()

        # Labels in a cell are divided by spaces.
        if self.column.field.type == "token_seq":
            texts = pc.list_flatten(pc.split_pattern(texts, " "))
        return len(texts.unique())

    def take(self, rows: NDArray[Any]) -> FieldColumn:
        """Take the field of some of the entities."""
        if isinstance(self.column, VectorColumn):
            column: TextColumn | VectorColumn = VectorColumn(
                self.column.field, self.column.matrix, self.column.rows[rows]
            )
        else:
            column = TextColumn(self.column.field, self.column.cells.take(pa.array(rows)))
        return FieldColumn(column, self.available[rows], self.source)


def read_columns(
    side: str, fields: Sequence[RawField], ids: pd.Index, folder: Path
) -> list[FieldColumn]:
    """Read all fields of one side.

    Args:
        side: ``user`` or ``item``, for messages and the names of files.
        fields: The fields.
        ids: The entities, in the order of the rows.
        folder: Folder for vectors until they are written; one field at a time is in memory.

    Raises:
        DataError: A file has a wrong value, or a number is not finite.
    """
    columns: list[FieldColumn] = []
    for field in tqdm(fields, desc=f"fields of {side}s", unit="field", disable=None):
        if field.type == "float_seq":
            columns.append(_read_vectors(field, ids, folder / f"{side}.{len(columns)}.npy"))
        else:
            columns.append(_read_cells(field, ids))
    return columns


def _read_cells(field: RawField, ids: pd.Index) -> FieldColumn:
    values = field.read(ids)
    if field.type == "float":
        numbers = np.asarray(values, dtype=np.float64)
        infinite = np.isinf(numbers)
        if infinite.any():
            raise DataError(
                f"{_where(field, ids, infinite)} is infinite; allowed are finite numbers"
            )
        texts = cells.number_cells(numbers)
    elif field.type == "token":
        texts = cells.token_cells(values)
    else:
        texts = cells.sequence_cells(values)

    # Nothing may be left of a text: it counts as missing.
    available = texts.is_valid().to_numpy(zero_copy_only=False)
    return FieldColumn(TextColumn(Field(field.name, field.type), texts), available, field.source)


def _read_vectors(field: RawField, ids: pd.Index, file: Path) -> FieldColumn:
    matrix = np.asarray(field.read(ids), dtype=np.float32)
    missing, broken = _states(matrix)
    if broken.any():
        found = matrix[np.argmax(broken)]
        number = found[~np.isfinite(found)][0]
        raise DataError(
            f"{_where(field, ids, broken)} has a number {number}; allowed are finite float32 "
            "numbers"
        )

    # From memory to a file and back as a map, so that only one field at a time is in memory.
    np.save(file, matrix)
    del matrix
    column = VectorColumn(
        Field(field.name, field.type), np.load(file, mmap_mode="r"), np.arange(len(ids))
    )
    return FieldColumn(column, ~missing, field.source)


def _states(matrix: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Find rows of NaN as a whole, and other rows with a number that is not finite.

    Returns:
        bool ``[n]`` for each.
    """
    n = len(matrix)
    missing = np.empty(n, dtype=bool)
    finite = np.empty(n, dtype=bool)

    # A test of all numbers at once would take a quarter of the memory of the matrix.
    block = max(1, NUMBERS_PER_BLOCK // max(1, matrix.shape[1]))
    for start in range(0, n, block):
        rows = slice(start, start + block)
        missing[rows] = np.isnan(matrix[rows]).all(axis=1)
        finite[rows] = np.isfinite(matrix[rows]).all(axis=1)
    return missing, ~finite & ~missing


def _where(field: RawField, ids: pd.Index, wrong: NDArray[Any]) -> str:
    first = ids[np.flatnonzero(wrong)[0]]
    return f"{field.source or field.name}, field '{field.name}': the value of '{first}'"
