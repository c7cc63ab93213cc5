"""Reading of a table of the converter ``generic``, of any kind and format."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

from recbole_sibrar.errors import DataError

from ...readers.endings import JSON_ENDINGS, ending_of
from ...readers.missing_words import MISSING_NUMBERS
from ...readers.raw_tables import Table, read_parquet
from ...readers.record_tables import read_records_table
from .table_formats import format_of
from .text_tables import read_text_table


def read_table(path: Path, table: str, options: argparse.Namespace) -> tuple[Table, list[str]]:
    """Read a table.

    Args:
        path: The file: CSV, TSV, text with any separator, JSON lines or Parquet.
        table: One of :data:`~.options.TABLES`.
        options: Options of the converter.

    Returns:
        The table, and sentences on inferences from its content.

    Raises:
        DataError: The file cannot be read, or an option has a wrong value.
    """
    written = format_of(table, options)
    if not path.is_file():
        raise DataError(f"--{table}: there is no file {path}")

    ending = ending_of(path)
    notes: list[str] = []
    if ending == ".parquet":
        data = read_parquet(path)
    elif ending in JSON_ENDINGS and written.separator is None:
        data = read_records_table(path)
    else:
        data, notes = read_text_table(path, table, written)

    data = replace(data, missing=written.missing, missing_numbers=MISSING_NUMBERS, decimal=written.decimal)
    return data, notes
