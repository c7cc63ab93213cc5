"""Reading the cells of an atomic file as text, NaN where a cell is a missing value."""

from __future__ import annotations

from io import BytesIO
from os import PathLike
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray
from pyarrow import csv

from recbole_sibrar.data.atomic.formats import TextFormat
from recbole_sibrar.data.atomic.rows import read_records

MISSING = [
    *("", "NA", "N/A", "n/a", "<NA>", "#N/A", "#N/A N/A", "#NA", "NULL", "null", "None"),
    *("NaN", "nan", "-NaN", "-nan", "1.#IND", "-1.#IND", "1.#QNAN", "-1.#QNAN"),
]
"""Missing values for pandas, and so for RecBole."""

_TEXT = pd.Series([""]).dtype
"""Type of pandas' columns of text: object, and str since pandas 3."""


def read_cells(
    path: str | PathLike[str], columns: list[str], text_format: TextFormat
) -> pd.DataFrame:
    """Read columns of a file.

    Args:
        path: The file, whose rows all have as many cells as the header.
        columns: Header cells of the columns.
        text_format: Format of the file.
    """
    # pandas reads a longer separator as a regular expression
    if len(text_format.separator) > 1:
        return _read_records(path, columns, text_format)
    return _read_with_pandas(path, columns, text_format, skip_blank_lines=True)


def read_rest(text: bytes, columns: list[str], text_format: TextFormat) -> pd.DataFrame:
    """Read columns of a file without its vectors.

    Args:
        text: Header and lines without ``float_seq`` columns and without blank lines.
        columns: Header cells of the columns.
        text_format: Format of the file.
    """
    frame = None
    if text_format.is_utf8:
        frame = read_plain(text, columns, text_format.separator)
    if frame is None:
        # A file of vectors alone leaves empty lines, one for each row.
        frame = _read_with_pandas(BytesIO(text), columns, text_format, skip_blank_lines=False)
    return frame


def _read_with_pandas(
    source: str | PathLike[str] | BytesIO,
    columns: list[str],
    text_format: TextFormat,
    skip_blank_lines: bool,
) -> pd.DataFrame:
    # pandas' fast reader takes one byte for a separator
    return pd.read_csv(
        source,
        sep=text_format.separator,
        usecols=columns,
        dtype=str,
        encoding=text_format.encoding,
        engine="c" if text_format.separator.isascii() else "python",
        skip_blank_lines=skip_blank_lines,
    )


def _read_records(
    path: str | PathLike[str], columns: list[str], text_format: TextFormat
) -> pd.DataFrame:
    """Read a file whose separator is longer than a character."""
    header, *rows = (record.cells for record in read_records(path, text_format))
    result = {}
    for name in columns:
        position = header.index(name)
        cells = pd.Series([row[position] for row in rows], dtype=_TEXT)
        result[name] = cells.mask(cells.isin(MISSING))
    return pd.DataFrame(result)


def read_plain(text: bytes, columns: list[str], separator: str) -> pd.DataFrame | None:
    r"""Read columns as ``pandas.read_csv`` does with ``dtype=str``, several times as fast.

    Args:
        text: A header and lines of as many cells, in UTF-8, without empty lines; ``\\n`` ends each
            of them.
        columns: Names of the columns to read.
        separator: The ASCII character between cells.

    Returns:
        The cells as str, NaN where one is missing; None where pandas may see other cells.
    """
    # other ends of lines, NUL bytes, and cells that begin with a quotation mark
    marks = (b"\r", b"\0", b'\n"', separator.encode() + b'"')
    if any(mark in text for mark in marks):
        return None

    # each thread would keep memory of its own
    reading = csv.ReadOptions(use_threads=False)
    parsing = csv.ParseOptions(delimiter=separator, quote_char=False, ignore_empty_lines=False)
    conversion = csv.ConvertOptions(
        include_columns=columns,
        column_types=dict.fromkeys(columns, pa.string()),
        null_values=MISSING,
        strings_can_be_null=True,
    )
    try:
        table = csv.read_csv(
            pa.BufferReader(text),
            read_options=reading,
            parse_options=parsing,
            convert_options=conversion,
            memory_pool=pa.system_memory_pool(),
        )
    except (pa.ArrowInvalid, pa.ArrowKeyError):
        return None

    cells = {}
    for name in columns:
        cells[name] = pd.Series(_objects(table.column(name)), dtype=_TEXT, copy=False)
    return pd.DataFrame(cells, copy=False)


def _objects(column: pa.ChunkedArray) -> NDArray[Any]:
    texts = column.to_pandas(deduplicate_objects=False)
    cells: NDArray[Any] = np.array(texts, dtype=object)
    if column.null_count:
        cells[column.is_null().to_numpy()] = np.nan  # None for Arrow
    return cells
