"""Reading the text of files whose lines are simply cells between separators, several times as fast as pandas does."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
from pyarrow import csv

MISSING = [
    *("", "NA", "N/A", "n/a", "<NA>", "#N/A", "#N/A N/A", "#NA", "NULL", "null", "None"),
    *("NaN", "nan", "-NaN", "-nan", "1.#IND", "-1.#IND", "1.#QNAN", "-1.#QNAN"),
]
"""What pandas, and so RecBole, takes for a missing value."""


def read_plain(text: bytes, columns: list[str], separator: str) -> pd.DataFrame | None:
    """Read columns as ``pandas.read_csv`` does with ``dtype=str``.

    Args:
        text: A header and lines of as many cells, in UTF-8, without empty lines; ``\\n`` ends each of them.
        columns: Names of the columns to read.
        separator: The ASCII character between cells.

    Returns:
        The cells as str, NaN where one is missing; None where pandas may see other cells.
    """
    if b"\r" in text or b"\0" in text or any(mark in text for mark in (b'\n"', separator.encode() + b'"')):
        return None
    try:
        table = csv.read_csv(
            pa.BufferReader(text),
            read_options=csv.ReadOptions(use_threads=False),  # each thread would keep memory of its own
            memory_pool=pa.system_memory_pool(),
            parse_options=csv.ParseOptions(delimiter=separator, quote_char=False, ignore_empty_lines=False),
            convert_options=csv.ConvertOptions(
                include_columns=columns,
                column_types=dict.fromkeys(columns, pa.string()),
                null_values=MISSING,
                strings_can_be_null=True,
            ),
        )
    except (pa.ArrowInvalid, pa.ArrowKeyError):
        return None
    return pd.DataFrame({name: _objects(table.column(name)) for name in columns}, copy=False)


def _objects(column: pa.ChunkedArray) -> np.ndarray:
    cells = np.array(column.to_pandas(deduplicate_objects=False), dtype=object)
    if column.null_count:
        cells[column.is_null().to_numpy()] = np.nan
    return cells
