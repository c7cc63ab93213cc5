"""Text tables of raw data sets, read as a whole. The messages name file, line and column."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow import csv

from recbole_sibrar.errors import DataError

from ..lists import numbered
from ..messages import one_line
from .raw_tables import Table, check_names

# Messages of Arrow: they are its only word on the place of an error.
_CELL = re.compile(
    r"In CSV column #(?P<column>\d+): Row #(?P<row>\d+): "
    r"CSV conversion error to \w+: (?P<reason>.*)",
    re.S,
)

# Not Arrow's handler of invalid rows, which prints a traceback where a row is not UTF-8.
_ROW = re.compile(r"Row #(?P<row>\d+): Expected (?P<expected>\d+) columns, got (?P<found>\d+)")

# Stands for separators of several characters, which Arrow does not know.
_UNIT = "\x1f"


def read_text(
    path: Path,
    separator: str,
    names: Sequence[str] | None = None,
    encoding: str = "utf-8",
    quote: str | None = None,
    header: bool = True,
) -> Table:
    """Read a text file, packed (gz, bz2, zst) or not.

    Args:
        path: The file.
        separator: Separator of columns.
        names: Names of the columns of a file without a header.
        encoding: Encoding of the file.
        quote: Quotation mark of cells with separators or line breaks inside, as in CSV; None if
            there is none.
        header: True if the first line names the columns, unless ``names`` does; else they are 1, 2,
            3, ...

    Raises:
        DataError: It cannot be read, or a line has another number of columns.
    """
    # A cell in quotation marks can hold line breaks, so that rows are not lines.
    unit = "row" if quote else "line"
    header = header and not names

    # With threads Arrow reports errors without the number of the row.
    options = csv.ReadOptions(
        use_threads=False,
        column_names=names,
        autogenerate_column_names=not header and not names,
        encoding=encoding,
        block_size=2**24,
    )
    parsing = csv.ParseOptions(
        delimiter=_UNIT if len(separator) > 1 else separator,
        quote_char=quote or False,
        newlines_in_values=bool(quote),
        ignore_empty_lines=False,
    )
    try:
        # The names first: all columns are read as texts, and Arrow needs their names for that.
        found = names or csv.open_csv(_source(path, separator), options, parsing).schema.names
        texts = csv.ConvertOptions(column_types=dict.fromkeys(found, pa.string()))
        data = csv.read_csv(_source(path, separator), options, parsing, texts)
    except (OSError, pa.ArrowException, UnicodeError) as error:
        raise DataError(explained(path, error, unit, separator)) from None

    check_names(path, found, ", line 1")
    if options.autogenerate_column_names:
        data = data.rename_columns(numbered(len(found), start=1))

    return Table(path, _without_blank_end(data), 2 if header else 1, unit)


def explained(path: Path, error: BaseException, unit: str = "line", separator: str = "") -> str:
    """Explain an error of Arrow in a text file, with line and column if they are known.

    Args:
        path: The file.
        error: The error.
        unit: Name of a row.
        separator: Separator of columns, if the message should name it.
    """
    row = _ROW.search(str(error))
    if row is not None:
        separated = f" separated by {separator!r}" if separator else ""
        return (
            f"{path}, {unit} {row['row']}: found {row['found']} columns, allowed are "
            f"{row['expected']}{separated}"
        )

    cell = _CELL.search(str(error))
    if cell is None:
        return f"{path}: cannot be read: {one_line(error)}"

    # Arrow counts columns from 0, rows from 1.
    column = int(cell["column"]) + 1
    return f"{path}, {unit} {cell['row']}, column {column}: {one_line(cell['reason'])}"


def _without_blank_end(data: pa.Table) -> pa.Table:
    """Cut the rows of empty lines at the end of a file."""
    # Empty lines are kept until here: without them the numbers of later lines would be wrong.
    n_rows = len(data)
    while n_rows and not any(column[n_rows - 1].as_py() for column in data.columns):
        n_rows -= 1
    return data.slice(0, n_rows)


def _source(path: Path, separator: str) -> Any:
    """Open a file, with one character for a separator of several."""
    file = pa.input_stream(str(path), compression="detect")
    if len(separator) == 1:
        return file
    with file:
        return pa.BufferReader(file.read().replace(separator.encode(), _UNIT.encode()))
