"""Inferred types of columns, and the values of a column as one of the types."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from recbole_sibrar.errors import DataError

from ...lists import filled_parts
from ...pipeline.raw import Values
from ...readers.raw_tables import Table
from .column_names import is_id_name
from .dates import ISO, find_dates, is_date_type, to_seconds
from .list_cells import CellList, kind_of_lists, parse_list
from .text_kinds import is_prose, is_prose_with, text_kind

MOSTLY = 0.5
"""A column of texts with more than this share of numbers was probably meant to hold numbers."""


@dataclass(frozen=True)
class Verdict:
    """Inferred type of a column."""

    type: str | None
    """Type of the field; None for a column without a field."""
    reason: str
    """Reason, as a part of a sentence."""
    look: str = "categories"
    """Kind of its cells: that of :func:`~.text_kinds.text_kind`, ``ids`` or ``mostly numbers``."""


def column_type(table: Table, name: str, list_separator: str) -> Verdict:
    """Infer the type of a column.

    Args:
        table: The table.
        name: The column.
        list_separator: Separator of the elements of a list in a cell.
    """
    kind = table.data[name].type

    # Columns of Parquet and JSON have types of their own.
    if is_list_type(kind):
        return _type_of_lists(table, name)
    if pa.types.is_binary(kind):
        return Verdict(None, "its cells are binary", "structures")
    if pa.types.is_nested(kind) or pa.types.is_large_binary(kind):
        return Verdict(None, "its cells are structures", "structures")
    if pa.types.is_boolean(kind):
        return Verdict("token", "true and false")
    if is_date_type(kind):
        return Verdict("float", "dates, as seconds since 1970")
    if pa.types.is_null(kind):
        return Verdict(None, "it is empty", "empty")
    if not (_is_number(kind) or pa.types.is_string(kind)):
        return Verdict(None, f"its cells are {kind}", "structures")

    # Those of text files are inferred from their cells.
    parsed = table.parse_numbers(name)
    if np.isnan(parsed.values).all() and not parsed.is_text.any():
        return Verdict(None, "it is empty", "empty")
    if not parsed.is_text.any():
        return _type_of_numbers(parsed.values[~np.isnan(parsed.values)], name)
    return _type_of_texts(table, name, list_separator)


def _type_of_numbers(numbers: NDArray[Any], name: str) -> Verdict:
    """Take numbers for amounts, unless they are whole and the column is named like an id."""
    if not is_id_name(name) or (numbers != np.floor(numbers)).any():
        return Verdict("float", "numbers")

    # An id of its own for each row tells nothing about a row.
    if len(numbers) > 1 and len(np.unique(numbers)) == len(numbers):
        return Verdict(
            None, "whole numbers in a column named like an id, of which no two are alike", "ids"
        )
    return Verdict("token", "whole numbers in a column named like an id")


def _type_of_texts(table: Table, name: str, list_separator: str) -> Verdict:
    texts = table.texts(name).drop_null()
    if not len(texts):
        return Verdict(None, "it is empty", "empty")

    # Dates of two possible forms stay texts: a guess would swap days and months.
    dates = find_dates(table, name)
    if dates is not None and not dates.other_form:
        shown = "" if dates.form == ISO else f" of the form {dates.form}"
        return Verdict("float", f"dates{shown}, as seconds since 1970")

    lists = _bracket_lists(texts)
    if lists is not None:
        return _verdict_of(lists)

    # Sentences can have the separator inside by chance.
    separated = bool(list_separator) and pc.any(pc.match_substring(texts, list_separator)).as_py()
    if separated and not is_prose_with(texts, list_separator):
        return Verdict(
            "token_seq", f"some cells have several elements, separated by '{list_separator}'"
        )

    look = text_kind(name, texts)
    if look == "texts":
        return Verdict(None, "hardly a value occurs twice, so it is no category", look)
    if look != "categories":
        return Verdict(None, f"its cells are {look}", look)

    parsed = table.parse_numbers(name)
    n_numbers = int((~np.isnan(parsed.values)).sum())
    n_cells = len(texts) - sum(parsed.missing_words.values())
    is_mostly_numbers = n_numbers > MOSTLY * n_cells
    return Verdict("token", "texts", "mostly numbers" if is_mostly_numbers else "categories")


def _type_of_lists(table: Table, name: str) -> Verdict:
    """Infer the type of a column of lists in Parquet or JSON."""
    column = table.data[name]
    inner = column.type.value_type
    if pa.types.is_nested(inner) or pa.types.is_binary(inner):
        return Verdict(None, "its cells are lists of structures", "structures")

    # Lists of one size, or of decimals, are vectors; whole numbers can also be labels.
    if _is_number(inner):
        is_vector = pa.types.is_fixed_size_list(column.type) or not pa.types.is_integer(inner)
        if is_vector:
            return Verdict("float_seq", "lists of numbers")

    lists = []
    for cell in column.drop_null().to_pylist():
        lists.append(CellList(_labels_in(cell), _is_number(inner)))
    return _verdict_of(lists)


def _verdict_of(lists: Sequence[CellList]) -> Verdict:
    kind, reason = kind_of_lists(lists)
    elements = list(chain.from_iterable(cell.elements for cell in lists))
    labels = pa.chunked_array([elements], pa.string())
    if kind == "token_seq" and is_prose(labels):
        return Verdict(
            None, "its cells are lists of texts of which hardly any occurs twice", "texts"
        )
    return Verdict(kind, reason, "lists")


def _bracket_lists(texts: pa.ChunkedArray) -> list[CellList] | None:
    """Parse a column of lists; None if a cell is no list."""
    if not pc.all(pc.match_substring_regex(texts, r"(?s)^\s*[\[(].*[\])]\s*$")).as_py():
        return None
    lists = []
    for cell in texts.to_pylist():
        found = parse_list(cell)
        if found is None:
            return None
        lists.append(found)
    return lists


def typed_values(
    table: Table, name: str, kind: str, rows: NDArray[Any], list_separator: str
) -> Values:
    """Read the values of a column for some entities.

    Args:
        table: The table.
        name: The column.
        kind: The type of the field.
        rows: int ``[n]``, the row of each entity, -1 if it has none.
        list_separator: Separator of the elements of a list in a cell.

    Raises:
        DataError: A cell has another type.
    """
    _check_kind(table, name, kind)
    if kind == "float":
        numbers = np.full(len(rows), np.nan)
        numbers[rows >= 0] = _numbers_or_dates(table, name)[rows[rows >= 0]]
        return pd.Series(numbers)

    is_list = is_list_type(table.data[name].type)
    cells = table.data[name].to_pylist() if is_list else table.texts(name).to_pylist()
    values: list[Any] = [cells[row] if row >= 0 else None for row in rows]
    if kind == "token":
        return pd.Series(values, dtype=object)

    if kind == "token_seq":
        labels = []
        for value in values:
            row = _labels_in(value or ()) if is_list else labels_of(value, list_separator)
            labels.append(row)
        return pd.Series(labels, dtype=object)

    if not is_list:
        missing = table.missing_numbers
        values = [_numbers(value, list_separator, missing) for value in values]
    return _matrix(table, name, values, rows)


def labels_of(cell: str | None, list_separator: str) -> list[str]:
    """Divide a cell into labels: the list in its brackets, or the parts between separators."""
    found = parse_list(cell) if cell else None
    if found is not None:
        return found.elements

    text = (cell or "").strip()
    if list_separator:
        return filled_parts(text, list_separator)
    return [text] if text else []


def is_list_type(kind: pa.DataType) -> bool:
    """Recognise columns of lists in Parquet or JSON."""
    return bool(
        pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
    )


def _check_kind(table: Table, name: str, kind: str) -> None:
    """Refuse a type at odds with the type of a column in Parquet or JSON."""
    # Lists are no single values, and structures have no form as a text.
    found = table.data[name].type
    wrong = is_list_type(found) and (
        kind in ("token", "float") or pa.types.is_nested(found.value_type)
    )
    if wrong or pa.types.is_struct(found) or pa.types.is_map(found) or pa.types.is_union(found):
        raise DataError(
            f"{table.path}, column {name}: found {found}, which is no {kind} (--columns)"
        )


def _numbers_or_dates(table: Table, name: str) -> NDArray[Any]:
    """Read the numbers of a column, or its dates in seconds since 1970."""
    if is_date_type(table.data[name].type):
        return to_seconds(table, name)[0]
    if table.parse_numbers(name).is_text.any():
        dates = find_dates(table, name)
        if dates is not None and not dates.other_form:
            return dates.seconds
    return table.numbers(name)


def _labels_in(cell: Sequence[Any]) -> list[str]:
    """Write the elements of a list as labels, without missing ones."""
    return [_label(element) for element in cell if element is not None]


def _label(value: Any) -> str:
    # As JSON writes them, not as Python does.
    return str(value).lower() if isinstance(value, bool) else str(value)


def _numbers(value: str | None, list_separator: str, missing: frozenset[str]) -> list[str]:
    """Divide a cell into numbers: between list separators, spaces or commas, in brackets or not."""
    if value is not None and value.strip().lower() in missing:
        return []
    text = (value or "").strip("[]() ").replace(",", " ")
    return (text.replace(list_separator, " ") if list_separator else text).split()


def _matrix(table: Table, name: str, elements: list[Any], rows: NDArray[Any]) -> NDArray[Any]:
    """Make a matrix of lists of numbers: float32 ``[n, size]``, NaN for a missing list."""
    sizes = np.array([len(row or ()) for row in elements])
    size = int(sizes.max(initial=0))
    matrix = np.full((len(elements), max(size, 1)), np.nan, dtype=np.float32)

    # Rows of empty lists stay NaN: they are missing.
    for position in np.flatnonzero(sizes):
        if sizes[position] != size:
            table.refuse(
                int(rows[position]), name, f"{size} numbers, as in other rows, or an empty cell"
            )
        try:
            # Infinite numbers are refused later, with the id of their entity.
            with np.errstate(over="ignore"):
                matrix[position] = elements[position]
        except (TypeError, ValueError):
            table.refuse(int(rows[position]), name, "a list of numbers")

    return matrix


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind))
