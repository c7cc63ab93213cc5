"""Numbers of the rows of a training loader as arrays, in the place of Python lists.

RecBole gives torch's loader a list of all row numbers. An epoch makes a second one, in its order,
and each batch looks up its numbers in the first. For a million interactions these are 70 MB of
Python integers, and about half of the time for a batch.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import BatchSampler, RandomSampler, SequentialSampler

__all__ = ["RowBatches", "Rows", "use_arrays"]


class Rows:
    """A data set of row numbers, for torch's loader.

    Args:
        n: Number of rows.

    Example:
        >>> rows = Rows(3)
        >>> len(rows), rows[2], rows.__getitems__([2, 0])
        (3, 2, [2, 0])
    """

    def __init__(self, n: int) -> None:
        self.n = n

    def __len__(self) -> int:
        return self.n

    def __getitem__(self, row: int) -> int:
        return row

    def __getitems__(self, rows: Sequence[int]) -> Sequence[int]:
        """Return the rows of a batch, which torch asks for at once."""
        return rows


class RowBatches(BatchSampler):
    """Batches of row numbers as arrays, with the numbers of torch's batch sampler.

    Args:
        sampler: Order of the rows.
        size: Number of rows in a batch.
    """

    def __init__(self, sampler: RandomSampler | SequentialSampler, size: int) -> None:
        super().__init__(sampler, size, drop_last=False)
        self.rows = sampler

    def __iter__(self) -> Iterator[Any]:
        order = self._order()
        for start in range(0, len(order), self.batch_size):
            yield order[start : start + self.batch_size]

        # torch draws a second order for a rest that there is not; the next epoch starts behind it
        if isinstance(self.rows, RandomSampler):
            self._order()

    def _order(self) -> NDArray[np.int64]:
        """Order of all rows, drawn anew where they are shuffled."""
        n = len(self.rows)
        if not isinstance(self.rows, RandomSampler):
            return np.arange(n)

        order: NDArray[np.int64] = torch.randperm(n, generator=self.rows.generator).numpy()
        return order


def use_arrays(loader: Any) -> None:
    """Replace the lists of row numbers in a new loader of RecBole.

    The rows of one of several processes stay lists, as torch's distributed sampler makes them.

    Args:
        loader: The loader; changed in place.
    """
    # torch forbids to set the attributes themselves
    attributes = vars(loader)
    rows = Rows(loader.sample_size)
    attributes["dataset"] = rows

    sampler = loader.sampler
    if type(sampler) in (RandomSampler, SequentialSampler):
        sampler.data_source = rows
        attributes["batch_sampler"] = RowBatches(sampler, loader.batch_sampler.batch_size)
