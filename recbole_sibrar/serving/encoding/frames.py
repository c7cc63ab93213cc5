"""Tables of new or changed users or items, checked against the fields of the model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
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
"""A table in the form of an atomic file, or one row or several as dictionaries."""


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
        table: Its columns are fields of the atomic file, with or without their types (``price`` or
            ``price:float``), the ids, and ``interactions``: ids of the other side, for the first
            interactions. Fields that are left out are missing.
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
                f"{side}s: '{name}' is no field of the model{nearest(name, known)}; it has "
                f"{', '.join(known)}"
            )

    ids = columns.pop(spec.id_field, None)
    tokens = None if ids is None else _tokens(ids, spec, side)
    return Frame(tokens, columns, n)


def _check_type(kind: pa.DataType, name: str, side: Side) -> None:
    """Refuse columns of dictionaries, times, bytes and the like."""
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        kind = kind.value_type
    # A list of categories holds a dictionary, so this comes after the list.
    if pa.types.is_dictionary(kind):
        kind = kind.value_type

    is_text = pa.types.is_string(kind) or pa.types.is_large_string(kind)
    is_number = pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind)
    if not (is_text or is_number or pa.types.is_null(kind)):
        raise DataError(
            f"{side}s, field '{name}': found the type {kind}, allowed are texts, numbers and lists "
            "of them"
        )


def known_columns(spec: SideSpec) -> list[str]:
    """List the columns that a table may have, the ids first."""
    fields = [field.name for field in spec.fields]
    names = [spec.id_field, *fields, INTERACTIONS, *spec.display, *spec.unused]
    # A field of the model may be a display column too.
    return list(dict.fromkeys(names))


def _field_of(header: str, spec: SideSpec) -> str:
    """Name of a column without the type that the header of an atomic file gives it."""
    # A field's own name may hold a colon: the header as it is comes first.
    if header in known_columns(spec):
        return header
    return header.rpartition(":")[0] or header


def _columns(table: TableLike, side: Side) -> list[tuple[str, pa.Array]]:
    """List the columns of a table as Arrow arrays."""
    columns: list[tuple[str, pa.Array]] = []
    if isinstance(table, (pa.Table, pa.RecordBatch)):
        held = pa.table(table) if isinstance(table, pa.RecordBatch) else table
        for name, column in zip(held.column_names, held.columns, strict=True):
            columns.append((name, _combined(column)))
        return columns

    if isinstance(table, pd.DataFrame):
        # By position: a name that occurs twice is refused later, and would give a frame here.
        for place, name in enumerate(table.columns):
            columns.append((str(name), _array(table.iloc[:, place], side)))
        return columns

    rows = [table] if isinstance(table, Mapping) else list(table)
    if not all(isinstance(row, Mapping) for row in rows):
        raise DataError(
            f"{side}s: found {type(table).__name__}, allowed is a table, or dictionaries of fields"
        )

    # Rows may lack fields that others have; the order is that of their first appearance.
    for name in dict.fromkeys(chain.from_iterable(rows)):
        # Without the type pandas would turn integers beside a missing cell into floats.
        cells = pd.Series([row.get(name) for row in rows], dtype=object, name=name)
        columns.append((str(name), _array(cells, side)))
    return columns


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
            f"{side}s, field '{column.name}': found a dictionary or set, allowed are texts, "
            "numbers and lists"
        )
    try:
        return pa.array([_as_text(cell) for cell in cells])
    except (pa.ArrowInvalid, pa.ArrowTypeError, UnicodeError) as error:
        raise DataError(
            f"{side}s, field '{column.name}': cannot be read ({one_line(error, 200)})"
        ) from None


def _is_missing(cell: Any) -> bool:
    # pandas.isna answers a sequence with one truth value for each of its elements.
    return cell is None or (not isinstance(cell, (list, tuple, np.ndarray)) and bool(pd.isna(cell)))


def _as_text(cell: Any) -> Any:
    """Text of a single value; the texts of a sequence."""
    if cell is None:
        return None
    if isinstance(cell, (list, tuple, np.ndarray)):
        return [str(element) for element in cell]
    return str(cell)


def _tokens(ids: pa.Array, spec: SideSpec, side: Side) -> tuple[str, ...]:
    """Read the ids."""
    if pa.types.is_nested(ids.type):
        raise DataError(
            f"{side}s: {spec.id_field}: found a list, allowed is one id for each {side}"
        )

    tokens = texts(ids).to_pylist()
    seen: set[str] = set()
    twice: str | None = None
    for row, token in enumerate(tokens, start=1):
        if token is None:
            raise DataError(f"{side}s, row {row}: {spec.id_field} is missing")
        # A missing id further down is reported before the first repeated one.
        if token in seen and twice is None:
            twice = token
        seen.add(token)

    if twice is not None:
        raise DataError(f"{side}s: {spec.id_field} '{twice}' occurs twice")
    return tuple(tokens)
