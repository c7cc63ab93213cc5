"""Tables of new or changed users or items: their columns, checked against the fields of the model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
import pyarrow as pa

from recbole_sibrar.errors import DataError, nearest, one_line
from recbole_sibrar.names import INTERACTIONS, Side
from recbole_sibrar.serving.bundle.manifest import SideSpec
from recbole_sibrar.serving.encoding.cells import texts

__all__ = ["Frame", "TableLike", "read_table"]

TableLike: TypeAlias = (
    "pd.DataFrame | pa.Table | pa.RecordBatch | Mapping[str, Any] | Sequence[Mapping[str, Any]]"
)
"""A table in the form of an atomic file: a pandas or Arrow table, or one row or several as dictionaries."""


@dataclass(frozen=True)
class Frame:
    """Columns of new or changed users or items."""

    tokens: tuple[str, ...] | None
    """Their ids; None where the table has none."""
    columns: Mapping[str, pa.Array]
    """Field, ``interactions`` or display column -> its cells."""
    n: int
    """Number of rows."""


def read_table(table: TableLike, spec: SideSpec, side: Side) -> Frame:
    """Read a table.

    Args:
        table: Its columns are fields of the atomic file, with or without their types (``price`` or ``price:float``),
            the ids, and ``interactions``: ids of the other side, for the first interactions. Fields that are left out
            are missing.
        spec: The side.
        side: Its name, for messages.

    Raises:
        DataError: A column is unknown, occurs twice, or cannot be read.
    """
    columns: dict[str, pa.Array] = {}
    n = 0
    for header, cells in _columns(table, side):
        name = _field_of(header, spec)
        _check_type(cells.type, name, side)
        if name in columns:
            raise DataError(f"{side}s: found two columns '{name}', allowed is one")
        columns[name] = cells
        n = len(cells)

    known = known_columns(spec)
    for name in columns:
        if name not in known:
            raise DataError(
                f"{side}s: '{name}' is no field of the model{nearest(name, known)}; it has {', '.join(known)}"
            )

    ids = columns.pop(spec.id_field, None)
    tokens = None if ids is None else _tokens(ids, spec, side)
    return Frame(tokens, columns, n)


def _check_type(kind: pa.DataType, name: str, side: Side) -> None:
    """Refuse columns of dictionaries, times, bytes and the like."""
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        kind = kind.value_type
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    is_text = pa.types.is_string(kind) or pa.types.is_large_string(kind)
    is_number = pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind)
    if not (is_text or is_number or pa.types.is_null(kind)):
        raise DataError(
            f"{side}s, field '{name}': found the type {kind}, allowed are texts, numbers and lists of them"
        )


def known_columns(spec: SideSpec) -> list[str]:
    """List the columns that a table may have, the ids first."""
    fields = [field.name for field in spec.fields]
    return list(dict.fromkeys([spec.id_field, *fields, INTERACTIONS, *spec.display, *spec.unused]))


def _field_of(header: str, spec: SideSpec) -> str:
    """Name of a column without the type that the header of an atomic file gives it."""
    known = known_columns(spec)
    return header if header in known else header.rpartition(":")[0] or header


def _columns(table: TableLike, side: Side) -> list[tuple[str, pa.Array]]:
    """List the columns of a table as Arrow arrays."""
    if isinstance(table, (pa.Table, pa.RecordBatch)):
        held = pa.table(table) if isinstance(table, pa.RecordBatch) else table
        return [
            (name, _combined(held.column(place))) for place, name in enumerate(held.column_names)
        ]

    if isinstance(table, pd.DataFrame):
        return [
            (str(name), _array(table.iloc[:, place], side))
            for place, name in enumerate(table.columns)
        ]

    rows = [table] if isinstance(table, Mapping) else list(table)
    if not all(isinstance(row, Mapping) for row in rows):
        raise DataError(
            f"{side}s: found {type(table).__name__}, allowed is a table, or dictionaries of fields"
        )
    names = list(dict.fromkeys(name for row in rows for name in row))
    return [
        (
            str(name),
            _array(pd.Series([row.get(name) for row in rows], dtype=object, name=name), side),
        )
        for name in names
    ]


def _combined(column: pa.ChunkedArray) -> pa.Array:
    combined = column.combine_chunks()
    return pa.concat_arrays(combined.chunks) if isinstance(combined, pa.ChunkedArray) else combined


def _array(column: pd.Series[Any], side: Side) -> pa.Array:
    """Convert a pandas column; NaN and None are missing."""
    try:
        return pa.array(column, from_pandas=True)
    except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError, UnicodeError):
        pass  # of several types, such as 7 beside "a", or an integer of more than 64 bits

    cells = [None if _is_missing(cell) else cell for cell in column]
    if any(isinstance(cell, (dict, set)) for cell in cells):
        raise DataError(
            f"{side}s, field '{column.name}': found a dictionary or set, allowed are texts, numbers and lists"
        )
    try:
        return pa.array([_as_text(cell) for cell in cells])
    except (pa.ArrowInvalid, pa.ArrowTypeError, UnicodeError) as error:
        raise DataError(
            f"{side}s, field '{column.name}': cannot be read ({one_line(error, 200)})"
        ) from None


def _is_missing(cell: Any) -> bool:
    return cell is None or (not isinstance(cell, (list, tuple, np.ndarray)) and bool(pd.isna(cell)))


def _as_text(cell: Any) -> Any:
    """Text of a single value; the texts of a sequence."""
    if cell is None:
        return None
    return (
        [str(element) for element in cell]
        if isinstance(cell, (list, tuple, np.ndarray))
        else str(cell)
    )


def _tokens(ids: pa.Array, spec: SideSpec, side: Side) -> tuple[str, ...]:
    """Read the ids."""
    if pa.types.is_nested(ids.type):
        raise DataError(
            f"{side}s: {spec.id_field}: found a list, allowed is one id for each {side}"
        )
    tokens = texts(ids).to_pylist()
    for row, token in enumerate(tokens, start=1):
        if token is None:
            raise DataError(f"{side}s, row {row}: {spec.id_field} is missing")
    if len(set(tokens)) < len(tokens):
        seen: set[str] = set()
        twice = next(token for token in tokens if token in seen or seen.add(token))  # type: ignore[func-returns-value]
        raise DataError(f"{side}s: {spec.id_field} '{twice}' occurs twice")
    return tuple(tokens)
