"""Values as cells of an atomic file. No value can break a line or a column."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from recbole_sibrar.errors import DataError

from ..readers.missing_words import PANDAS_WORDS

# Spaces of all kinds, control characters, halves of characters.
_NO_TEXT = r"\s\x00-\x1f\x7f-\x9f\ud800-\udfff"
_GAP = re.compile(f"[{_NO_TEXT}]+")
_UNCLEAN = re.compile(f"(?! )[{_NO_TEXT}]|  |^ | $")


def clean_token(value: str) -> str:
    """Write one value as the text of a cell.

    Line breaks, tabs and other control characters become a space, several spaces one; a word that
    readers take for a missing value gets an underscore: ``NA`` (Namibia) is ``NA_``.

    Args:
        value: Any text.

    Returns:
        The text, empty if nothing is left of it.
    """
    # Most values are clean: nothing is replaced in them.
    if _UNCLEAN.search(value):
        value = _GAP.sub(" ", value).strip()

    # RecBole reads files by pandas, which would make a missing value of "NA" (Namibia) or "null".
    return f"{value}_" if value in PANDAS_WORDS else value


def clean_label(value: str) -> str:
    """Write one element of a sequence, like :func:`clean_token`, with underscores for spaces."""
    return clean_token(value).replace(" ", "_")


def token_cells(values: Iterable[str | None]) -> pa.Array:
    """Write the cells of a ``token`` field, null for a missing value."""
    cells = []
    for value in values:
        cell = clean_token(value) if isinstance(value, str) else ""
        cells.append(cell or None)
    return pa.array(cells, pa.string())


def sequence_cells(values: Iterable[Sequence[str] | None]) -> pa.Array:
    """Write the cells of a ``token_seq`` field, null without labels.

    The labels of an entity stay in their order, each once.
    """
    # Labels recur: each different one is cleaned once.
    cleaned: dict[str, str] = {}
    cells = []
    for labels in values:
        row: dict[str, None] = {}
        for label in labels or ():
            if label not in cleaned:
                cleaned[label] = clean_label(label)
            row[cleaned[label]] = None

        # Nothing may be left of a label.
        row.pop("", None)
        cells.append(" ".join(row) or None)
    return pa.array(cells, pa.string())


def number_cells(values: NDArray[Any]) -> pa.Array:
    """Write the cells of a ``float`` field: the shortest text of the same number; null for NaN."""
    # from_pandas makes null of NaN.
    return pa.array(values, from_pandas=True).cast(pa.string())


def vector_cells(matrix: NDArray[Any]) -> pa.Array:
    """Write the cells of a ``float_seq`` field, with the shortest texts of the same float32.

    Args:
        matrix: float32 ``[n, size]``, a row of NaN for a missing vector.

    Returns:
        ``[n]`` texts of numbers separated by a space, null if missing.
    """
    n, size = matrix.shape

    # All numbers are written at once and joined row by row: offsets are multiples of the size.
    numbers = pa.array(np.ascontiguousarray(matrix, dtype=np.float32).reshape(-1)).cast(pa.string())
    rows = pa.ListArray.from_arrays(pa.array(np.arange(n + 1, dtype=np.int32) * size), numbers)

    # A missing vector is NaN as a whole, its first number too.
    is_missing = pa.array(np.isnan(matrix[:, 0]))
    return pc.if_else(is_missing, None, pc.binary_join(rows, " "))


def id_cells(ids: pd.Index, source: str) -> pa.Array:
    """Write the cells of the ids of users or items.

    Args:
        ids: Different ids.
        source: Name of the entities, for the message.

    Raises:
        DataError: Nothing is left of an id, or two ids become the same text.
    """
    cells = token_cells(ids)
    if cells.null_count:
        found = ids[np.flatnonzero(cells.is_null().to_numpy(zero_copy_only=False))[0]]
        raise DataError(
            f"{source}: the id {found!r} has no character that can stand in an atomic file"
        )

    twice = np.flatnonzero(cells.to_pandas().duplicated(keep=False).to_numpy())
    if len(twice):
        first = cells[int(twice[0])]
        same = [ids[row] for row in twice if cells[int(row)] == first]
        raise DataError(
            f"{source}: the ids {same[0]!r} and {same[1]!r} differ only in spaces or control "
            "characters, which an atomic file cannot keep apart"
        )

    return cells


def quoted(cells: pa.Array) -> pa.Array:
    """Quote cells that begin with a quotation mark: they are read as those of CSV files."""
    marked = pc.starts_with(cells, '"')
    if not pc.any(marked).as_py():
        return cells
    doubled = pc.replace_substring(cells, '"', '""')
    return pc.if_else(marked, pc.binary_join_element_wise('"', doubled, '"', ""), cells)
