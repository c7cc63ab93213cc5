"""Reading tables of raw data sets, with messages that name file, line and column."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import parquet

from recbole_sibrar.config.values import nearest
from recbole_sibrar.data.atomic import DataError

COMPRESSIONS = (".gz", ".bz2", ".zst")
"""Endings of compressed files, which are read without unpacking them."""

MISSING_NUMBERS = frozenset(
    {"null", "nan", "-nan", "na", "n/a", "n.a.", "#n/a", "#na", "<na>", "none", "nil", "\\n", "-", "--", "?", "."}
    | {
        "\u2013",
        "\u2014",
        "missing",
        "unknown",
        "undefined",
        "nat",
        "#null!",
        "#value!",
        "#div/0!",
        "#ref!",
        "#n/a n/a",
    }
    | {"1.#qnan", "-1.#qnan", "1.#ind", "-1.#ind"}
)
"""Words that programs, and people, write for a missing number; a column of numbers and such words holds numbers."""

SHOWN = 80
"""How many characters of a wrong cell a message shows."""

SEPARATORS = {".csv": ",", ".tsv": "\t", ".txt": "\t", ".dat": "::"}
"""Ending of a text file -> what separates its columns."""


@dataclass(frozen=True)
class Table:
    """A table of a raw data set."""

    path: Path
    """Its file."""
    data: pa.Table
    """Texts as they stand in a text file, empty where a cell is; typed columns of a Parquet file."""
    first_row: int = 1
    """Number of the first row in messages: that of its line."""
    unit: str = "line"
    """What a row is called: ``line``, or ``row`` where one can have several lines."""
    missing: frozenset[str] = frozenset()
    """Cells that stand for a missing value in every column, besides empty ones."""
    missing_numbers: frozenset[str] = frozenset()
    """Cells, in small letters, that stand for a missing number in a column of texts."""
    decimal: str = "."
    """Decimal point of numbers in texts."""

    @property
    def names(self) -> list[str]:
        """Names of the columns."""
        return self.data.column_names

    def check(self, names: Iterable[str], key: str) -> None:
        """Check that columns exist.

        Raises:
            DataError: One does not; the message names the option ``key``.
        """
        for name in names:
            if name not in self.names:
                raise DataError(
                    f"{key}: found '{name}', allowed are the columns of {self.path}: {', '.join(self.names)}"
                    f"{nearest(name, self.names)}"
                )

    def wrong(self, row: int, name: str, allowed: str) -> NoReturn:
        """End with the line that a wrong cell gets.

        Raises:
            DataError: Always.
        """
        found = repr(self.data[name][row].as_py())
        shown = found if len(found) <= SHOWN else f"{found[:SHOWN]}..."
        raise DataError(
            f"{self.path}, {self.unit} {row + self.first_row}, column {name}: found {shown}, allowed is {allowed}"
        )

    def categories(self, name: str, required: bool = True) -> pd.Categorical:
        """The ids of a column, as texts.

        Args:
            name: The column.
            required: Whether every row needs an id; without one its code is -1.

        Raises:
            DataError: A row has none and needs one.
        """
        column = self.texts(name)
        missing = column.is_null()
        if required and pc.any(missing).as_py():
            self.wrong(pc.index(missing, True).as_py(), name, "an id")
        encoded = column.dictionary_encode().unify_dictionaries().combine_chunks()
        names = pd.Index(encoded.dictionary.to_pylist(), dtype=object)
        codes = pc.fill_null(encoded.indices, -1).to_numpy(zero_copy_only=False)
        return pd.Categorical.from_codes(codes, categories=names)

    def texts(self, name: str) -> pa.ChunkedArray:
        """A column as texts, null where a cell is empty or missing; whole numbers without a decimal point.

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
            raise DataError(f"{self.path}, column {name}: found {found}, allowed are texts and numbers") from None
        return pc.if_else(pc.is_in(column, pa.array(["", *self.missing], pa.string())), None, column)

    def numbers(self, name: str) -> np.ndarray:
        """A column as float64 ``[n]``, NaN where a cell is empty or missing.

        Raises:
            DataError: A cell is no finite number.
        """
        parsed = self.parse_numbers(name)
        wrong = parsed.is_text | np.isinf(parsed.values)
        if wrong.any():
            self.wrong(int(np.flatnonzero(wrong)[0]), name, "a finite number")
        return parsed.values

    def parse_numbers(self, name: str) -> Numbers:
        """A column as numbers, whatever its cells hold.

        Raises:
            DataError: The column has a type that is neither text nor number.
        """
        column = self.data[name]
        if not pa.types.is_string(column.type):
            try:
                values = column.cast(pa.float64(), safe=False).to_numpy()  # whole numbers from 2**53 on are rounded
            except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
                raise DataError(f"{self.path}, column {name}: found {column.type}, allowed are numbers") from None
            return Numbers(values, np.zeros(len(values), dtype=bool), {})

        column = self.texts(name)
        if self.decimal != ".":
            column = _with_decimal_point(column, self.decimal)
        values, is_text = _to_numbers(column)
        if not is_text.any():
            return Numbers(values, is_text, {})
        words, column = self._missing_words(column)
        return Numbers(*_to_numbers(column), words)

    def _missing_words(self, column: pa.ChunkedArray) -> tuple[dict[str, int], pa.ChunkedArray]:
        """The cells that stand for a missing number with their counts, and the column without them."""
        known = pa.array(sorted(self.missing_numbers), pa.string())
        is_word = pc.fill_null(pc.is_in(pc.utf8_lower(pc.utf8_trim_whitespace(column)), known), False)
        if not pc.any(is_word).as_py():
            return {}, column
        counts = column.filter(is_word).value_counts().to_pylist()
        return {entry["values"]: entry["counts"] for entry in counts}, pc.if_else(is_word, None, column)


