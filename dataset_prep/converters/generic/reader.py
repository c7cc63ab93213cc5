"""Any data set: tables of interactions, users and items with columns that the options name."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from recbole_sibrar.data.atomic import DataError

from ...pipeline.encoded_fields import parse_encodings
from ...pipeline.entities import SIDES
from ...pipeline.raw import RawData
from . import column_choices, table_formats
from .column_choices import Choice, parse_choices
from .column_names import USUAL_NAMES
from .fields import TableFields, read_fields, without_common_names
from .interactions import read_interactions
from .table_formats import read_table

NAME = "generic"
"""Name on the command line and of the data set."""
ABOUT = "Any data set: tables (CSV, TSV, JSON lines, Parquet) of interactions, users and items"
"""What the converter reads, in a line."""
LINK = ""
"""There is nothing to download."""
DEFAULTS: dict[str, Any] = {}
"""The papers have no such data set: everything is kept."""


def add_options(parser: argparse._ArgumentGroup) -> None:
    """Add the options that say where everything stands."""
    add = parser.add_argument
    add("--interactions", metavar="FILE", required=True, help="table of interactions, in --input_path")
    add("--users", metavar="FILE", help="table of users, a line for each")
    add("--items", metavar="FILE", help="table of items, a line for each")
    for role, names in USUAL_NAMES.items():
        usual = f"{', '.join(names[:3])}, ..."
        unused = "" if role in SIDES else "; none for none"
        shown = f"column with the {role} (default: {usual}, if there is one{unused})"
        add(f"--{role}_column", metavar="COLUMN", help=shown)
    for side in SIDES:
        shown = f"column of the ids in the table of {side}s (default: the name in the interactions, or a usual name)"
        add(f"--{side}s_id_column", metavar="COLUMN", help=shown)
    add(
        "--timestamp_format",
        metavar="FORM",
        help="form of the dates of the interactions, such as '%%d.%%m.%%Y %%H:%%M'",
    )
    without = "leave out interactions without a user or an item, such as orders of guests, and not refuse them"
    add("--drop_without_id", action="store_true", help=without)
    add("--columns", metavar="SIDE:COLUMN=TYPE", nargs="+", default=[], help=column_choices.HELP)
    add("--list_separator", default="|", help="separates the elements of a list in a cell (default: %(default)s)")
    table_formats.add_options(parser)


def read(input_path: Path, options: argparse.Namespace) -> RawData:
    """Read the tables.

    Args:
        input_path: Folder of the files.
        options: See :func:`add_options`, and ``encode``.

    Raises:
        DataError: A file or column is missing, or a cell is not what its column should hold.
    """
    table_formats.check_options(options)
    choices = parse_choices(options.columns)
    encodings = parse_encodings(getattr(options, "encode", []))
    files = {"user": options.users, "item": options.items}
    for side in SIDES:
        _check_table(side, files[side], choices[side], getattr(options, f"{side}s_id_column"))

    table, notes = read_table(input_path / options.interactions, "interactions", options)
    interactions = read_interactions(table, options)
    found: dict[str, TableFields] = {}
    for side in SIDES:
        encoded = [column for encoding in encodings if encoding.side == side for column in encoding.columns]
        found[side] = TableFields()
        if files[side]:
            table, more = read_table(input_path / files[side], f"{side}s", options)
            notes += more
            found[side] = read_fields(side, table, interactions, choices[side], encoded, options)
    without_common_names(found)
    return RawData(
        interactions.inter,
        found["user"].fields,
        found["item"].fields,
        notes=[*notes, *interactions.notes, *found["user"].notes, *found["item"].notes],
        inferred=[*found["user"].inferred, *found["item"].inferred],
        warnings=[*interactions.warnings, *found["user"].warnings, *found["item"].warnings],
        files={side: found[side].files for side in SIDES},
        texts={side: found[side].texts for side in SIDES},
    )


def _check_table(side: str, file: str | None, choices: list[Choice], id_column: str | None) -> None:
    if file:
        return
    if choices:
        raise DataError(f"--columns: found a type for {side}s, but there is no table of them; name it with --{side}s")
    if id_column:
        raise DataError(
            f"--{side}s_id_column: found '{id_column}', but there is no table of {side}s; name it with --{side}s"
        )
