"""Interactions of the converter ``generic``: ids, ratings, times, and unused columns."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

from recbole_sibrar.errors import DataError
from recbole_sibrar.names import SIDES

from ...lists import numbered
from ...readers.missing_words import MISSING_NUMBERS
from ...readers.raw_tables import Table
from .column_names import USUAL_NAMES, usual_columns
from .column_types import column_type
from .dates import looks_like_times, to_seconds

# Rows that decide on the kind of an unused column.
_LOOKED_AT = 5_000


@dataclass(frozen=True)
class Interactions:
    """Content of a table of interactions."""

    inter: pd.DataFrame
    """As :class:`~.raw.RawData` describes it."""
    columns: Mapping[str, str | None]
    """Role -> name of its column; None if there is none."""
    notes: list[str]
    """Sentences for the screen and the report."""
    warnings: list[str]
    """Sentences on probable mistakes."""


def read_interactions(table: Table, options: argparse.Namespace) -> Interactions:
    """Read a table of interactions.

    Args:
        table: The table.
        options: See :func:`~.generic.add_options`.

    Raises:
        DataError: It has no users or items, or a cell has a wrong value.
    """
    warnings: list[str] = []
    columns = _choose(table, options, warnings)
    notes: list[str] = []
    inter: dict[str, Any] = {}
    for side in SIDES:
        column = str(columns[side])
        ids = table.categories(column, required=not options.drop_without_id)
        inter[f"{side}_id"] = ids
        warnings += _missing_ids(table, column, side, ids)

    if columns["rating"] is not None:
        inter["rating"] = table.numbers(columns["rating"])
        notes += missing_numbers(table, table.path.name, columns["rating"])

    if columns["timestamp"] is not None:
        inter["timestamp"], unit = to_seconds(table, columns["timestamp"], options.timestamp_format)
        notes += missing_numbers(table, table.path.name, columns["timestamp"])
        notes.append(f"Timestamps are read from column {columns['timestamp']} as {unit}.")

    notes += _not_used(table, columns)
    # Rows without an id have the code -1 until here.
    frame = pd.DataFrame(inter)
    if options.drop_without_id:
        frame = _with_ids(frame, table, notes)
    return Interactions(frame, columns, notes, warnings)


def missing_numbers(table: Table, place: str, column: str) -> list[str]:
    """Write the sentence on words for missing numbers, if a column has some.

    Args:
        table: The table.
        place: Name of the table in the sentence.
        column: The column.
    """
    # Columns of Parquet and JSON with types of their own hold no words.
    if str(table.data[column].type) != "string":
        return []

    words = table.parse_numbers(column).missing_words
    if not words:
        return []
    shown = ", ".join(f"{word!r} {count:,}" for word, count in words.items())
    return [
        f"{place}: column {column}: {sum(words.values()):,} cells are missing values ({shown})."
    ]


def _choose(
    table: Table, options: argparse.Namespace, warnings: list[str]
) -> dict[str, str | None]:
    """Choose the column of each role: that of its option, or the first suitable one."""
    columns: dict[str, str | None] = {}

    for role in USUAL_NAMES:
        given = getattr(options, f"{role}_column")

        # Column -> its role: a usual name is looked for among the other columns.
        taken = {column: other for other, column in columns.items() if column}
        if given == "none":
            columns[role] = None
        elif given:
            table.check([given], f"--{role}_column")
            if given in taken and role in SIDES:
                raise DataError(
                    f"--{role}_column: found '{given}', which is the column with the "
                    f"{taken[given]} already"
                )
            columns[role] = given
        else:
            free = [name for name in table.names if name not in taken]
            columns[role] = _usual(table, role, free, warnings)

        if role in SIDES and columns[role] is None:
            raise DataError(_no_column(table, role))

    return columns


def _usual(table: Table, role: str, names: list[str], warnings: list[str]) -> str | None:
    for name in usual_columns(role, names):
        # Ids can have any form; ratings and times are numbers or dates.
        if role in SIDES or _can_hold(table, role, name):
            return name
        form = "; --timestamp_format names the form of its dates" if role == "timestamp" else ""
        warnings.append(
            f"{table.path.name}: column {name} is named like a {role}, but most of its cells are "
            f"none, and it is not used; --{role}_column {name} uses it all the same{form}."
        )
    return None


def _can_hold(table: Table, role: str, name: str) -> bool:
    """Check a column for ratings or times in most of its first cells."""
    head = replace(table, data=table.data.slice(0, _LOOKED_AT))
    if role == "timestamp":
        return looks_like_times(head, name)
    try:
        parsed = head.parse_numbers(name)
    except DataError:
        return False

    # A few wrong cells are refused later, with their lines; a column of words is another one.
    return int(parsed.is_text.sum()) * 2 <= len(parsed.is_text)


def _no_column(table: Table, role: str) -> str:
    names = ", ".join(table.names)
    message = f"--{role}_column: name the column of {table.path} with the {role}: {names}"

    # Columns of a file without a header are numbered; a number as a name is data taken for one.
    if table.names == numbered(len(table.names), start=1):
        message += (
            f"; they are numbered, as in --{role}_column 1, or name them with --interactions_header"
        )
    elif any(name.strip().isdecimal() for name in table.names):
        message += (
            "; if these are data, write --no_header, or name the columns with --interactions_header"
        )
    elif len(table.names) == 1:
        message += (
            "; if these are several columns, write what separates them with "
            "--interactions_separator"
        )
    return message


def _missing_ids(table: Table, column: str, side: str, ids: pd.Categorical) -> list[str]:
    """Warn about ids such as ``NULL``: all guests of a shop would be one user."""
    warnings = []
    for code, name in enumerate(ids.categories):
        if name.strip().lower() in MISSING_NUMBERS:
            n = int((ids.codes == code).sum())
            warnings.append(
                f"{table.path.name}: column {column}: {n:,} rows have the {side} {name!r}, which "
                f"looks like a missing value and counts as one {side}; --missing {name} "
                "--drop_without_id leaves these rows out."
            )
    return warnings


def _with_ids(inter: pd.DataFrame, table: Table, notes: list[str]) -> pd.DataFrame:
    """Keep the rows with a user and an item."""
    has_both = (inter["user_id"].cat.codes >= 0) & (inter["item_id"].cat.codes >= 0)
    n_without = int((~has_both).sum())
    if n_without:
        notes.append(
            f"{table.path.name}: {n_without:,} of {len(inter):,} rows without a user or an item "
            "were left out (--drop_without_id)."
        )

    # The rows are counted from 0 again: filters take them by position.
    return inter[has_both.to_numpy()].reset_index(drop=True)


def _not_used(table: Table, columns: Mapping[str, str | None]) -> list[str]:
    """Write the sentence on unused columns, with the kinds of their cells."""
    head = replace(table, data=table.data.slice(0, _LOOKED_AT))
    shown = []
    has_numbers = False

    for name in table.names:
        if name in columns.values():
            continue
        look = _look(head, name)
        has_numbers |= look == "numbers"
        if look == "dates" and columns["timestamp"] is None:
            look = f"dates: --timestamp_column '{name}' if they are the times of the interactions"
        shown.append(f"{name or 'one without a name'} ({look})")

    if not shown:
        return []

    ratings = (
        "; --rating_column names one of ratings"
        if has_numbers and columns["rating"] is None
        else ""
    )
    return [f"{table.path.name}: columns that are not used: {', '.join(shown)}{ratings}."]


def _look(head: Table, name: str) -> str:
    verdict = column_type(head, name, "")
    if verdict.type == "float":
        return "dates" if verdict.reason.startswith("dates") else "numbers"
    if verdict.type in ("token_seq", "float_seq"):
        return "lists"
    if verdict.type is None and verdict.look == "categories":
        return "empty"
    return verdict.look
