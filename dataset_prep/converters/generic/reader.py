"""Reading of the tables of the converter ``generic``."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

from recbole_sibrar.errors import DataError
from recbole_sibrar.names import SIDES, Side

from ...further_tables.option import field_names
from ...pipeline.encode_option import Encoding, of_side, parse_encodings
from ...pipeline.raw import RawData
from ...readers.endings import JSON_ENDINGS, ending_of
from ...readers.missing_words import MISSING_NUMBERS
from ...readers.raw_tables import Table, read_parquet
from ...readers.record_tables import read_records_table
from .column_choices import Choice, parse_choices
from .fields import TableFields, field_name, read_fields, without_common_names
from .interactions import Interactions, read_interactions
from .table_formats import check_options, format_of
from .text_tables import read_text_table


def read(input_path: Path, options: argparse.Namespace) -> RawData:
    """Read the tables.

    Args:
        input_path: Folder of the files.
        options: Options of the converter, and ``encode``.

    Raises:
        DataError: A file or column is missing, or a cell has a wrong value.
    """
    # All options are checked before the first table is read.
    check_options(options)
    choices = parse_choices(options.columns)
    encodings = parse_encodings(getattr(options, "encode", []))
    for side in SIDES:
        _check_table(side, choices[side], options)

    table, notes = _read_table(input_path / options.interactions, "interactions", options)
    interactions = read_interactions(table, options)
    found: dict[Side, TableFields] = {}
    for side in SIDES:
        own = of_side(encodings, side)
        found[side] = _read_side(side, input_path, interactions, choices[side], own, options, notes)
    without_common_names(found)

    users = found["user"]
    items = found["item"]
    return RawData(
        interactions.inter,
        users.fields,
        items.fields,
        notes=[*notes, *interactions.notes, *users.notes, *items.notes],
        inferred=[*users.inferred, *items.inferred],
        warnings=[*interactions.warnings, *users.warnings, *items.warnings],
        files={side: found[side].files for side in SIDES},
        texts={side: found[side].texts for side in SIDES},
    )


def _read_side(
    side: Side,
    input_path: Path,
    interactions: Interactions,
    choices: list[Choice],
    encodings: list[Encoding],
    options: argparse.Namespace,
    notes: list[str],
) -> TableFields:
    """Read the table of one side, if there is one; ``notes`` receives sentences on its format."""
    file = getattr(options, f"{side}s")
    if not file:
        return TableFields()

    table, more = _read_table(input_path / file, f"{side}s", options)
    notes += more

    # Columns of further tables are encoded as well, and are unknown here.
    of_further_tables = field_names(options, side)
    encoded: list[str] = []
    for encoding in encodings:
        for column in encoding.columns:
            if field_name(side, column) not in of_further_tables:
                encoded.append(column)
    return read_fields(side, table, interactions, choices, encoded, options)


def _read_table(path: Path, table: str, options: argparse.Namespace) -> tuple[Table, list[str]]:
    """Read a table of any kind and format.

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
    # With a separator a file is a text table, whatever its ending.
    elif ending in JSON_ENDINGS and written.separator is None:
        data = read_records_table(path)
    else:
        data, notes = read_text_table(path, table, written)

    # Tables treat words for missing values alike, whatever their format.
    data = replace(
        data, missing=written.missing, missing_numbers=MISSING_NUMBERS, decimal=written.decimal
    )
    return data, notes


def _check_table(side: str, choices: list[Choice], options: argparse.Namespace) -> None:
    """Refuse options for a missing table."""
    if getattr(options, f"{side}s"):
        return

    if choices:
        raise DataError(
            f"--columns: found a type for {side}s, but there is no table of them; name it with "
            f"--{side}s"
        )
    id_column = getattr(options, f"{side}s_id_column")
    if id_column:
        raise DataError(
            f"--{side}s_id_column: found '{id_column}', but there is no table of {side}s; name it "
            f"with --{side}s"
        )
