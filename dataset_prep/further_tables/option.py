"""The options ``--item_table`` and ``--user_table``: a file, and the columns to use.

No library is imported here.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from recbole_sibrar.errors import DataError, nearest
from recbole_sibrar.names import FIELD_TYPES, Side

ID = "id"
"""Type of the column of ids."""

TEXT = "text"
"""Type of a column that is only encoded."""

NAMES = "names"
"""Type of a column of labels with remarks in parentheses, which are left out: a ``token_seq``."""

TYPES = (*FIELD_TYPES, NAMES, TEXT, ID)
"""Types of a column."""

_SHAPE = (
    "FILE COLUMN=TYPE ..., such as omdb.json director=token_seq 'language=token_seq languages' "
    "plot=text"
)


@dataclass(frozen=True)
class Column:
    """A column to use."""

    column: str
    """Its name in the file."""
    type: str
    """One of :data:`TYPES`."""
    name: str
    """Name of the field."""


@dataclass(frozen=True)
class FurtherTable:
    """A further table of one side."""

    side: Side
    """``user`` or ``item``."""
    path: Path
    """The file."""
    columns: tuple[Column, ...]
    """Columns to use, without that of the ids."""
    key: str | None = None
    """Column of the ids; None for the one with a usual name."""

    @property
    def option(self) -> str:
        """Name of the option, for messages."""
        return f"--{self.side}_table"


def add_option(parser: argparse.ArgumentParser, side: Side) -> None:
    """Add the option for one side."""
    parser.add_argument(
        f"--{side}_table",
        metavar=("FILE", "COLUMN=TYPE"),
        nargs="+",
        action="append",
        default=[],
        help=f"a further table of the {side}s (CSV, TSV, JSON, Parquet) and its columns to use, as "
        "director=token_seq or 'language=token_seq languages' for another name of the field; "
        f"types: {', '.join(TYPES)} (names are labels without their remarks in parentheses, text is "
        "for --encode, id names the column of ids); repeatable",
    )


def tables_of(options: argparse.Namespace, side: Side) -> list[FurtherTable]:
    """Read the values of the option of one side; none for a parser without it.

    Raises:
        DataError: A value is not as it should be.
    """
    return [_parse(side, value) for value in getattr(options, f"{side}_table", [])]


def field_names(options: argparse.Namespace, side: Side) -> set[str]:
    """Return the names of the fields and texts of the further tables of one side."""
    names: set[str] = set()
    for table in tables_of(options, side):
        names.update(column.name for column in table.columns)
    return names


def _parse(side: Side, value: Sequence[str]) -> FurtherTable:
    file, *texts = value
    if not texts:
        raise DataError(f"--{side}_table: found '{file}' without columns, allowed is {_SHAPE}")

    keys = []
    used = []
    for text in texts:
        column = _column(side, text)
        if column.type == ID:
            keys.append(column.column)
        else:
            used.append(column)
    if len(keys) > 1:
        raise DataError(
            f"--{side}_table: found the ids {' and '.join(keys)} of {file}, allowed is one column "
            "of ids"
        )
    return FurtherTable(side, Path(file), tuple(used), keys[0] if keys else None)


def _column(side: Side, text: str) -> Column:
    # The last sign divides: the name of a column can have one.
    left, equals, right = text.rpartition("=")
    kind, _, name = right.strip().partition(" ")
    if not equals or not left:
        raise DataError(f"--{side}_table: found '{text}', allowed is {_SHAPE}")
    if kind not in TYPES:
        raise DataError(
            f"--{side}_table: found '{text}', allowed types are "
            f"{', '.join(TYPES)}{nearest(kind, TYPES)}"
        )

    # A colon divides name and type in the header of an atomic file.
    words = (name or left).replace(":", " ").split()
    return Column(left, kind, "_".join(words))
