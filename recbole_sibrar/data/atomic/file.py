"""Reading an atomic file.

An atomic file is a table whose header names each column as ``field:type``; sequences are separated
by ``seq_separator`` inside a cell and an empty cell is a missing value.

The cells of vectors go straight into a matrix (:mod:`~recbole_sibrar.data.atomic.columns`, or the
cache of an earlier reading); all other cells are read as text
(:mod:`~recbole_sibrar.data.atomic.tables`).
"""

from __future__ import annotations

import dataclasses
from csv import QUOTE_NONE
from dataclasses import dataclass
from functools import cached_property
from os import PathLike
from typing import Any

import numpy as np
import pandas as pd

from recbole_sibrar.data.atomic.cache import Cache
from recbole_sibrar.data.atomic.columns import split_columns
from recbole_sibrar.data.atomic.formats import Field, TextFormat
from recbole_sibrar.data.atomic.header import parse_header, undecodable
from recbole_sibrar.data.atomic.rows import BadRowError, NullByteError, check_rows, line_of
from recbole_sibrar.data.atomic.tables import read_cells, read_rest
from recbole_sibrar.data.atomic.vectors import (
    BadCellError,
    FloatType,
    NotPlainError,
    Split,
    VectorParser,
    Vectors,
    join_cells,
)
from recbole_sibrar.errors import DataError


class RowError(DataError):
    """A row cannot be divided into the cells of its header, so that the file is unreadable."""


class CellError(DataError):
    """A cell holds no value of its field's type; RecBole reads some of them in a way of its own."""


@dataclass(frozen=True)
class AtomicFile:
    """An atomic file on disk."""

    path: str | PathLike[str]
    """Path of the file."""
    text_format: TextFormat = dataclasses.field(default_factory=TextFormat)
    """Separators and encoding."""

    @cached_property
    def header(self) -> list[Field]:
        """The fields, in the order of the columns; read once.

        Raises:
            DataError: A column is not ``field:type`` with a known type, or a field occurs twice.
        """
        return parse_header(self.path, self.text_format)

    def read(
        self,
        fields: list[Field] | None = None,
        *,
        dtype: FloatType = np.float64,
        strict: bool = False,
        use_cache: bool = False,
    ) -> pd.DataFrame:
        """Read columns into the frame that RecBole's own reader makes of them.

        Args:
            fields: The columns, in the order of the header; None for all.
            dtype: Type of the numbers of a ``float_seq``: RecBole's float64, or float32 for half
                the memory.
            strict: Whether the frame is for RecBole itself. RecBole reads cells of several lines,
                and its own code reads a vector with NaN differently, so that NaN is an error.
            use_cache: Whether to read the cache; if there is none and the file is large enough, one
                is written.

        Returns:
            One column per field: ``token`` as str (NaN where empty), ``float`` as float64,
            sequences as an array per row: str for ``token_seq``, ``dtype`` for ``float_seq`` (views
            of one matrix), empty where the cell is.

        Raises:
            DataError: The file does not hold what it should.
        """
        columns = self.header if fields is None else fields
        cache = Cache.of(self, dtype) if use_cache else None

        cached = None if cache is None else cache.load(columns)
        split = self._split(columns, dtype, strict) if cached is None else cached
        frame = self._frame(columns, split, dtype, strict)

        if cache is not None and cached is None and split is not None:
            cache.store(split)
        return frame

    def check_text(self, line_breaks: bool = False) -> None:
        """Check that all rows have as many cells as the header.

        Args:
            line_breaks: Whether a quoted cell may hold ends of lines.

        Raises:
            RowError: A row has more or fewer cells than the header.
            DataError: The file holds a NUL byte, or has another encoding.
        """
        try:
            check_rows(self.path, self.text_format, line_breaks)
        except BadRowError as error:
            kind = DataError if isinstance(error, NullByteError) else RowError
            raise kind(f"{self.path}, line {error.line}: {error.found}") from None
        except UnicodeError:
            raise undecodable(self.path, self.text_format.encoding) from None

    def line_of(self, row: int) -> int:
        """Find the number of a row's line, as an editor counts.

        Args:
            row: Position of the row, from 0 for the first after the header.
        """
        return line_of(self.path, self.text_format, row)

    def cell_error(self, row: int, field: Field, found: str) -> CellError:
        """Error for a cell, with its line and field.

        Args:
            row: Position of the row, from 0 for the first after the header.
            field: The field.
            found: Description of the fault.
        """
        return CellError(
            f"{self.path}, line {self.line_of(row)}, field '{field.name}' ({field.type}): {found}"
        )

    def _split(self, fields: list[Field], dtype: FloatType, strict: bool) -> Split | None:
        """Take the vectors out of the file; None if it has none, or needs a full reader."""
        has_vectors = any(field.type == "float_seq" for field in self.header)
        return split_columns(self, fields, dtype, strict) if has_vectors else None

    def _frame(
        self,
        fields: list[Field],
        split: Split | None,
        dtype: FloatType,
        strict: bool,
    ) -> pd.DataFrame:
        """Make the frame of vectors that have been read and of the other cells."""
        vectors = {} if split is None else split.vectors
        as_text = [field for field in fields if field not in vectors]
        cells = self._read_cells(as_text, split, strict)

        result: dict[str, pd.Series[Any]] = {}
        for field in fields:
            if field.type == "float_seq":
                parsed = vectors.get(field)
                if parsed is None:
                    parsed = self._parse(field, cells[field.header], dtype, strict)
                result[field.name] = self._check_filled(field, parsed).rows()
            elif field.type == "token_seq":
                separator = self.text_format.seq_separator
                result[field.name] = _sequences(cells[field.header], separator)
            elif field.type == "float":
                result[field.name] = self._numbers(field, cells[field.header])
            else:
                result[field.name] = cells[field.header]
        return pd.DataFrame(result, copy=False)

    def _read_cells(self, fields: list[Field], split: Split | None, strict: bool) -> pd.DataFrame:
        """Read columns as str, NaN where a cell is empty."""
        columns = [field.header for field in fields]
        try:
            if split is None:
                self.check_text(line_breaks=strict)
                return read_cells(self.path, columns, self.text_format)

            # pandas' fast reader would end the cell there
            if b"\0" in split.rest:
                self.check_text()
            return read_rest(split.rest, columns, self.text_format)
        except pd.errors.ParserError as error:
            raise DataError(f"{self.path}: {' '.join(str(error).split())}") from None
        except UnicodeError:
            raise undecodable(self.path, self.text_format.encoding) from None

    def _parse(
        self,
        field: Field,
        cells: pd.Series[Any],
        dtype: FloatType,
        strict: bool,
    ) -> Vectors:
        """Read the vectors of a column of text."""
        text, positions = join_cells([cell.encode() for cell in cells.fillna("")])
        parser = VectorParser(self.text_format.seq_separator, "utf-8", dtype, strict)
        parser.measure(text, positions)
        matrix = np.empty((len(positions), parser.size), dtype)

        try:
            return Vectors(matrix, parser.parse(text, positions, matrix))
        except NotPlainError:
            where = f"{self.path}, field '{field.name}' (float_seq)"
            raise CellError(f"{where}: found a quotation mark among the numbers") from None
        except BadCellError as error:
            raise self.cell_error(error.row, field, error.found) from None

    def _check_filled(self, field: Field, vectors: Vectors) -> Vectors:
        """Check that a column holds a vector at all."""
        if len(vectors.missing) and vectors.missing.all():
            found = f"{self.path}, field '{field.name}' (float_seq): every line is empty"
            raise CellError(f"{found}; list the field in unload_col")
        return vectors

    def _numbers(self, field: Field, cells: pd.Series[Any]) -> pd.Series[Any]:
        """Read a column of numbers, float64."""
        numbers = pd.to_numeric(cells, errors="coerce").astype(np.float64)
        # an error of pandas would not name the line, and "inf" would be none
        wrong = (numbers.isna() & cells.notna()) | np.isinf(numbers)
        if wrong.any():
            row = int(np.flatnonzero(wrong)[0])
            raise self.cell_error(row, field, f"'{cells.iloc[row]}' is not a finite number")
        return numbers


