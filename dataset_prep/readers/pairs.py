"""Counts of the events of each pair of a user and an item.

Memory grows with the pairs, not with the events.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

PENDING_EVENTS = 1 << 22
"""Number of events to collect before they are merged into the pairs. They need 0.5 GB."""

_ITEM_BITS = 32


class Codes:
    """Numbers of ids, in the order of their first occurrence."""

    def __init__(self) -> None:
        self._codes: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._codes)

    def ids(self) -> pd.Index:
        """List all ids, in the order of their numbers."""
        return pd.Index(list(self._codes), dtype=object)

    def number(self, ids: Iterable[str]) -> NDArray[Any]:
        """Convert ids to numbers, new ones too: int32 ``[n]``."""
        codes = self._codes
        return np.fromiter((codes.setdefault(name, len(codes)) for name in ids), np.int32)

    def number_column(self, column: pa.ChunkedArray) -> NDArray[Any]:
        """Convert a column of dictionary type to numbers: int32 ``[n]``.

        Each different id of a block is looked up once.
        """
        parts = []
        for chunk in column.chunks:
            numbers = self.number(chunk.dictionary.to_pylist())
            parts.append(numbers[chunk.indices.to_numpy()])
        return np.concatenate(parts) if parts else np.empty(0, np.int32)

    def categorical(self, codes: NDArray[Any]) -> pd.Categorical:
        """Make a column of the ids of ``codes``.

        Its categories are the ids in use, in the order of the numbers.

        Args:
            codes: int ``[n]``.
        """
        occurs = np.bincount(codes, minlength=len(self._codes)) > 0
        ids = np.array(list(self._codes), dtype=object)[occurs]

        # Position of a number among those in use.
        position = (np.cumsum(occurs) - 1).astype(np.int32)
        return pd.Categorical.from_codes(position[codes], pd.Index(ids, dtype=object))


class PairTable:
    """One row for each pair of a user and an item, with columns reduced over its events.

    With n pairs and c columns it holds ``8 n (1 + c)`` bytes, and while events are merged ``9 n``
    more and :data:`PENDING_EVENTS` events.

    Args:
        reductions: Column -> function of two values, such as
            ``{"count": np.add, "timestamp": np.minimum}``.
        types: The type of each column.
    """

    def __init__(self, reductions: Mapping[str, np.ufunc], types: Mapping[str, type]) -> None:
        self._reductions = reductions
        self._keys = np.empty(0, np.int64)
        self._columns: dict[str, NDArray[Any]] = {}
        for name in reductions:
            self._columns[name] = np.empty(0, types[name])

        self._pending_keys: list[NDArray[Any]] = []
        self._pending_columns: defaultdict[str, list[NDArray[Any]]] = defaultdict(list)

    def add(self, users: NDArray[Any], items: NDArray[Any], **columns: NDArray[Any]) -> None:
        """Add events.

        Args:
            users: int ``[n]``, numbers from 0 on.
            items: int ``[n]``, likewise.
            columns: ``[n]`` values of each column.
        """
        # One int64 for each pair: the user in the upper half, the item in the lower.
        self._pending_keys.append(users.astype(np.int64) << _ITEM_BITS | items)
        for name, column in self._columns.items():
            self._pending_columns[name].append(columns[name].astype(column.dtype, copy=False))
        if sum(map(len, self._pending_keys)) >= PENDING_EVENTS:
            self._merge()

    def frame(self, users: Codes, items: Codes) -> pd.DataFrame:
        """Make a frame of all pairs, ordered by the numbers of users and items.

        The table is empty afterwards.

        Args:
            users: Numbers of the users.
            items: Numbers of the items.

        Returns:
            ``user_id`` and ``item_id`` as categoricals, and the columns.
        """
        self._merge()
        keys = self._keys
        columns = self._columns
        self._keys = np.empty(0, np.int64)
        self._columns = {name: np.empty(0, column.dtype) for name, column in columns.items()}

        # uint32 keeps the lower half of a key: the item.
        frame = {"user_id": users.categorical((keys >> _ITEM_BITS).astype(np.int32))}
        frame["item_id"] = items.categorical(keys.astype(np.uint32).astype(np.int32))

        # The keys are not needed any more, and hundreds of millions of pairs need gigabytes.
        del keys
        return pd.DataFrame({**frame, **columns}, copy=False)

    def _merge(self) -> None:
        """Merge the collected events into the pairs."""
        keys = _take(self._pending_keys)
        if not len(keys):
            return

        # Reduce the events of each pair among the new ones.
        order = np.argsort(keys)
        keys = keys[order]

        # Events of one pair are neighbours now; a pair starts where the key changes.
        starts = np.flatnonzero(np.concatenate([[True], keys[1:] != keys[:-1]]))
        keys = keys[starts]

        # Both lists of keys are sorted: known pairs are updated in place, new ones are inserted
        # between them.
        places = np.searchsorted(self._keys, keys)
        known = np.zeros(len(keys), dtype=bool)
        within = places < len(self._keys)
        known[within] = self._keys[places[within]] == keys[within]
        for name, reduce in self._reductions.items():
            values = reduce.reduceat(_take(self._pending_columns[name])[order], starts)
            column = self._columns[name]
            column[places[known]] = reduce(column[places[known]], values[known])
            self._columns[name] = np.insert(column, places[~known], values[~known])

        self._keys = np.insert(self._keys, places[~known], keys[~known])


def _take(arrays: list[NDArray[Any]]) -> NDArray[Any]:
    """Join all arrays, and empty the list to save memory."""
    joined = np.concatenate(arrays) if arrays else np.empty(0, np.int64)
    arrays.clear()
    return joined
