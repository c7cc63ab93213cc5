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
    return Table(
        path, pa.table({name: _column(values) for name, values in columns.items()}), unit="object"
    )


def _values(path: Path) -> dict[str, list[Any]]:
    """Collect the values of all objects by their keys, None for a missing key."""
    columns: dict[str, list[Any]] = {}
    for n, record in enumerate(json_records(path)):
        for name, value in record.items():
            if name not in columns:
                columns[name] = [None] * n
            columns[name].append(_plain(value))
        for values in columns.values():
            if len(values) <= n:
                values.append(None)
    return columns


def _plain(value: Any) -> Any:
    """Convert a value for a column: all objects and lists of lists become one and the same structure."""
    if isinstance(value, dict):
        return _STRUCTURE
    if isinstance(value, list):
        elements = [_plain(element) for element in value]
        return (
            _STRUCTURE
            if any(isinstance(element, dict | list) for element in elements)
            else elements
        )
    if isinstance(value, float) and math.isnan(value):
        return None
    if isinstance(value, str):
        return value.encode(errors="replace").decode()  # JSON can hold halves of characters
    return value


def _column(values: list[Any]) -> pa.Array:
    present = [value for value in values if value is not None]
    if any(value is _STRUCTURE for value in present):
        return pa.array([None if value is None else _STRUCTURE for value in values])
    if not any(isinstance(value, list) for value in present):
        return _scalars(values)

    lists = [value if value is None or isinstance(value, list) else [value] for value in values]
    elements = _scalars([element for row in lists for element in row or ()])
    if pa.types.is_boolean(elements.type) or pa.types.is_null(elements.type):
        elements = elements.cast(pa.string())
    ends = [0]
    for row in lists:
        ends.append(ends[-1] + len(row or ()))
    starts = [None if row is None else end for row, end in zip(lists, ends[:-1], strict=True)]
    return pa.ListArray.from_arrays(pa.array([*starts, ends[-1]], pa.int32()), elements)


def _scalars(values: Sequence[_Scalar | None]) -> pa.Array:
    """Make an array of values of one kind, or of texts for several kinds."""
    kinds = {type(value) for value in values if value is not None}
    if kinds <= {int} and all(abs(value) < 2**63 for value in values if value is not None):  # type: ignore[arg-type]
        return pa.array(values, pa.int64() if kinds else pa.null())
    if kinds == {float} or (kinds == {int, float} and all(_fits(value) for value in values)):
        return pa.array([None if value is None else float(value) for value in values], pa.float64())
    if kinds == {bool}:
        return pa.array(values, pa.bool_())
    return pa.array([None if value is None else _text(value) for value in values], pa.string())


def _fits(value: Any) -> bool:
    """Recognise numbers without a loss as float64."""
    return not isinstance(value, int) or abs(value) <= 2**53


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)