def _sequences(cells: pd.Series[Any], separator: str) -> pd.Series[Any]:
    """Split cells into an array of str per row."""
    # filled one by one: NumPy would make a matrix of rows of one length
    rows = np.empty(len(cells), dtype=object)
    for i, cell in enumerate(cells.fillna("")):
        # as in RecBole, an empty row is an array of floats, and several separators are one
        rows[i] = np.array([element for element in cell.split(separator) if element])
    return pd.Series(rows)


def read_header(
    path: str | PathLike[str],
    separator: str = "\t",
    encoding: str | None = None,
) -> list[Field]:
    """Read the header of an atomic file.

    Args:
        path: The file.
        separator: Separator of the columns (RecBole's ``field_separator``).
        encoding: Encoding of the file; None for UTF-8.

    Returns:
        The fields, in the order of the columns.

    Raises:
        DataError: A column is not ``field:type`` with a known type, or a field occurs twice.
    """
    return AtomicFile(path, TextFormat(separator, encoding=encoding)).header


def read_frame(
    path: str | PathLike[str],
    fields: list[Field],
    separator: str = "\t",
    seq_separator: str = " ",
    encoding: str | None = None,
    dtype: FloatType = np.float64,
) -> pd.DataFrame:
    """Read columns of an atomic file; see :meth:`AtomicFile.read`.

    Args:
        path: The file.
        fields: The columns to read, in the order of :func:`read_header`.
        separator: Separator of the columns.
        seq_separator: Separator of the elements of a sequence.
        encoding: Encoding of the file; None for UTF-8.
        dtype: Type of the numbers of a ``float_seq``.

    Raises:
        DataError: A number cannot be read, or the vectors of a ``float_seq`` differ in length.
    """
    file = AtomicFile(path, TextFormat(separator, seq_separator, encoding))
    return file.read(fields, dtype=dtype)


def write_frame(
    path: str | PathLike[str],
    fields: list[Field],
    frame: pd.DataFrame,
    separator: str = "\t",
    seq_separator: str = " ",
    encoding: str | None = None,
) -> None:
    """Write an atomic file; :func:`read_frame` and RecBole read the same values from it.

    Args:
        path: The file.
        fields: The columns to write.
        frame: A column for each field, as :func:`read_frame` returns them.
        separator: Separator of the columns.
        seq_separator: Separator of the elements of a sequence.
        encoding: Encoding of the file; None for UTF-8.
    """
    columns: dict[str, pd.Series[Any]] = {}
    for field in fields:
        column = frame[field.name]
        if field.type.endswith("seq"):
            column = column.map(lambda row: seq_separator.join(map(str, row)))
        columns[field.header] = column

    # Nothing is quoted: RecBole reads quotation marks in a header as part of it. A value with the
    # separator is a csv.Error.
    table = pd.DataFrame(columns)
    table.to_csv(
        path,
        sep=separator,
        index=False,
        encoding=encoding or "utf-8",
        lineterminator="\n",
        quoting=QUOTE_NONE,
    )
