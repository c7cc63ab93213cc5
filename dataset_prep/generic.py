"""Any data set: tables of interactions, users and items with columns that the options name."""

from __future__ import annotations

import argparse
import codecs
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from recbole_sibrar.config.values import nearest
from recbole_sibrar.data.atomic import FIELD_TYPES, DataError

from .inference import column_type, to_seconds, typed_values
from .raw import RawData, RawField, Values, others_left_out
from .raw_tables import SEPARATORS, Table, read_parquet, separator_of
from .raw_text import read_text

NAME = "generic"
"""Name on the command line and of the data set."""
ABOUT = "Any data set: tables (CSV, TSV, Parquet) of interactions, users and items"
"""What the converter reads, in a line."""
LINK = ""
"""There is nothing to download."""
DEFAULTS: dict[str, Any] = {}
"""The papers have no such data set: everything is kept."""

COLUMN_NAMES = {
    "user": ("user_id", "userId", "user", "userid", "uid", "UserID", "User-ID", "customer_id", "session_id"),
    "item": (
        *("item_id", "itemId", "item", "itemid", "iid", "ItemID", "movieId", "movie_id", "track_id", "product_id"),
        *("parent_asin", "asin", "ISBN"),
    ),
    "rating": ("rating", "Rating", "stars", "score", "overall", "Book-Rating"),
    "timestamp": ("timestamp", "time", "date", "Timestamp", "datetime", "unixReviewTime"),
}
"""Names of columns that are recognised without an option, the first that a table has."""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that say where everything stands."""
    add = parser.add_argument
    add("--interactions", metavar="FILE", required=True, help="table of interactions, in --input_path")
    add("--users", metavar="FILE", help="table of users, a line for each")
    add("--items", metavar="FILE", help="table of items, a line for each")
    for role, names in COLUMN_NAMES.items():
        usual = f"{', '.join(names[:3])}, ..."
        unused = "" if role in ("user", "item") else "; none for none"
        shown = f"column with the {role} (default: {usual}, if there is one{unused})"
        add(f"--{role}_column", metavar="COLUMN", help=shown)
    types = "type of a column, as user:age=float or item:tags=token_seq, or item:url=skip to leave it out; without it, "
    types += f"the type is inferred and reported; types: {', '.join(FIELD_TYPES)}"
    add("--columns", metavar="SIDE:COLUMN=TYPE", nargs="+", default=[], help=types)
    add("--list_separator", default="|", help="separates the elements of a list in a cell (default: %(default)s)")
    endings = ", ".join(f"{value!r} for {ending}" for ending, value in SEPARATORS.items())
    add("--separator", metavar="TEXT", help=f"separates columns (default: {endings})".replace("%", "%%"))
    add("--encoding", default="utf-8", help="encoding of text files (default: %(default)s)")
    header = "text files begin with data, not with names of columns; columns are named 1, 2, 3, ..."
    add("--no_header", action="store_true", help=header)


def read(input_path: Path, options: argparse.Namespace) -> RawData:
    """Read the tables.

    Args:
        input_path: Folder of the files.
        options: See :func:`add_options`.

    Raises:
        DataError: A file or column is missing, or a cell is not what its column should hold.
    """
    table = _table(input_path / options.interactions, options)
    notes: list[str] = []
    columns = {role: _column(table, role, getattr(options, f"{role}_column")) for role in COLUMN_NAMES}
    for role in ("user", "item"):
        if columns[role] is None:
            raise DataError(
                f"--{role}_column: name the column of {table.path} with the {role}: {', '.join(table.names)}"
            )
    if columns["user"] == columns["item"]:
        raise DataError(f"--item_column: found '{columns['item']}', which is the column with the user already")
    inter: dict[str, Any] = {f"{role}_id": table.categories(str(columns[role])) for role in ("user", "item")}
    if columns["rating"] is not None:
        inter["rating"] = table.numbers(columns["rating"])
    if columns["timestamp"] is not None:
        inter["timestamp"], unit = to_seconds(table, columns["timestamp"])
        notes.append(f"Timestamps are read from column {columns['timestamp']} as {unit}.")
    ignored = [name for name in table.names if name not in columns.values()]
    if ignored:
        notes.append(f"Columns of {table.path.name} that are not used: {', '.join(ignored)}.")
    types = _types(options.columns)
    fields = {}
    for side, file in (("user", options.users), ("item", options.items)):
        fields[side] = _fields(side, input_path / file, columns[side], types[side], options, notes) if file else []
        if types[side] and not file:
            raise DataError(
                f"--columns: found a type for {side}s, but there is no table of them; name it with --{side}s"
            )
    return RawData(pd.DataFrame(inter), fields["user"], fields["item"], notes=notes)


def _table(path: Path, options: argparse.Namespace) -> Table:
    if not path.is_file():
        raise DataError(f"--input_path: there is no file {path}")
    if path.suffix == ".parquet":
        return read_parquet(path)
    separator = options.separator.replace("\\t", "\t") if options.separator else separator_of(path)
    assert separator is not None  # Parquet was read above
    if set(separator) & set('"\r\n') or not separator.isascii():
        raise DataError(f"--separator: found {separator!r}, allowed are ASCII characters but quotes and line breaks")
    try:
        codecs.lookup(options.encoding)
    except LookupError:
        raise DataError(f"--encoding: found '{options.encoding}', allowed is an encoding such as utf-8") from None
    return read_text(path, separator, None, options.encoding, quotes=len(separator) == 1, header=not options.no_header)


def _column(table: Table, role: str, given: str | None) -> str | None:
    """The column of a role: the one that is given, or one with a usual name."""
    if given == "none":
        return None
    if given:
        table.check([given], f"--{role}_column")
        return given
    return next((name for name in COLUMN_NAMES[role] if name in table.names), None)


def _types(texts: Sequence[str]) -> dict[str, dict[str, str]]:
    """The types of ``--columns`` for each side."""
    types: dict[str, dict[str, str]] = {"user": {}, "item": {}}
    allowed = (*FIELD_TYPES, "skip")
    for text in texts:
        left, equals, kind = text.rpartition("=")
        side, colon, name = left.partition(":")
        if not equals or not colon or not name or side not in types:
            raise DataError(f"--columns: found '{text}', allowed is user:COLUMN=TYPE or item:COLUMN=TYPE")
        if kind not in allowed:
            raise DataError(
                f"--columns: found '{text}', allowed types are {', '.join(allowed)}{nearest(kind, allowed)}"
            )
        types[side][name] = kind
    return types


def _fields(
    side: str, path: Path, key: str | None, types: dict[str, str], options: argparse.Namespace, notes: list[str]
) -> list[RawField]:
    """The fields of a table of users or items."""
    table = _table(path, options)
    table.check(types, "--columns")
    key = key if key in table.names else _column(table, side, None) or table.names[0]
    ids = pd.Index(table.categories(key).astype(object))
    if ids.has_duplicates:
        table.wrong(int(ids.duplicated().argmax()), key, "each id once")
    fields = []
    for name in table.names:
        if name == key or types.get(name) == "skip":
            continue
        kind, reason = (types[name], "as told") if name in types else column_type(table, name, options.list_separator)
        verdict = kind or f"left out unless there is --columns {side}:{name}=TYPE"
        notes.append(f"{side}s: column {name} is {verdict} ({reason}).")
        if kind:
            others: list[str] = []
            read_values = _reader(table, name, kind, ids, options.list_separator, others)
            fields.append(RawField("_".join(name.replace(":", " ").split()), kind, read_values, path.name, others))
    return fields


def _reader(
    table: Table, name: str, kind: str, ids: pd.Index, list_separator: str, notes: list[str]
) -> Callable[[pd.Index], Values]:
    def read_values(wanted: pd.Index) -> Values:
        notes.extend(others_left_out(table.path.name, int((~ids.isin(wanted)).sum()), len(ids), "rows"))
        return typed_values(table, name, kind, ids.get_indexer(wanted), list_separator)

    return read_values
