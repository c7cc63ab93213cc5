"""Reading RecBole's atomic files.

An atomic file is a table whose header names each column as ``field:type``; sequences are separated by
``seq_separator`` inside a cell and an empty cell is a missing value.
"""

from __future__ import annotations

from dataclasses import dataclass
from os import PathLike
from typing import Any

import numpy as np
import pandas as pd

FIELD_TYPES = ("token", "token_seq", "float", "float_seq")
"""The field types of an atomic file."""


class DataError(ValueError):
    """A data file does not hold what it should; the message names the file, what was found and what is allowed."""


@dataclass(frozen=True)
class Field:
    """One column of an atomic file."""

    name: str
    """Name of the field, without its type."""
    type: str
    """One of :data:`FIELD_TYPES`."""

    @property
    def header(self) -> str:
        """The column's cell of the header line."""
        return f"{self.name}:{self.type}"


def read_header(path: str | PathLike[str], separator: str = "\t", encoding: str | None = None) -> list[Field]:
    """Read the header of an atomic file.

    Args:
        path: The file.
        separator: What separates columns (RecBole's ``field_separator``).
        encoding: Encoding of the file; None for the platform's.

    Returns:
        The fields, in the order of the columns.

    Raises:
        DataError: A column is not ``field:type`` with a known type, or a field occurs twice.
    """
    with open(path, encoding=encoding) as file:
        head = file.readline().rstrip("\r\n")
    fields: list[Field] = []
    for cell in head.split(separator):
        name, found, kind = cell.rpartition(":")
        if not found or kind not in FIELD_TYPES:
            allowed = ", ".join(FIELD_TYPES)
            raise DataError(f"{path}, line 1: column '{cell}' is not 'field:type' with a type of {allowed}")
        if name in {field.name for field in fields}:
            raise DataError(f"{path}, line 1: field '{name}' occurs twice")
        fields.append(Field(name, kind))
    return fields


def read_frame(
    path: str | PathLike[str],
    fields: list[Field],
    separator: str = "\t",
    seq_separator: str = " ",
    encoding: str | None = None,
) -> pd.DataFrame:
    """Read columns of an atomic file into the frame that RecBole's own reader makes of them.

    Args:
        path: The file.
        fields: The columns to read, in the order of :func:`read_header`.
        separator: What separates columns.
        seq_separator: What separates the elements of a sequence.
        encoding: Encoding of the file; None for the platform's.

    Returns:
        One column per field: ``token`` as str (NaN where empty), ``float`` as float64, sequences as an
        array per row: str for ``token_seq``, float64 for ``float_seq``, empty where the cell is.

    Raises:
        DataError: A number cannot be read, or the vectors of a ``float_seq`` differ in length.
    """
    frame = pd.read_csv(
        path,
        sep=separator,
        usecols=[field.header for field in fields],
        dtype=str,
        encoding=encoding,
        engine="c" if len(separator) == 1 else "python",
    )
    result: dict[str, Any] = {}
    for field in fields:
        cells = frame[field.header]
        if field.type == "token":
            result[field.name] = cells
        elif field.type == "float":
            result[field.name] = _numbers(path, field.name, cells)
        elif field.type == "token_seq":
            result[field.name] = _objects([np.array(_split(cell, seq_separator)) for cell in cells.fillna("")])
        else:
            result[field.name] = _vectors(path, field.name, cells.fillna(""), seq_separator)
    return pd.DataFrame(result)


def _split(cell: str, separator: str) -> list[str]:
    return [element for element in cell.split(separator) if element]


def _objects(rows: list[np.ndarray]) -> pd.Series:
    column = np.empty(len(rows), dtype=object)
    column[:] = rows
    return pd.Series(column)


def _numbers(path: str | PathLike[str], name: str, cells: pd.Series) -> pd.Series:
    numbers = pd.to_numeric(cells, errors="coerce").astype(np.float64)
    wrong = (numbers.isna() & cells.notna()) | np.isinf(numbers)
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        raise DataError(f"{path}, line {row + 2}, field '{name}' (float): '{cells.iloc[row]}' is not a finite number")
    return numbers


def _vectors(path: str | PathLike[str], name: str, cells: pd.Series, separator: str) -> pd.Series:
    """Parse a ``float_seq`` column; all vectors must have one length."""
    rows = [_split(cell, separator) for cell in cells]
    lengths = np.array([len(row) for row in rows])
    dimension = _dimension(path, name, lengths)
    flat = [number for row in rows for number in row]
    try:
        numbers = np.array(flat, dtype=np.float64)
    except ValueError:
        line, number = _first_text(rows)
        raise DataError(f"{path}, line {line}, field '{name}' (float_seq): '{number}' is not a number") from None
    matrix = numbers.reshape(-1, dimension)
    _check_finite(path, name, matrix, np.flatnonzero(lengths))
    filled = iter(matrix)
    empty = np.array([], dtype=np.float64)
    vectors = [next(filled) if length else empty for length in lengths]
    return _objects([empty if np.isnan(vector).all() else vector for vector in vectors])


def _dimension(path: str | PathLike[str], name: str, lengths: np.ndarray) -> int:
    filled = lengths[lengths > 0]
    if not len(filled):
        raise DataError(f"{path}, field '{name}' (float_seq): every line is empty; list the field in unload_col")
    dimension = int(filled[0])
    ragged = np.flatnonzero((lengths > 0) & (lengths != dimension))
    if len(ragged):
        row = int(ragged[0])
        raise DataError(
            f"{path}, line {row + 2}, field '{name}' (float_seq): found {lengths[row]} numbers, but the vectors "
            f"before it have {dimension}; all vectors of a field must have one length "
            "(an empty cell is a missing value)"
        )
    return dimension


def _first_text(rows: list[list[str]]) -> tuple[int, str]:
    for i, row in enumerate(rows):
        for cell in row:
            try:
                float(cell)
            except ValueError:
                return i + 2, cell
    raise AssertionError("called without a cell that is not a number")


def _check_finite(path: str | PathLike[str], name: str, matrix: np.ndarray, rows: np.ndarray) -> None:
    finite = np.isfinite(matrix)
    partly = ~finite.all(axis=1) & ~np.isnan(matrix).all(axis=1)
    if partly.any():
        row = int(np.flatnonzero(partly)[0])
        value = matrix[row][~finite[row]][0]
        raise DataError(
            f"{path}, line {rows[row] + 2}, field '{name}' (float_seq): found {value} among the numbers; "
            "write finite numbers only, or leave the cell empty for a missing value"
        )
