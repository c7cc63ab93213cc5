"""Display columns of the items, for people and for filters."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from threading import Lock
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from recbole_sibrar.errors import DataError, one_line
from recbole_sibrar.serving.encoding.frames import Frame
from recbole_sibrar.serving.filter_columns import FilterColumns
from recbole_sibrar.serving.filters import evaluate

__all__ = ["Display"]

_REMEMBERED = 64
"""Number of filters whose result is kept."""


class Display:
    """Display columns of the items, those added since included.

    Args:
        table: Columns of the portable model.
    """

    def __init__(self, table: pa.Table) -> None:
        self.table = table
        self._columns = FilterColumns(table)
        self._later: dict[int, dict[str, Any]] = {}
        self._later_columns: tuple[NDArray[np.int64], FilterColumns] | None = None
        self._masks: OrderedDict[str, NDArray[np.bool_]] = OrderedDict()
        self._lock = Lock()

    @property
    def names(self) -> list[str]:
        """Names of the columns."""
        names: list[str] = self.table.column_names
        return names

    def rows(self, frame: Frame) -> list[dict[str, Any]]:
        """Read the columns of items to add or replace; a column that the frame lacks is missing.

        Args:
            frame: Their fields.

        Raises:
            DataError: A cell cannot be read as its column is stored.
        """
        missing = [None] * frame.n
        columns: dict[str, list[Any]] = {}
        for name in self.names:
            columns[name] = missing
            if name in frame.columns:
                cells = self._as_stored(name, frame.columns[name])
                columns[name] = cells.to_pylist()

        rows: list[dict[str, Any]] = []
        for row in range(frame.n):
            rows.append({name: cells[row] for name, cells in columns.items()})
        return rows

    def put(self, numbers: NDArray[np.int64], rows: Sequence[dict[str, Any]]) -> None:
        """Take the columns of added or replaced items.

        Args:
            numbers: int64 ``[n]``.
            rows: Their columns, from :meth:`rows`.
        """
        with self._lock:
            self._later.update(zip(numbers.tolist(), rows, strict=True))
            self._later_columns = None

    def _as_stored(self, name: str, cells: pa.Array) -> pa.Array:
        """Give cells the type of the stored column, where texts have to be divided or converted."""
        kind = self.table.schema.field(name).type
        is_list = pa.types.is_list(cells.type) or pa.types.is_large_list(cells.type)
        try:
            if pa.types.is_list(kind) and not is_list:
                texts = cells.cast(pa.string()).to_pylist()
                # Arrow's own splitting leaves an empty part before and behind spaces.
                parts = [None if text is None else text.split() for text in texts]
                return pa.array(parts, pa.list_(pa.string())).cast(kind)
            if pa.types.is_string(kind) and is_list:
                return pc.binary_join(cells.cast(pa.list_(pa.string())), " ")
            if pa.types.is_integer(kind) and pa.types.is_floating(cells.type):
                return cells  # 1984.5 beside years is still a number
            return cells.cast(kind)
        except pa.ArrowException as error:
            reason = one_line(error, 200)
            raise DataError(
                f"items, field '{name}': cannot be read as {kind}, as in training ({reason})"
            ) from None

    def of(self, number: int) -> dict[str, Any]:
        """Return the columns of an item."""
        if number in self._later:
            return self._later[number]
        if number >= self.table.num_rows:  # another thread is adding it at this moment
            return dict.fromkeys(self.names)
        return {name: self.table.column(name)[number].as_py() for name in self.names}

    def matching(self, expression: str, n: int) -> NDArray[np.bool_]:
        """Find the items that an expression holds for.

        Args:
            expression: Filter; see :mod:`~recbole_sibrar.serving.filters`.
            n: Number of items ever known.

        Returns:
            bool ``[n]``.

        Raises:
            DataError: It is no expression over display columns.
        """
        mask = np.zeros(n, dtype=bool)
        mask[: self.table.num_rows] = self._stored_mask(expression)
        numbers, columns = self._columns_of_later()
        if len(numbers):
            holds = evaluate(expression, columns)
            is_there = numbers < n  # another thread may be adding items at this moment
            mask[numbers[is_there]] = holds[is_there]
        return mask

    def _columns_of_later(self) -> tuple[NDArray[np.int64], FilterColumns]:
        """Numbers and columns of added and replaced items, prepared once after each change."""
        with self._lock:
            if self._later_columns is None:
                rows = list(self._later.values())
                columns: dict[str, list[Any]] = {}
                for name in self.names:
                    columns[name] = [row[name] for row in rows]

                numbers = np.array(list(self._later), dtype=np.int64)
                self._later_columns = (numbers, FilterColumns(pa.table(columns)))
            return self._later_columns

    def _stored_mask(self, expression: str) -> NDArray[np.bool_]:
        """Rows of the portable model that an expression holds for."""
        # Users of a server send the same few filters: the latest are remembered.
        with self._lock:  # several threads ask at once, and another may remove an entry
            if expression in self._masks:
                self._masks.move_to_end(expression)
                return self._masks[expression]

        # Outside of the lock, as it takes long; two threads may compute the same mask.
        mask = evaluate(expression, self._columns)
        with self._lock:
            self._masks[expression] = mask
            if len(self._masks) > _REMEMBERED:
                self._masks.popitem(last=False)
        return mask
