"""Display columns of the items, for people and for filters."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from recbole_sibrar.serving.encoding.frames import Frame
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
        self._later: dict[int, dict[str, Any]] = {}
        self._masks: OrderedDict[str, NDArray[np.bool_]] = OrderedDict()

    @property
    def names(self) -> list[str]:
        """Names of the columns."""
        names: list[str] = self.table.column_names
        return names

    def put(self, numbers: NDArray[np.int64], frame: Frame) -> None:
        """Take the columns of added or replaced items; a column that the frame lacks is missing.

        Args:
            numbers: int64 ``[n]``.
            frame: Their fields.
        """
        missing = pa.nulls(frame.n)
        columns = {name: self._as_stored(name, frame.columns.get(name, missing)) for name in self.names}
        for row, number in enumerate(numbers):
            self._later[int(number)] = {name: cells[row].as_py() for name, cells in columns.items()}

    def _as_stored(self, name: str, cells: pa.Array) -> pa.Array:
        """Give cells the type of the stored column, where texts have to be divided or converted."""
        kind = self.table.schema.field(name).type
        if pa.types.is_list(kind) and pa.types.is_string(cells.type):
            return pa.array([None if cell is None else cell.split() for cell in cells.to_pylist()], kind)
        try:
            return cells.cast(kind)
        except pa.ArrowException:
            return cells

    def of(self, number: int) -> dict[str, Any]:
        """Return the columns of an item."""
        if number in self._later:
            return self._later[number]
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
        later = [number for number in list(self._later) if number < n]
        if later:
            rows = [self._later[number] for number in later]
            columns = {name: [row[name] for row in rows] for name in self.names}
            mask[later] = evaluate(expression, pa.table(columns))
        return mask

    def _stored_mask(self, expression: str) -> NDArray[np.bool_]:
        """Rows of the portable model that an expression holds for; the latest expressions are remembered."""
        if expression in self._masks:
            self._masks.move_to_end(expression)
            return self._masks[expression]

        mask = evaluate(expression, self.table)
        self._masks[expression] = mask
        if len(self._masks) > _REMEMBERED:
            self._masks.popitem(last=False)
        return mask
