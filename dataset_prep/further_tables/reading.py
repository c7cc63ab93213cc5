"""Reading of further tables: their columns as fields of users or items."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from recbole_sibrar.errors import DataError

from ..converters.generic.column_names import usual_id_columns
from ..converters.generic.column_types import is_list_type, typed_values
from ..converters.generic.dates import find_dates
from ..pipeline.raw import RawData, RawField, Values, others_left_out
from ..readers.endings import JSON_ENDINGS, ending_of, separator_of
from ..readers.entity_file import EntityFile
from ..readers.missing_words import MISSING_NUMBERS
from ..readers.raw_tables import Table, read_parquet
from ..readers.raw_text import read_text
from ..readers.record_tables import read_records_table
from .option import NAMES, TEXT, Column, FurtherTable

MISSING = frozenset({"N/A"})
"""Cells with a missing value, besides empty ones, as OMDb writes them."""

SEPARATORS = ("|", ";", ",")
"""Separators of labels in a cell; the first one that occurs in a column counts."""

_NUMBER = re.compile(r"\s*([-+]?\d+(?:\.\d+)?)")
_REMARK = re.compile(r"\s*\([^()]*\)")
_MANY_REMARKS = 0.05
"""Share of the filled cells with remarks from which on a note proposes the type ``names``."""


def add_tables(raw: RawData, tables: list[FurtherTable]) -> None:
    """Add the fields of further tables to a raw data set.

    Args:
        raw: The raw data set; its fields, texts and sentences for the report are changed.
        tables: The tables.

    Raises:
        DataError: A file or column is missing, or a cell has a wrong value.
    """
    for table in tables:
        source = _open(table, raw)
        fields: list[RawField] = []
        texts: list[RawField] = []
        for column in table.columns:
            kind = texts if column.type == TEXT else fields
            kind.append(source.field(column))

        if table.side == "user":
            raw.user_fields = [*raw.user_fields, *fields]
        else:
            raw.item_fields = [*raw.item_fields, *fields]
        raw.texts = {**raw.texts, table.side: [*raw.texts.get(table.side, ()), *texts]}


@dataclass(frozen=True)
class _Source:
    """An open table, with the ids of its rows."""

    table: Table
    ids: pd.Index
    file: EntityFile
    raw: RawData

    def field(self, column: Column) -> RawField:
        """Make the field of a column."""
        kind = {TEXT: "token", NAMES: "token_seq"}.get(column.type, column.type)
        table = self.table
        separator = ""
        if kind == "float":
            table = _with_first_numbers(table, column.column, self.raw.notes)
        elif kind == "token_seq":
            table = _with_remarks_considered(table, column, self.raw.notes)
            separator = _separator(table, column.column)
            if separator:
                self.raw.inferred.append(
                    f"{table.path.name}: labels of {column.column} are separated by '{separator}'."
                )

        notes: list[str] = []

        def read_values(wanted: pd.Index) -> Values:
            self.file.add(self.ids)
            self.file.close()
            n_others = int((~self.ids.isin(wanted)).sum())
            notes.extend(others_left_out(self.file.name, n_others, len(self.ids), "rows"))
            return typed_values(table, column.column, kind, self.ids.get_indexer(wanted), separator)

        return RawField(column.name, kind, read_values, self.file.name, notes, self.file)


def _open(wanted: FurtherTable, raw: RawData) -> _Source:
    """Read a table, and find the ids of its rows."""
    path = wanted.path
    if not path.is_file():
        raise DataError(f"{wanted.option}: there is no file {path}")

    table = replace(_read(wanted), missing=MISSING, missing_numbers=MISSING_NUMBERS)
    table.check([column.column for column in wanted.columns], wanted.option)
    key = _key(wanted, table)
    ids = pd.Index(table.categories(key).astype(object))
    if ids.has_duplicates:
        table.refuse(int(ids.duplicated().argmax()), key, "each id once")
    return _Source(table, ids, EntityFile(path.name, is_table=True, read_ids=lambda: ids), raw)


def _read(wanted: FurtherTable) -> Table:
    ending = ending_of(wanted.path)
    if ending == ".parquet":
        return read_parquet(wanted.path)
    if ending in JSON_ENDINGS:
        return read_records_table(wanted.path)
    separator = separator_of(wanted.path, JSON_ENDINGS)
    return read_text(wanted.path, separator, quote='"' if len(separator) == 1 else None)


def _key(wanted: FurtherTable, table: Table) -> str:
    """Choose the column of the ids: the named one, one with a usual name, or the first."""
    if wanted.key is not None:
        table.check([wanted.key], wanted.option)
        return wanted.key

    used = {column.column for column in wanted.columns}
    candidates = [*usual_id_columns(wanted.side, table.names), *table.names]

    # A column in use as a field is not the one of the ids, even with a usual name.
    free = [name for name in candidates if name not in used]
    if not free:
        raise DataError(
            f"{wanted.option}: found every column of {table.path} used; name the one of the ids "
            "as COLUMN=id"
        )
    return free[0]


def _separator(table: Table, name: str) -> str:
    """Find the separator of the labels in a column; empty for lists and for single labels."""
    if is_list_type(table.data[name].type):
        return ""

    texts = table.texts(name)
    for mark in SEPARATORS:
        if pc.any(pc.match_substring(texts, mark)).as_py():
            return mark
    return ""


def _with_remarks_considered(table: Table, column: Column, notes: list[str]) -> Table:
    """Leave out remarks in parentheses, as in ``Ann Lee (screenplay)``, or propose it in a note."""
    name = column.column
    if not pa.types.is_string(table.data[name].type):
        return table

    cells = table.data[name].to_pylist()
    # a list in parentheses is no remark: something stands before one
    with_remark = [cell for cell in cells if cell and _REMARK.search(cell, 1)]
    if not with_remark:
        return table

    example = (_REMARK.search(with_remark[0], 1) or [""])[0].strip()
    about = (
        f"{table.path.name}: {len(with_remark):,} cells of {name} have remarks, such as '{example}'"
    )
    if column.type != NAMES:
        if len(with_remark) > _MANY_REMARKS * sum(bool(cell) for cell in cells):
            notes.append(f"{about}; {name}={NAMES} leaves them out of the labels.")
        return table

    notes.append(f"{about}, which are left out.")
    cells = [_without_remarks(cell) if cell else cell for cell in cells]
    position = table.names.index(name)
    return replace(table, data=table.data.set_column(position, name, pa.array(cells, pa.string())))


def _without_remarks(cell: str) -> str:
    """Leave out all parentheses of a cell behind its first character."""
    # from the inside: a remark may have a remark
    found = 1
    while found:
        rest, found = _REMARK.subn("", cell[1:])
        cell = cell[:1] + rest
    return cell


def _with_first_numbers(table: Table, name: str, notes: list[str]) -> Table:
    """Replace cells that begin with a number, such as ``81 min``, by the number."""
    # Dates begin with a number too, and are read as dates.
    if not pa.types.is_string(table.data[name].type) or find_dates(table, name) is not None:
        return table

    # Texts without a number stay, and are refused later.
    is_text: NDArray[np.bool_] = table.parse_numbers(name).is_text
    cells = table.data[name].to_pylist()

    changed = 0
    example = ""
    for row in np.flatnonzero(is_text):
        found = _NUMBER.match(cells[row])
        if found:
            changed += 1
            example = example or cells[row]
            cells[row] = found[1]
    if not changed:
        return table

    notes.append(
        f"{table.path.name}: {changed:,} cells of {name}, such as '{example}', are read as their "
        "first number."
    )
    position = table.names.index(name)
    return replace(table, data=table.data.set_column(position, name, pa.array(cells, pa.string())))
