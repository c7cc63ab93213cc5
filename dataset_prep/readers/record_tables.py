"""JSON files as tables: one object a line, a list of objects, or objects by id."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from recbole_sibrar.errors import DataError

from ..messages import one_line
from .content import UNREADABLE, json_records
from .raw_tables import Table

_STRUCTURE = {"structure": "json"}
_Scalar = str | int | float | bool


def read_records_table(path: Path) -> Table:
    """Read a JSON file as a table, with a column for each key.

    Args:
        path: One object a line, a list of objects, or an object of objects by id; packed or not.

    Returns:
        Columns of numbers, truth values, texts or lists of these. A column with values of several
        kinds holds texts; one with objects or lists of lists holds structures, and becomes no
        field.

    Raises:
        DataError: It cannot be read, holds no object, or an object is not as it should be.
    """
    try:
        columns = _values(path)
    except UNREADABLE as error:
        reason = getattr(error, "strerror", None) or one_line(error)
        raise DataError(f"{path}: cannot be read: {reason}") from None
    if not columns:
        raise DataError(
            f"{path}: found no object, allowed are objects such as {{'id': 'a', 'price': 2.5}}"
        )

    arrays = {name: _column(values) for name, values in columns.items()}
    return Table(path, pa.table(arrays), unit="object")


def _values(path: Path) -> dict[str, list[Any]]:
    """Collect the values of all objects by their keys, None for a missing key."""
    columns: dict[str, list[Any]] = {}
    for n, record in enumerate(json_records(path)):
        for name, value in record.items():
            # A new key was missing in all objects before.
            if name not in columns:
                columns[name] = [None] * n
            columns[name].append(_plain(value))

        # The columns stay of one length: the object lacks the other keys.
        for values in columns.values():
            if len(values) <= n:
                values.append(None)
    return columns


def _plain(value: Any) -> Any:
    """Convert a value for a column: objects and lists of lists become one structure."""
    # No field is made of structures, so that their content need not be kept.
    if isinstance(value, dict):
        return _STRUCTURE
    if isinstance(value, list):
        elements = [_plain(element) for element in value]
        is_nested = any(isinstance(element, dict | list) for element in elements)
        return _STRUCTURE if is_nested else elements

    # Python's json writes and reads NaN, although JSON itself has none.
    if isinstance(value, float) and math.isnan(value):
        return None
    if isinstance(value, str):
        # JSON can hold halves of characters, which have no form in UTF-8.
        return value.encode(errors="replace").decode()
    return value


def _column(values: list[Any]) -> pa.Array:
    kinds = {type(value) for value in values}
    if dict in kinds:
        return pa.array([None if value is None else _STRUCTURE for value in values])
    if list not in kinds:
        return _scalars(values)

    elements: list[Any] = []
    starts: list[int | None] = []
    for value in values:
        starts.append(None if value is None else len(elements))
        if isinstance(value, list):
            elements += value
        # A single value among lists is a list of one.
        elif value is not None:
            elements.append(value)

    # Truth values in lists are labels; a column of empty lists has no type.
    flat = _scalars(elements)
    if pa.types.is_boolean(flat.type) or pa.types.is_null(flat.type):
        flat = flat.cast(pa.string())

    # Row k holds the elements from offset k to below k + 1; a null offset is a missing list.
    offsets = pa.array([*starts, len(elements)], pa.int32())
    return pa.ListArray.from_arrays(offsets, flat)


def _scalars(values: Sequence[_Scalar | None]) -> pa.Array:
    """Make an array of values of one kind, or of texts for several kinds."""
    present = [value for value in values if value is not None]
    kinds = {type(value) for value in present}
    if not kinds:
        return pa.array(values, pa.null())

    # Larger numbers, such as ids of many digits, stay whole as texts.
    if kinds == {int} and all(_is_within(value, 2**63 - 1) for value in present):
        return pa.array(values, pa.int64())
    is_exact = kinds == {int, float} and all(_is_within(value, 2**53) for value in present)
    if kinds == {float} or is_exact:
        return pa.array(values, pa.float64())
    if kinds == {bool}:
        return pa.array(values, pa.bool_())

    return pa.array([None if value is None else _text(value) for value in values], pa.string())


def _is_within(value: Any, limit: int) -> bool:
    """Recognise whole numbers up to a limit, and all other numbers."""
    return not isinstance(value, int) or abs(value) <= limit


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)
