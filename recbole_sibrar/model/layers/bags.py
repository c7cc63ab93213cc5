"""Bags of ids, and the sums of their rows in a table."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np
import torch
from scipy.sparse import csr_matrix
from torch import Tensor
from torch.nn import functional

from recbole_sibrar.model.layers.cpu import second_cache

__all__ = ["Bags", "collect", "deal"]


def deal(rows: Tensor, n: int) -> Tensor:
    """Order rows for ``n`` threads, each of which takes as many consecutive ones.

    Every n-th row from the first on, then every n-th from the second on, and so on. RecBole numbers
    items as they appear, so that the first ones have most of the interactions.

    Example:
        >>> deal(torch.arange(5), 2).tolist()
        [0, 2, 4, 1, 3]
    """
    return torch.cat([rows[start::n] for start in range(n)]) if n > 1 else rows


def collect(dealt: Tensor, n: int) -> Tensor:
    """Put the rows of :func:`deal` back in their order.

    Example:
        >>> collect(torch.tensor([0, 2, 4, 1, 3]), 2).tolist()
        [0, 1, 2, 3, 4]
    """
    if n == 1:
        return dealt

    rows = torch.empty_like(dealt)
    start = 0
    for first in range(n):
        every_nth = rows[first::n]
        every_nth.copy_(dealt[start : start + len(every_nth)])
        start += len(every_nth)
    return rows


@dataclass(frozen=True, eq=False)
class Bags:
    """A bag of ids for each of ``n`` entities.

    Example:
        >>> bags = Bags(torch.tensor([0, 2, 1]), torch.tensor([0, 2, 3]), 3)  # {0, 2} and {1}
        >>> bags.sum(torch.tensor([[1.0], [10.0], [100.0]])).flatten().tolist()
        [101.0, 10.0]
    """

    indices: Tensor
    """int ``[nnz]``, one bag after the other."""
    offsets: Tensor
    """int ``[n + 1]``: start of each bag, and end of the last."""
    size: int
    """Number of ids."""
    dealt: int = 1
    """Number of threads that the bags are dealt to; sums come in the order of the entities."""

    COLUMNS: ClassVar[int] = 64
    """Number of columns that a CPU sums at a time for a table larger than its second cache."""
    MOST: ClassVar[int] = 1 << 17
    """Number of bags up to which they can be dealt."""
    UNEVEN: ClassVar[float] = 4 / 3
    """Work of the busiest thread, beside an even share, from which on they are dealt."""

    @classmethod
    def of(cls, matrix: csr_matrix, dealt: int = 1) -> Bags:
        """Read the bags of the rows of a matrix ``[n, size]``."""
        arrays = torch.from_numpy(matrix.indices), torch.from_numpy(matrix.indptr)
        return cls(*arrays, matrix.shape[1], dealt)

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @cached_property
    def matrix(self) -> csr_matrix:
        """Matrix ``[n, size]`` with a one for each id of each bag; on a CPU.

        Example:
            >>> bags = Bags(torch.tensor([0, 2, 1]), torch.tensor([0, 2, 3]), 3)
            >>> bags.matrix.toarray().tolist()
            [[1, 0, 1], [0, 1, 0]]
        """
        ones = np.ones(len(self.indices), dtype=np.int8)
        shape = (len(self), self.size)
        return csr_matrix((ones, self.indices.numpy(), self.offsets.numpy()), shape=shape)

    def transposed(self) -> Bags:
        """Make the bags of entities, ascending, for each id.

        Example:
            >>> bags = Bags(torch.tensor([1, 0, 1]), torch.tensor([0, 1, 3]), 2).transposed()
            >>> bags.indices.tolist(), bags.offsets.tolist()
            ([1, 0, 1], [0, 1, 3])
        """
        # A sort of the ids would take four times the memory of the bags.
        return Bags.of(self.matrix.tocsc().T)

    def narrowed(self) -> Bags:
        """Convert to int32 where that is wide enough: sums take two thirds of the time."""
        if len(self.indices) >= 1 << 31:
            return self
        return Bags(self.indices.int(), self.offsets.int(), self.size, self.dealt)

    def cpu(self) -> Bags:
        """Copy to the memory of the CPU, where they are not there."""
        return Bags(self.indices.cpu(), self.offsets.cpu(), self.size, self.dealt)

    def place(self, entities: Tensor) -> Tensor:
        """Find the bags of entities, int64 ``[m]``.

        Example:
            >>> bags = Bags(torch.arange(5), torch.arange(6), 5, dealt=2)
            >>> bags.place(torch.arange(5)).tolist()
            [0, 3, 1, 4, 2]
        """
        return entities if self.dealt == 1 else self._places.index_select(0, entities)

    @cached_property
    def _places(self) -> Tensor:
        order = torch.arange(len(self), device=self.offsets.device)
        return torch.empty_like(order).index_copy_(0, deal(order, self.dealt), order)

    def in_order(self) -> Bags:
        """Return the bags in the order of the entities; on a CPU."""
        if self.dealt == 1:
            return self
        return Bags.of(self.matrix[self._places.numpy()])

    def busiest(self, n: int) -> int:
        """Count the ids of the busiest of ``n`` threads.

        Example:
            >>> Bags(torch.tensor([0, 2, 1]), torch.tensor([0, 2, 3]), 3).busiest(2)
            2
        """
        if n not in self._busiest:
            ends = self.offsets[:: max(-(-len(self) // n), 1)]
            self._busiest[n] = int(torch.cat([ends, self.offsets[-1:]]).diff().max())
        return self._busiest[n]

    @cached_property
    def _busiest(self) -> dict[int, int]:
        return {}

    def balanced(self, n: int) -> Bags:
        """Deal the bags to ``n`` threads, if one of them has much more to do than the others."""
        # Of large tables, sums in another order would be a second copy of theirs.
        if n == 1 or len(self) > self.MOST or self.busiest(n) * n < self.UNEVEN * len(self.indices):
            return self
        return Bags.of(self.matrix[deal(torch.arange(len(self)), n).numpy()], n)

    def sum(self, weight: Tensor) -> Tensor:
        """Sum the rows of ``weight`` in each bag, ``[n, out]``."""
        n_columns = self._columns_at_a_time(*weight.shape) if weight.device.type == "cpu" else 0
        if not n_columns:
            return collect(self._sum(weight), self.dealt)

        parts = torch.split(weight, n_columns, dim=1)
        sums = torch.cat([self._sum(part.contiguous()) for part in parts], dim=1)
        return collect(sums, self.dealt)

    def _columns_at_a_time(self, n_rows: int, n_columns: int) -> int:
        """Choose the number of columns to sum at a time; 0 for all."""
        # Where most rows of the columns fit the second cache, the sum takes up to a third less
        # time. Narrower columns, for larger tables, took longer than all at once.
        fitting = second_cache() // 4 // max(n_rows, 1)
        is_split = fitting < n_columns and min(2 * fitting, n_columns - 1) >= self.COLUMNS
        return self.COLUMNS if is_split else 0

    def _sum(self, weight: Tensor) -> Tensor:
        return functional.embedding_bag(
            self.indices, weight, self.offsets, mode="sum", include_last_offset=True
        )
