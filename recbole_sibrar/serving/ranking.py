"""Order of scores: the best first, equal ones in the order of their numbers.

A matrix product rounds the score of a pair differently with the number of users and the place of
the item. Near the end of a list, and among equal items, that would decide the order. The few best
scores are therefore computed again, each by itself in float64.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from recbole_sibrar.errors import refuse

__all__ = ["Ranking", "Rescore", "Scores", "Vectors", "check_k", "dot_products", "rounding_error"]

Rescore: TypeAlias = "Callable[[NDArray[np.int64], NDArray[np.int64]], NDArray[np.float32]]"
"""Function of rows ``[m]`` and columns ``[m]`` to their exact scores, float32 ``[m]``."""

_SPARE = 16
"""Scores beyond the best k that are computed again as well."""

_PAIRS_A_BLOCK = 1 << 14

_COLUMNS_A_BLOCK = 64
_MANY_BLOCKS = 4
"""Blocks for each value to find, from which on their maxima are looked at first."""

_ROUNDING = float(np.finfo(np.float32).eps)


@dataclass(frozen=True)
class Ranking:
    """Best items of some users, or best users of some items."""

    numbers: NDArray[np.int64]
    """int64 ``[b, k]``, best first; -1 where there are fewer."""
    scores: NDArray[np.float32]
    """float32 ``[b, k]``; -inf where there are fewer."""


@dataclass(frozen=True)
class Vectors:
    """Embeddings, float32 ``[n, k]``, and their lengths as far as somebody asks for them."""

    values: Tensor
    """float32 ``[n, k]``."""

    def take(self, numbers: NDArray[np.int64]) -> Tensor:
        """Return some of the embeddings, float32 ``[m, k]``."""
        return self.values[torch.from_numpy(numbers)]

    @cached_property
    def lengths(self) -> Tensor:
        """Lengths of the embeddings, float32 ``[n]``."""
        lengths: Tensor = self.values.norm(dim=1)
        return lengths

    @cached_property
    def longest(self) -> float:
        """Length of the longest embedding."""
        return float(self.lengths.max()) if len(self.values) else 0.0


@dataclass(frozen=True)
class Scores:
    """Scores of all columns for some rows.

    Example:
        >>> best = Scores(torch.tensor([[1.0, 3.0, 3.0, -torch.inf]])).best(4)
        >>> best.numbers.tolist()
        [[1, 2, 0, -1]]
    """

    values: Tensor
    """float ``[b, n]``; -inf for those that do not compete."""
    rescore: Rescore | None = None
    """Function that computes some scores again; None if the scores are exact."""
    error: NDArray[np.float32] | float = 0.0
    """Largest error of the scores, for all rows or float32 ``[b]``."""

    def without(self, columns: Tensor) -> Scores:
        """Leave columns out.

        Args:
            columns: bool ``[n]`` or ``[b, n]``: True for those that do not compete.
        """
        return replace(self, values=self.values.masked_fill(columns, -torch.inf))

    def best(self, k: int) -> Ranking:
        """Find the largest scores of each row; equal ones stand in the order of their columns.

        Args:
            k: Number of them.
        """
        n = self.values.shape[1]
        k = min(k, n)
        width = min(k + _SPARE, n)
        values, columns = _largest(self.values, width)

        # np.lexsort sorts by its last key first.
        exact = self._again(values, columns)
        order = np.lexsort((columns, -exact), axis=1)[:, :k]
        numbers = np.take_along_axis(columns, order, axis=1)
        scores = np.take_along_axis(exact, order, axis=1)

        # A row with many scores near its end takes a longer way.
        if width < n:
            for row in self._crowded(values, k):
                threshold = float(values[row, k - 1])
                numbers[row], scores[row] = self._best_of(int(row), k, threshold)
        return Ranking(np.where(scores == -np.inf, -1, numbers), scores)

    def _again(
        self, values: NDArray[np.float32], columns: NDArray[np.int64]
    ) -> NDArray[np.float32]:
        """Compute scores again, ``[b, c]``; those of columns that do not compete stay -inf."""
        if self.rescore is None:
            return values
        rows = np.arange(len(columns)).repeat(columns.shape[1])
        exact = self.rescore(rows, columns.ravel()).reshape(columns.shape)
        return np.where(values == -np.inf, values, exact)

    def _crowded(self, values: NDArray[np.float32], k: int) -> NDArray[np.int64]:
        """Rows in which a column beyond those found may belong to the best ``k``."""
        last = values[:, -1]
        is_finite = np.isfinite(last)
        # -inf minus -inf is NaN, with a warning.
        gaps = np.where(is_finite, values[:, k - 1], np.inf) - np.where(is_finite, last, 0)
        # One score may be too low by the error, and the other too high.
        return np.flatnonzero(gaps <= 2 * np.asarray(self.error))

    def _best_of(
        self, row: int, k: int, threshold: float
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Find the best of all columns whose score may reach the best ``k``."""
        error = float(np.broadcast_to(np.asarray(self.error), (len(self.values),))[row])
        columns = (self.values[row] >= threshold - 2 * error).nonzero()[:, 0].numpy()
        exact = self.values[row].numpy()[columns]
        if self.rescore is not None:
            exact = self.rescore(np.full(len(columns), row), columns)
        order = np.lexsort((columns, -exact))[:k]
        return columns[order], exact[order]


