"""The fields of users or items as RecBole's ``Interaction``, made on demand.

Our models read modality tables, and batches hold ids only. Scripts about fairness, groups or
metrics read ``dataset.item_feat["category"]``. Their tensors are made from the tables, so that
vectors are not held twice.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, MutableMapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from recbole.data.interaction import Interaction
from torch import Tensor


@dataclass(frozen=True)
class Sequences:
    """A ``token_seq`` column: the ids of all rows, one row after the other."""

    ids: Tensor
    """int64 ``[nnz]``."""
    offsets: Tensor
    """int64 ``[n + 1]``: the ids of row ``i`` are ``ids[offsets[i]:offsets[i + 1]]``."""

    @classmethod
    def of(cls, rows: list[NDArray[np.int64]]) -> Sequences:
        """Make the column from an array for each row."""
        flat = np.concatenate([*rows, np.array([], dtype=np.int64)]).astype(np.int64)
        offsets = np.cumsum([0, *map(len, rows)])
        return cls(torch.from_numpy(flat), torch.from_numpy(offsets))

    def tensor(self) -> Tensor:
        """Pad the sequences with 0 as RecBole does, int64 ``[n, length of the longest]``."""
        lengths = self.offsets.diff()
        places = torch.arange(int(lengths.max()) if len(lengths) else 0)
        padded = torch.zeros(len(lengths), len(places), dtype=torch.int64)
        padded[places < lengths[:, None]] = self.ids
        return padded

    def __len__(self) -> int:
        return len(self.offsets) - 1


@dataclass(frozen=True)
class VectorRows:
    """A ``float_seq`` column: rows of a matrix, shared with a modality table."""

    values: Tensor
    """float32 ``[n_values, size]``."""
    rows: Tensor | None
    """int64 ``[n]``: row of ``values`` for each line; None if they are in order."""
    available: Tensor
    """bool ``[n]``: True where there is a vector."""

    def tensor(self, index: Any = slice(None)) -> Tensor:
        """Gather the vectors, float32 ``[n, size]``, 0 where one is missing.

        Args:
            index: Rows to gather; all by default.
        """
        rows = torch.arange(len(self.values)) if self.rows is None else self.rows
        missing = ~self.available[index]
        # one row for a number, several for a list: [size] or [n, size]
        return self.values[rows[index]].masked_fill(missing[..., None], 0)

    def arrays(self) -> NDArray[Any]:
        """Make the arrays of RecBole's frames: object ``[n]``, empty where a vector is missing."""
        matrix = self.values.numpy()
        rows = np.arange(len(matrix)) if self.rows is None else self.rows.numpy()

        arrays = np.empty(len(rows), dtype=object)
        for i, is_there in enumerate(self.available.tolist()):
            arrays[i] = matrix[rows[i]] if is_there else matrix[0, :0]
        return arrays

    def __len__(self) -> int:
        return len(self.available)


Column = Tensor | Sequences | VectorRows
"""A tensor, or the source of one."""


class ServedFields(Interaction):
    """RecBole's ``Interaction`` for the fields of a file; its tensors are made on demand.

    Args:
        columns: Name of each field -> its column; all have the same number of rows.
    """

    def __init__(self, columns: dict[str, Column]) -> None:
        self.interaction = _Columns(dict(columns))
        self.length = max(map(len, columns.values()), default=-1)

    def vectors(self) -> dict[str, VectorRows]:
        """Columns of vectors, by name."""
        columns = self.interaction.held()
        return {name: column for name, column in columns.items() if isinstance(column, VectorRows)}

    def __getitem__(self, index: Any) -> Any:
        """Look up the tensor of a field, or make an ``Interaction`` of some rows."""
        if isinstance(index, str):
            return self.interaction[index]
        # as RecBole's Interaction does
        if isinstance(index, (np.ndarray, Tensor)):
            index = index.tolist()
        return Interaction({name: self.interaction.rows(name, index) for name in self.interaction})

    def to(
        self,
        device: torch.device | str,
        selected_field: str | Iterable[str] | None = None,
    ) -> ServedFields:
        """Copy the fields to a device; their tensors go there when they are made.

        Args:
            device: The device.
            selected_field: Names of the fields to copy; None for all.
        """
        moved = ServedFields({})
        moved.length = self.length
        moved.interaction = self.interaction.to(device, selected_field)
        return moved


class _Columns(MutableMapping[str, Tensor]):
    """Columns by name; a look-up makes the tensor."""

    def __init__(self, columns: dict[str, Column]) -> None:
        self._columns = columns
        self._devices: dict[str, torch.device | str] = {}

    def __getitem__(self, name: str) -> Tensor:
        column = self._columns[name]
        tensor = column if isinstance(column, Tensor) else column.tensor()
        return self._place(name, tensor)

    def held(self) -> dict[str, Column]:
        """Columns without their tensors."""
        return dict(self._columns)

    def rows(self, name: str, index: Any) -> Tensor:
        """Make some rows of a column, without the others where these would cost much."""
        column = self._columns[name]
        if isinstance(column, VectorRows):
            return self._place(name, column.tensor(index))
        return self[name][index]

    def _place(self, name: str, tensor: Tensor) -> Tensor:
        return tensor.to(self._devices[name]) if name in self._devices else tensor

    def to(self, device: torch.device | str, selected: str | Iterable[str] | None) -> _Columns:
        """Copy the columns with another device for some of them."""
        chosen = [selected] if isinstance(selected, str) else selected
        names = set(self._columns if chosen is None else chosen)
        moved = _Columns(dict(self._columns))
        here = names & set(self._columns)
        moved._devices = self._devices | dict.fromkeys(here, device)
        return moved

    def __setitem__(self, name: str, tensor: Tensor) -> None:
        # a given tensor stays on its own device
        self._devices.pop(name, None)
        self._columns[name] = tensor

    def __delitem__(self, name: str) -> None:
        del self._columns[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._columns)

    def __len__(self) -> int:
        return len(self._columns)