@dataclass(frozen=True)
class Numbers:
    """Cells of a column as numbers."""

    values: np.ndarray
    """float64 ``[n]``, NaN where a cell is missing or no number."""
    is_text: np.ndarray
    """bool ``[n]``, whether a cell is neither a number nor missing."""
    missing_words: dict[str, int]
    """Words that stand for a missing number -> in how many cells."""


def ending_of(path: Path) -> str:
    """The ending of a file's name, without that of its packing."""
    return path.with_suffix("").suffix if path.suffix in COMPRESSIONS else path.suffix


def separator_of(path: Path, others: Sequence[str] = ()) -> str:
    """The separator of the columns of a text file, by its ending.

    Args:
        path: The file.
        others: Other endings that are allowed, for the message.

    Raises:
        DataError: The ending is unknown.
    """
    ending = ending_of(path)
    if ending not in SEPARATORS:
        endings = ", ".join([*SEPARATORS, *others])
        raise DataError(
            f"{path}: found the ending '{ending}', allowed are .parquet and, packed or not, {endings}; name the "
            "separator of a text file of another name with --separator"
        )
    return SEPARATORS[ending]


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
        place: Where they stand, for the message.
    """
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise DataError(f"{path}{place}: found two columns of one name, '{twice}'; allowed are different names")


def one_line(error: BaseException | str) -> str:
    """The message of an error without line breaks."""
    return " ".join(str(error).split())


def _to_numbers(column: pa.ChunkedArray) -> tuple[np.ndarray, np.ndarray]:
    """Texts as float64 ``[n]``, and bool ``[n]``: whether a cell is neither a number nor missing."""
    try:
        values = column.cast(pa.float64()).to_numpy()
    except pa.ArrowInvalid:
        values = pd.to_numeric(column.to_pandas(), errors="coerce").to_numpy(np.float64)
    return values, np.isnan(values) & column.is_valid().to_numpy()


def _plain_types(data: pa.Table) -> pa.Table:
    """Columns of categories and of the rarer kinds of texts as texts, decimal numbers as float64."""
    for position, column in enumerate(data.columns):
        kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
        if pa.types.is_large_string(kind) or str(kind) == "string_view":
            kind = pa.string()
        elif pa.types.is_decimal(kind) or pa.types.is_float16(kind):
            kind = pa.float64()
        if kind != column.type:
            data = data.set_column(position, data.column_names[position], column.cast(kind))
    return data


def _whole_numbers(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """A column without NaN, as integers where all of its numbers are whole."""
    column = pc.if_else(pc.is_nan(column), None, column)
    if not pc.all(pc.equal(pc.floor(column), column)).as_py():
        return column
    try:
        return column.cast(pa.int64())
    except pa.ArrowInvalid:  # numbers beyond those of int64
        return column


def _with_decimal_point(column: pa.ChunkedArray, decimal: str) -> pa.ChunkedArray:
    """Numbers such as ``1.299,00`` as ``1299.00``; a text with a point and no group of three digits stays."""
    mark = re.escape(decimal)
    pattern = rf"^\s*[-+]?(\d{{1,3}}(\.\d{{3}})+|\d+)?({mark}\d*)?\s*$"
    is_number = pc.fill_null(pc.match_substring_regex(column, pattern), False)
    plain = pc.replace_substring(pc.replace_substring(column, ".", ""), decimal, ".")
    return pc.if_else(is_number, plain, column)
