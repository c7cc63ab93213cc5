"""Reading and writing RecBole's atomic files.

An atomic file is a table whose header names each column as ``field:type``; sequences are separated by
``seq_separator`` inside a cell and an empty cell is a missing value.
"""

from __future__ import annotations

from collections.abc import Iterator
from csv import QUOTE_NONE
from dataclasses import dataclass
from itertools import islice
from os import PathLike
from typing import Any, NoReturn

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
    head = next(_lines(path, encoding), "")
    if head.startswith("\ufeff"):
        raise DataError(f"{path}, line 1: found a byte-order mark, allowed is a header of field:type; save it without")
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
    try:
        frame = pd.read_csv(
            path,
            sep=separator,
            usecols=[field.header for field in fields],
            dtype=str,
            encoding=encoding,
            engine="c" if len(separator) == 1 else "python",
        )
    except pd.errors.ParserError as error:
        raise DataError(f"{path}: {' '.join(str(error).split())}") from None
    if len(frame) < sum(1 for line in _lines(path, encoding) if line) - 1:
        raise DataError(
            f"{path}: found a cell that begins with a quotation mark and ends on another line; remove the mark"
        )
    result: dict[str, Any] = {}
    for field in fields:
        cells = frame[field.header]
        if field.type == "token":
            result[field.name] = cells
        elif field.type == "float":
            result[field.name] = _numbers(path, encoding, field.name, cells)
        elif field.type == "token_seq":
            result[field.name] = _objects([np.array(_split(cell, seq_separator)) for cell in cells.fillna("")])
        else:
            result[field.name] = _vectors(path, encoding, field.name, cells.fillna(""), seq_separator)
    return pd.DataFrame(result)


def _split(cell: str, separator: str) -> list[str]:
    return [element for element in cell.split(separator) if element]


def _objects(rows: list[np.ndarray]) -> pd.Series:
    column = np.empty(len(rows), dtype=object)
    column[:] = rows
    return pd.Series(column)


def _lines(path: str | PathLike[str], encoding: str | None) -> Iterator[str]:
    """The lines of a file without their ends."""
    try:
        with open(path, encoding=encoding or "utf-8") as file:
            for line in file:
                yield line.rstrip("\r\n")
    except UnicodeError:
        raise DataError(
            f"{path}: the text is not {encoding or 'utf-8'}; set the key 'encoding' to what it is"
        ) from None


def _wrong(path: str | PathLike[str], encoding: str | None, row: int, name: str, kind: str, found: str) -> NoReturn:
    """Raise what is wrong in a row of the frame, by the number that the line has in an editor."""
    filled = (number for number, line in enumerate(_lines(path, encoding), 1) if line)
    line = next(islice(filled, row + 1, None))
    raise DataError(f"{path}, line {line}, field '{name}' ({kind}): {found}")


def _numbers(path: str | PathLike[str], encoding: str | None, name: str, cells: pd.Series) -> pd.Series:
    numbers = pd.to_numeric(cells, errors="coerce").astype(np.float64)
    wrong = (numbers.isna() & cells.notna()) | np.isinf(numbers)
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        _wrong(path, encoding, row, name, "float", f"'{cells.iloc[row]}' is not a finite number")
    return numbers


def _vectors(path: str | PathLike[str], encoding: str | None, name: str, cells: pd.Series, separator: str) -> pd.Series:
    """Parse a ``float_seq`` column; all vectors must have one length."""
    rows = [_split(cell, separator) for cell in cells]
    lengths = np.array([len(row) for row in rows])
    dimension = int(lengths[lengths > 0][0]) if lengths.any() else 0
    for row in np.flatnonzero((lengths > 0) & (lengths != dimension)):
        found = (
            f"found {lengths[row]} numbers, but the vectors before it have {dimension}; all vectors of a field must "
        )
        _wrong(path, encoding, row, name, "float_seq", found + "have one length (an empty cell is a missing value)")
    try:
        numbers = np.array([number for row in rows for number in row], dtype=np.float64)
    except ValueError:
        row, number = _first_text(rows)
        _wrong(path, encoding, row, name, "float_seq", f"'{number}' is not a number")
    matrix = np.full((len(rows), dimension), np.nan)
    matrix[lengths > 0] = numbers.reshape(-1, max(dimension, 1))
    finite = np.isfinite(matrix)
    missing = np.isnan(matrix).all(axis=1)
    for row in np.flatnonzero(~finite.all(axis=1) & ~missing):
        found = f"found {matrix[row][~finite[row]][0]} among the numbers; "
        found += "write finite numbers only, or leave the cell empty for a missing value"
        _wrong(path, encoding, row, name, "float_seq", found)
    if missing.all():
        raise DataError(f"{path}, field '{name}' (float_seq): every line is empty; list the field in unload_col")
    empty = np.array([], dtype=np.float64)
    return _objects([empty if missing[row] else vector for row, vector in enumerate(matrix)])


def _first_text(rows: list[list[str]]) -> tuple[int, str]:
    """Row and text of the first cell element that is not a number."""
    for i, row in enumerate(rows):
        for cell in row:
            try:
                float(cell)
            except ValueError:
                return i, cell
    raise AssertionError("called without a cell that is not a number")


def write_frame(
    path: str | PathLike[str],
    fields: list[Field],
    frame: pd.DataFrame,
    separator: str = "\t",
    seq_separator: str = " ",
    encoding: str | None = None,
) -> None:
    """Write an atomic file; what :func:`read_frame` or RecBole reads from it is what ``frame`` holds.

    Args:
        path: The file.
        fields: The columns to write.
        frame: A column for each field, as :func:`read_frame` returns them.
        separator: What separates columns.
        seq_separator: What separates the elements of a sequence.
        encoding: Encoding of the file; None for UTF-8.
    """
    columns: dict[str, Any] = {}
    for field in fields:
        column = frame[field.name]
        if field.type.endswith("seq"):
            column = column.map(lambda row: seq_separator.join(map(str, row)))
        columns[field.header] = column
    table = pd.DataFrame(columns)
    table.to_csv(
        path, sep=separator, index=False, encoding=encoding or "utf-8", lineterminator="\n", quoting=QUOTE_NONE
    )