def _largest(values: Tensor, k: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Find the largest values of each row, ``[b, k]``, and their columns.

    The largest k values stand in at most k blocks of columns, those with the largest maxima. To look for the maxima
    first takes a third of the time of ``topk`` over all columns.
    """
    n_blocks = values.shape[1] // _COLUMNS_A_BLOCK
    if n_blocks < _MANY_BLOCKS * k:
        found = values.topk(k, dim=1)
        return found.values.numpy(), found.indices.numpy()

    n_whole = n_blocks * _COLUMNS_A_BLOCK
    maxima = values[:, :n_whole].unflatten(1, (n_blocks, _COLUMNS_A_BLOCK)).amax(2)  # [b, n_blocks]
    starts = maxima.topk(k, dim=1).indices * _COLUMNS_A_BLOCK
    inside = (starts[:, :, None] + torch.arange(_COLUMNS_A_BLOCK)).flatten(1)
    rest = torch.arange(n_whole, values.shape[1]).expand(len(values), -1)
    columns = torch.cat([inside, rest], dim=1)
    found = values.gather(1, columns).topk(k, dim=1)
    return found.values.numpy(), columns.gather(1, found.indices).numpy()


def dot_products(left: Tensor, right: Tensor) -> NDArray[np.float32]:
    """Compute the dot products of pairs of vectors; equal vectors have equal ones.

    Args:
        left: float32 ``[m, k]``.
        right: float32 ``[m, k]``.

    Returns:
        float32 ``[m]``, rounded from float64.
    """
    made = np.empty(len(left), dtype=np.float32)
    for start in range(0, len(left), _PAIRS_A_BLOCK):
        part = slice(start, start + _PAIRS_A_BLOCK)
        # A sum of each row by itself; that of a matrix product depends on the place of the row.
        made[part] = (left[part].numpy().astype(np.float64) * right[part].numpy()).sum(1)
    return made


def rounding_error(size: int, lengths: Tensor, longest: float) -> NDArray[np.float32]:
    r"""Bound the error of dot products in float32: :math:`k \epsilon \|u\| \|v\|`.

    Source: Higham, Accuracy and Stability of Numerical Algorithms, section 3.1.

    Args:
        size: Length k of the vectors' lists of numbers.
        lengths: float ``[b]``: norms of the vectors of the rows.
        longest: Largest norm of a vector of the columns.
    """
    bound: NDArray[np.float32] = (size * _ROUNDING * longest) * lengths.numpy()
    return bound


def check_k(k: int) -> None:
    """Refuse a length of lists that is no positive integer."""
    if isinstance(k, bool) or not isinstance(k, (int, np.integer)) or k < 1:
        refuse("k", k, "a positive integer")
