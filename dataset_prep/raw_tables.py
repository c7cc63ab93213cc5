"""Reading tables of raw data sets, with messages that name file, line and column."""

from __future__ import annotations

from collections.abc import Iterable
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
        found = self.data[name][row].as_py()
        raise DataError(
            f"{self.path}, {self.unit} {row + self.first_row}, column {name}: found {found!r}, allowed is {allowed}"
        )

    def categories(self, name: str) -> pd.Categorical:
        """The ids of a column, as texts.

        Raises:
            DataError: A row has none.
        """
        column = self.texts(name)
        missing = column.is_null()
        if pc.any(missing).as_py():
            self.wrong(pc.index(missing, True).as_py(), name, "an id")
        encoded = column.dictionary_encode().unify_dictionaries().combine_chunks()
        names = pd.Index(encoded.dictionary.to_pylist(), dtype=object)
        return pd.Categorical.from_codes(encoded.indices.to_numpy(zero_copy_only=False), categories=names)

    def texts(self, name: str) -> pa.ChunkedArray:
        """A column as texts, null where a cell is empty; whole numbers without a decimal point.

        Raises:
            DataError: The column has another type, such as lists.
        """
        column = self.data[name]
        if pa.types.is_floating(column.type):
            whole = pc.equal(pc.floor(column), column)
            column = column.cast(pa.int64()) if pc.all(whole).as_py() else column
        if pa.types.is_dictionary(column.type):
            column = column.cast(column.type.value_type)
        try:
            column = column.cast(pa.string())
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
            found = self.data[name].type
            raise DataError(f"{self.path}, column {name}: found {found}, allowed are texts and numbers") from None
        return pc.if_else(pc.equal(column, ""), None, column)

    def numbers(self, name: str) -> np.ndarray:
        """A column as float64 ``[n]``, NaN where a cell is empty.

        Raises:
            DataError: A cell is no finite number.
        """
        column, is_text = self.data[name], pa.types.is_string(self.data[name].type)
        column = self.texts(name) if is_text else column
        try:
            numbers = column.cast(pa.float64()).to_numpy()
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
            if not is_text:
                raise DataError(f"{self.path}, column {name}: found {column.type}, allowed are numbers") from None
            numbers = pd.to_numeric(column.to_pandas(), errors="coerce").to_numpy(np.float64)
        wrong = np.isinf(numbers) | (np.isnan(numbers) & column.is_valid().to_numpy() & is_text)
        if wrong.any():
            self.wrong(int(np.flatnonzero(wrong)[0]), name, "a finite number")
        return numbers


def ending_of(path: Path) -> str:
    """The ending of a file's name, without that of its packing."""
    return path.with_suffix("").suffix if path.suffix in COMPRESSIONS else path.suffix


def separator_of(path: Path) -> str | None:
    """What separates the columns of a text file, by its ending; None for Parquet.

    Raises:
        DataError: The ending is unknown.
    """
    ending = ending_of(path)
    if ending == ".parquet":
        return None
    if ending not in SEPARATORS:
        raise DataError(
            f"{path}: found the ending '{ending}', allowed are .parquet and, packed or not, {', '.join(SEPARATORS)}"
        )
    return SEPARATORS[ending]


def read_parquet(path: Path) -> Table:
    """Read a Parquet file.

    Raises:
        DataError: It cannot be read.
    """
    try:
        return Table(path, parquet.read_table(path), unit="row")
    except (OSError, pa.ArrowException) as error:
        raise DataError(f"{path}: cannot be read as Parquet: {one_line(error)}") from None


def one_line(error: BaseException | str) -> str:
    """The message of an error without line breaks."""
    return " ".join(str(error).split())
