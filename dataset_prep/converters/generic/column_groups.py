"""Fields of several columns: vectors of numbers, labels of flags or of texts."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from itertools import chain
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from recbole_sibrar.errors import DataError

from ...pipeline.raw import Values
from ...readers.raw_tables import Table
from .column_choices import in_order, stem
from .column_types import typed_values

# img_0, img0, img[0]
_NUMBERED = re.compile(r"(.*?)\d+[\])]?")

MANY = 4
"""From so many numbered columns on, they are probably one vector."""


def group_values(
    table: Table, columns: Sequence[str], kind: str, rows: NDArray[Any], list_separator: str
) -> Values:
    """Read several columns as one field.

    Args:
        table: The table.
        columns: The columns, in the order of the vector.
        kind: ``float_seq`` for a vector of their numbers; ``token_seq`` for labels: the names of
            the columns with 1, if all hold 0 or 1, else their cells.
        rows: int ``[n]``, the row of each entity, -1 if it has none.
        list_separator: Separator of labels in a cell.

    Raises:
        DataError: A cell holds no number, or a row lacks some of its numbers.
    """
    if kind == "float_seq":
        return _vectors(table, columns, rows)

    flags = _flags(table, columns)
    if flags is not None:
        return _names_of_flags(flags, _endings(columns), rows)

    parts = [typed_values(table, column, "token_seq", rows, list_separator) for column in columns]
    labels = [list(chain(*cells)) for cells in zip(*parts, strict=True)]
    return pd.Series(labels, dtype=object)


def _names_of_flags(flags: NDArray[Any], names: Sequence[str], rows: NDArray[Any]) -> pd.Series:
    """List the names of the set flags for each entity."""
    labels: list[list[str]] = []
    for row in rows:
        if row < 0:
            labels.append([])
        else:
            labels.append([names[position] for position in np.flatnonzero(flags[row])])
    return pd.Series(labels, dtype=object)


def numbered_columns(types: Mapping[str, str | None]) -> list[list[str]]:
    """Find :data:`MANY` or more columns of numbers with names such as ``x1``, ``x2``, ...

    Args:
        types: Column -> its inferred type.
    """
    groups: dict[str, list[str]] = {}
    for name, kind in types.items():
        found = _NUMBERED.fullmatch(name)
        if found and kind == "float":
            groups.setdefault(found[1], []).append(name)
    return [in_order(columns) for columns in groups.values() if len(columns) >= MANY]


def proposal(side: str, table: Table, key: str, columns: Sequence[str]) -> str:
    """Write a value of ``--columns`` for numbered columns: a vector, or labels of flags.

    Args:
        side: ``user`` or ``item``.
        table: The table.
        key: Its column of ids.
        columns: The columns; the pattern matches no others.
    """
    names = [name for name in table.names if name != key]
    prefix = columns[0][: _NUMBERED.fullmatch(columns[0]).end(1)]  # type: ignore[union-attr]
    escaped = re.sub(r"([*?\[])", r"[\1]", prefix)
    kind = "float_seq" if _flags(table, columns) is None else "token_seq"

    # Without a pattern of these columns alone, all of them are named.
    chosen = ",".join(columns)
    for pattern in (f"{escaped}*", f"{escaped}[0-9]*"):
        matched = {name for name in names if fnmatchcase(name, pattern)}
        if matched == set(columns):
            chosen = pattern
            break
    return f"{side}:{chosen}={kind} {stem(prefix)}"


def _vectors(table: Table, columns: Sequence[str], rows: NDArray[Any]) -> NDArray[Any]:
    # [rows of the table, len(columns)]
    matrix = np.column_stack([table.numbers(column) for column in columns])

    # A vector with gaps is neither complete nor missing as a whole.
    missing = np.isnan(matrix)
    partly = missing.any(axis=1) & ~missing.all(axis=1)
    if partly.any():
        row = int(np.argmax(partly))
        column = columns[int(np.argmax(missing[row]))]
        table.refuse(
            row,
            column,
            f"a number, as in other columns of the row; or all {len(columns)} of its cells are "
            "empty",
        )

    # Numbers beyond float32 become infinite, and are refused later with the id of their entity.
    with np.errstate(over="ignore"):
        vectors = np.full((len(rows), len(columns)), np.nan, dtype=np.float32)
        vectors[rows >= 0] = matrix[rows[rows >= 0]]
    return vectors


def _flags(table: Table, columns: Sequence[str]) -> NDArray[Any] | None:
    """bool ``[n, len(columns)]`` if all cells are 0, 1, true, false or missing, else None."""
    flags = np.empty((len(table.data), len(columns)), dtype=bool)
    for position, column in enumerate(columns):
        try:
            cells = table.texts(column).to_pandas()
        except DataError:
            # Lists are no flags.
            return None
        lowered = cells.str.lower()
        if not lowered.dropna().isin(("0", "1", "true", "false", "0.0", "1.0")).all():
            return None
        flags[:, position] = lowered.isin(("1", "true", "1.0")).to_numpy()
    return flags


def _endings(columns: Sequence[str]) -> list[str]:
    """Cut the common beginning off the names of columns."""
    # The common beginning of the first and the last name in alphabetical order is that of all.
    first = min(columns)
    n_shared = 0
    for a, b in zip(first, max(columns), strict=False):
        if a != b:
            break
        n_shared += 1

    # It ends with a whole word: of genre_rock and genre_rap it is genre_, not genre_r.
    prefix = re.sub(r"[^\W_]+$", "", first[:n_shared])
    endings = [column.removeprefix(prefix) for column in columns]
    return endings if all(endings) else list(columns)
