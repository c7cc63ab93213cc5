"""Tables of raw data sets. Their messages name file, line and column."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pyarrow import parquet

from recbole_sibrar.errors import DataError, nearest

from ..lists import first_repeated
from ..messages import one_line

SHOWN = 80
"""Number of characters of a wrong cell in a message."""


@dataclass(frozen=True)
class Table:
    """A table of a raw data set."""

    path: Path
    """Its file."""
    data: pa.Table
    """Cells of a text file as texts; typed columns of a Parquet file."""
    first_row: int = 1
    """Number of the line of the first row, for messages."""
    unit: str = "line"
    """Name of a row in messages: ``line``, or ``row`` if a row can have several lines."""
    missing: frozenset[str] = frozenset()
    """Cells with a missing value in every column, besides empty ones."""
    missing_numbers: frozenset[str] = frozenset()
    """Words for a missing number in a column of texts, in small letters."""
    decimal: str = "."
    """Decimal point of numbers in texts."""

    @property
    def names(self) -> list[str]:
        """Names of the columns."""
        names: list[str] = self.data.column_names
        return names

    def check(self, names: Iterable[str], key: str) -> None:
        """Refuse names of unknown columns.

        Raises:
            DataError: A column does not exist; the message names the option ``key``.
        """
        for name in names:
            if name not in self.names:
                raise DataError(
                    f"{key}: found '{name}', allowed are the columns of {self.path}: "
                    f"{', '.join(self.names)}{nearest(name, self.names)}"
                )

    def refuse(self, row: int, name: str, allowed: str) -> NoReturn:
        """Refuse a cell.

        Raises:
            DataError: Always.
        """
        found = repr(self.data[name][row].as_py())
        shown = found if len(found) <= SHOWN else f"{found[:SHOWN]}..."
        raise DataError(
            f"{self.path}, {self.unit} {row + self.first_row}, column {name}: found {shown}, "
            f"allowed is {allowed}"
        )

    def categories(self, name: str, required: bool = True) -> pd.Categorical:
        """Read the ids of a column, as texts.

        Args:
            name: The column.
            required: True if every row needs an id; else the code of a row without one is -1.

        Raises:
            DataError: A row has none and needs one.
        """
        column = self.texts(name)
        missing = column.is_null()
        if required and pc.any(missing).as_py():
            self.refuse(pc.index(missing, True).as_py(), name, "an id")

        # Chunks have dictionaries of their own until they are unified.
        encoded = column.dictionary_encode().unify_dictionaries().combine_chunks()
        names = pd.Index(encoded.dictionary.to_pylist(), dtype=object)
        codes = pc.fill_null(encoded.indices, -1).to_numpy(zero_copy_only=False)
        return pd.Categorical.from_codes(codes, categories=names)

    def texts(self, name: str) -> pa.ChunkedArray:
        """Read a column as texts, null for an empty or missing cell.

        Whole numbers have no decimal point.

        Raises:
            DataError: The column has another type, such as lists.
        """
        column = self.data[name]
        if pa.types.is_floating(column.type):
            column = _whole_numbers(column)
        try:
            column = column.cast(pa.string())
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
            found = self.data[name].type
            raise DataError(
                f"{self.path}, column {name}: found {found}, allowed are texts and numbers"
            ) from None

        missing = pa.array(["", *self.missing], pa.string())
        return pc.if_else(pc.is_in(column, missing), None, column)

    def numbers(self, name: str) -> NDArray[Any]:
        """Read a column as float64 ``[n]``, NaN for an empty or missing cell.

        Raises:
            DataError: A cell is no finite number.
        """
        parsed = self.parse_numbers(name)
        wrong = parsed.is_text | np.isinf(parsed.values)
        if wrong.any():
            self.refuse(int(np.flatnonzero(wrong)[0]), name, "a finite number")
        return parsed.values

    def parse_numbers(self, name: str) -> Numbers:
        """Read a column as numbers, as far as its cells are numbers.

        Raises:
            DataError: The column has neither texts nor numbers.
        """
        column = self.data[name]
        if not pa.types.is_string(column.type):
            try:
                # Without safe=False Arrow refuses whole numbers from 2**53 on; they are rounded.
                values = column.cast(pa.float64(), safe=False).to_numpy()
            except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
                raise DataError(
                    f"{self.path}, column {name}: found {column.type}, allowed are numbers"
                ) from None
            return Numbers(values, np.zeros(len(values), dtype=bool), {})

        column = self.texts(name)
        if self.decimal != ".":
            column = _with_decimal_point(column, self.decimal)
        values, is_text = _to_numbers(column)

        # Words are looked for only in a column with texts: most columns have none.
        if not is_text.any():
            return Numbers(values, is_text, {})
        words, column = self._missing_words(column)
        return Numbers(*_to_numbers(column), words)

    def _missing_words(self, column: pa.ChunkedArray) -> tuple[dict[str, int], pa.ChunkedArray]:
        """Count the words for a missing number, and remove them from a column."""
        known = pa.array(sorted(self.missing_numbers), pa.string())
        plain = pc.utf8_lower(pc.utf8_trim_whitespace(column))
        is_word = pc.fill_null(pc.is_in(plain, known), False)
        if not pc.any(is_word).as_py():
            return {}, column

        counts = column.filter(is_word).value_counts().to_pylist()
        words = {entry["values"]: entry["counts"] for entry in counts}
        return words, pc.if_else(is_word, None, column)


@dataclass(frozen=True)
class Numbers:
    """Cells of a column as numbers."""

    values: NDArray[Any]
    """float64 ``[n]``, NaN for a missing cell and for a text."""
    is_text: NDArray[Any]
    """bool ``[n]``, True for a cell with neither a number nor a missing value."""
    missing_words: dict[str, int]
    """Word for a missing number -> number of its cells."""


def read_parquet(path: Path) -> Table:
    """Read a Parquet file.

    Raises:
        DataError: It cannot be read.
    """
    try:
        data = parquet.read_table(path)
        check_names(path, data.column_names)
        return Table(path, _plain_types(data), unit="row")
    except (OSError, pa.ArrowException) as error:
        raise DataError(f"{path}: cannot be read as Parquet: {one_line(error)}") from None


def check_names(path: Path, names: Sequence[str], place: str = "") -> None:
    """Raise a :class:`DataError` unless the columns of a file have different names.

    Args:
        path: The file.
        names: Names of its columns.
        place: Place of the names in the file, for the message.
    """
    twice = first_repeated(names)
    if twice is not None:
        raise DataError(
            f"{path}{place}: found two columns of one name, '{twice}'; allowed are different names"
        )


def _to_numbers(column: pa.ChunkedArray) -> tuple[NDArray[Any], NDArray[Any]]:
    """Parse texts.

    Returns:
        float64 ``[n]``; and bool ``[n]``, True for a cell with neither a number nor a missing
        value.
    """
    try:
        values = column.cast(pa.float64()).to_numpy()
    except pa.ArrowInvalid:
        # Arrow parses all cells or none; pandas leaves NaN for a text.
        values = pd.to_numeric(column.to_pandas(), errors="coerce").to_numpy(np.float64)
    return values, np.isnan(values) & column.is_valid().to_numpy()


def _plain_types(data: pa.Table) -> pa.Table:
    """Convert categories and the rarer kinds of texts to texts, decimal numbers to float64."""
    for position, column in enumerate(data.columns):
        # pandas writes categories as dictionaries.
        kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
        if pa.types.is_large_string(kind) or str(kind) == "string_view":
            kind = pa.string()
        elif pa.types.is_decimal(kind) or pa.types.is_float16(kind):
            kind = pa.float64()
        if kind != column.type:
            data = data.set_column(position, data.column_names[position], column.cast(kind))
    return data


def _whole_numbers(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Convert a column without NaN to integers if all of its numbers are whole."""
    # Whole numbers with missing ones are floats for pandas: 3.0 is the id 3, and NaN is none.
    column = pc.if_else(pc.is_nan(column), None, column)
    if not pc.all(pc.equal(pc.floor(column), column)).as_py():
        return column
    try:
        return column.cast(pa.int64())
    except pa.ArrowInvalid:
        # Numbers beyond those of int64.
        return column


def _with_decimal_point(column: pa.ChunkedArray, decimal: str) -> pa.ChunkedArray:
    """Write numbers such as ``1.299,00`` as ``1299.00``."""
    mark = re.escape(decimal)

    # A text with a point and no group of three digits behind it stays, such as a date.
    pattern = rf"^\s*[-+]?(\d{{1,3}}(\.\d{{3}})+|\d+)?({mark}\d*)?\s*$"
    is_number = pc.fill_null(pc.match_substring_regex(column, pattern), False)
    plain = pc.replace_substring(pc.replace_substring(column, ".", ""), decimal, ".")
    return pc.if_else(is_number, plain, column)
