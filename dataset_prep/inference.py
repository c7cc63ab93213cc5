"""The types of columns, where they can be told from the values, and the values of a column of some type."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from .raw import Values
from .raw_tables import Table

_UNITS = ((1e17, 1e9, "nanoseconds"), (1e14, 1e6, "microseconds"), (1e11, 1e3, "milliseconds"), (0, 1.0, "seconds"))
"""A number of at least the first, taken as seconds, would lie more than 3,000 years ahead: it has a smaller unit."""


def column_type(table: Table, name: str, list_separator: str) -> tuple[str | None, str]:
    """The type of a field that a column holds.

    Args:
        table: The table.
        name: The column.
        list_separator: What separates the elements of a list in a cell.

    Returns:
        The type and the reason for it; no type for texts that no two entities share, which are no categories.
    """
    column = table.data[name]
    if pa.types.is_list(column.type) or pa.types.is_large_list(column.type) or pa.types.is_fixed_size_list(column.type):
        inner = column.type.value_type
        if pa.types.is_nested(inner):
            return None, "its cells are lists of structures"
        return ("float_seq", "lists of numbers") if _is_number(inner) else ("token_seq", "lists of texts")
    if pa.types.is_nested(column.type) or pa.types.is_binary(column.type):
        return None, f"its cells are {column.type}"
    if pa.types.is_boolean(column.type):
        return "token", "true and false"
    if _is_number(column.type):
        return "float", "numbers"
    texts = table.texts(name).drop_null()
    if not len(texts):
        return None, "it is empty"
    try:
        texts.cast(pa.float64())
        return "float", "numbers"
    except pa.ArrowInvalid:
        pass
    if list_separator and pc.any(pc.match_substring(texts, list_separator)).as_py():
        return "token_seq", f"some cells have several elements, separated by '{list_separator}'"
    if len(texts) > 1 and len(texts.unique()) == len(texts):
        return None, "no value occurs twice, so it is no category"
    return "token", "texts"


def typed_values(table: Table, name: str, kind: str, rows: np.ndarray, list_separator: str) -> Values:
    """The values of a column for some entities.

    Args:
        table: The table.
        name: The column.
        kind: The type of the field.
        rows: int ``[n]``, the row of each entity, -1 if it has none.
        list_separator: What separates the elements of a list in a cell.

    Raises:
        DataError: A cell is not of that type.
    """
    present = rows >= 0
    if kind == "float":
        numbers = np.full(len(rows), np.nan)
        numbers[present] = table.numbers(name)[rows[present]]
        return pd.Series(numbers)
    column = table.data[name]
    values: list[Any] = [None] * len(rows)
    is_list = pa.types.is_nested(column.type)
    cells = column.to_pylist() if is_list else table.texts(name).to_pylist()
    for position in np.flatnonzero(present):
        values[position] = cells[rows[position]]
    if kind == "token":
        return pd.Series([None if value is None else str(value) for value in values], dtype=object)
    split = _elements if kind == "token_seq" else _numbers
    elements = values if is_list else [split(value, list_separator) for value in values]
    if kind == "token_seq":
        return pd.Series([[str(one) for one in row or () if one is not None] for row in elements], dtype=object)
    return _matrix(table, name, elements, rows)


def to_seconds(table: Table, name: str) -> tuple[np.ndarray, str]:
    """A column of times as seconds since 1970.

    Returns:
        float64 ``[n]``, NaN where a cell is empty; and the unit or form in which the file has them.

    Raises:
        DataError: A cell is neither a number nor a date.
    """
    column = table.data[name]
    if pa.types.is_temporal(column.type):
        return _seconds(column.to_pandas()), "dates"
    texts = table.texts(name)
    try:
        numbers = texts.cast(pa.float64()).to_numpy()
    except pa.ArrowInvalid:
        dates = pd.to_datetime(texts.to_pandas(), errors="coerce", utc=True, format="ISO8601")
        wrong = dates.isna().to_numpy() & texts.is_valid().to_numpy()
        if wrong.any():
            table.wrong(int(np.flatnonzero(wrong)[0]), name, "a number or a date such as 2018-12-31 23:59:59")
        return _seconds(dates), "dates (UTC where they name no zone)"
    largest = np.nanmax(numbers, initial=0)
    divisor, unit = next((divisor, unit) for least, divisor, unit in _UNITS if largest >= least)
    return numbers / divisor, unit


def _seconds(dates: pd.Series) -> np.ndarray:
    utc = pd.to_datetime(dates, utc=True)
    return ((utc - pd.Timestamp(0, tz="UTC")) / pd.Timedelta(seconds=1)).to_numpy(np.float64)


def _elements(value: str | None, list_separator: str) -> list[str]:
    parts = (value or "").split(list_separator) if list_separator else [value or ""]
    return [part.strip() for part in parts if part.strip()]


def _numbers(value: str | None, list_separator: str) -> list[str]:
    """Numbers between list separators, spaces or commas, with or without brackets."""
    text = (value or "").strip("[]() ").replace(",", " ")
    return (text.replace(list_separator, " ") if list_separator else text).split()


def _matrix(table: Table, name: str, elements: list[Any], rows: np.ndarray) -> np.ndarray:
    """Lists of numbers as float32 ``[n, size]``, NaN where there is none."""
    sizes = np.array([len(row or ()) for row in elements])
    size = int(sizes.max(initial=0))
    matrix = np.full((len(elements), max(size, 1)), np.nan, dtype=np.float32)
    for position in np.flatnonzero(sizes):
        if sizes[position] != size:
            table.wrong(int(rows[position]), name, f"{size} numbers, as in other rows, or an empty cell")
        try:
            matrix[position] = elements[position]
        except (TypeError, ValueError):
            table.wrong(int(rows[position]), name, "a list of numbers")
    return matrix


def _is_number(kind: pa.DataType) -> bool:
    return pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)
