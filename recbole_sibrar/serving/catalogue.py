"""Items that compete for recommendation: those of training, with the ones added, replaced and removed since."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

__all__ = ["Catalogue", "Ranking", "top"]

_SCORES_A_BLOCK = 1 << 24
"""Scores to compute at a time, 64 megabytes."""


@dataclass(frozen=True)
class Ranking:
    """Best items of some users, or best users of some items."""

    numbers: NDArray[np.int64]
    """int64 ``[b, k]``, best first; -1 where there are fewer."""
    scores: NDArray[np.float32]
    """float32 ``[b, k]``; -inf where there are fewer."""


def top(scores: Tensor, k: int) -> Ranking:
    """Find the largest scores of each row.

    Args:
        scores: float ``[b, n]``; -inf for those that do not compete.
        k: Number of them.

    Example:
        >>> top(torch.tensor([[1.0, 3.0, -torch.inf]]), 5).numbers.tolist()
        [[1, 0, -1]]
    """
    best = scores.topk(min(k, scores.shape[1]), dim=1)
    numbers = torch.where(best.values == -torch.inf, -1, best.indices)
    return Ranking(numbers.numpy(), best.values.numpy())


@dataclass(frozen=True)
class Catalogue:
    """Embeddings of the items by number. A change makes a new catalogue; searches in the earlier one go on."""

    base: Tensor
    """float32 ``[n_base, k]``: items of the portable model, mapped from its file."""
    n: int
    """Number of items ever known, removed ones included."""
    changed: NDArray[np.int64]
    """int64 ``[m]``: numbers of added and replaced items."""
    vectors: Tensor
    """float32 ``[m, k]``: their embeddings."""
    removed: Tensor
    """bool ``[n]``: True for removed items."""

    @classmethod
    def of(cls, base: Tensor) -> Catalogue:
        """Make a catalogue without changes."""
        n = len(base)
        return cls(base, n, np.zeros(0, dtype=np.int64), base[:0], torch.zeros(n, dtype=torch.bool))

    @cached_property
    def lengths(self) -> Tensor:
        """Lengths of the embeddings of the portable model, float32 ``[n_base]``."""
        return self.base.norm(dim=1)

    @property
    def is_changed(self) -> bool:
        """True after items were added, replaced or removed."""
        return bool(len(self.changed)) or bool(self.removed.any())

    def put(self, numbers: NDArray[np.int64], vectors: Tensor) -> Catalogue:
        """Add items, or replace some.

        Args:
            numbers: int64 ``[m]``, distinct; new items have the next numbers.
            vectors: float32 ``[m, k]``.
        """
        n = max(self.n, int(numbers.max(initial=-1)) + 1)
        kept = ~np.isin(self.changed, numbers)
        removed = torch.cat([self.removed, torch.zeros(n - self.n, dtype=torch.bool)])
        removed[torch.from_numpy(numbers)] = False
        return Catalogue(
            self.base,
            n,
            np.concatenate([self.changed[kept], numbers]),
            torch.cat([self.vectors[torch.from_numpy(kept)], vectors]),
            removed,
        )

    def remove(self, numbers: NDArray[np.int64]) -> Catalogue:
        """Let items compete no longer."""
        removed = self.removed.clone()
        removed[torch.from_numpy(numbers)] = True
        return replace(self, removed=removed)

    def take(self, numbers: NDArray[np.int64]) -> Tensor:
        """Return the embeddings of some items, float32 ``[m, k]``."""
        wanted = torch.from_numpy(np.asarray(numbers, dtype=np.int64))
        taken = self.base[wanted.clamp(max=len(self.base) - 1)]
        if len(self.changed):
            places = {int(number): place for place, number in enumerate(self.changed)}
            for row in np.flatnonzero(np.isin(numbers, self.changed)):
                taken[row] = self.vectors[places[int(numbers[row])]]
        return taken

    def scores(self, users: Tensor) -> Tensor:
        """Score all items, ``[b, n]``; -inf for removed ones.

        Args:
            users: float32 ``[b, k]``: embeddings of the users.
        """
        scores = _products(users, self.base)
        if self.n > len(self.base):
            scores = torch.cat([scores, scores.new_empty(len(users), self.n - len(self.base))], dim=1)
        if len(self.changed):
            scores[:, torch.from_numpy(self.changed)] = users @ self.vectors.t()
        if bool(self.removed.any()):
            scores.masked_fill_(self.removed, -torch.inf)
        return scores

    def rank(
        self, users: Tensor, k: int, seen: list[NDArray[np.int64]] | None = None, allowed: Tensor | None = None
    ) -> Ranking:
        """Find the best items of users by exact search.

        Args:
            users: float32 ``[b, k]``.
            k: Number of items for each.
            seen: For each user the items to leave out; None for none.
            allowed: bool ``[n]``: items that compete; None for all.
        """
        block = max(_SCORES_A_BLOCK // max(self.n, 1), 1)
        parts = []
        for start in range(0, len(users), block):
            scores = self.scores(users[start : start + block])
            if seen is not None:
                _leave_out(scores, seen[start : start + block])
            if allowed is not None:
                scores.masked_fill_(~allowed, -torch.inf)
            parts.append(top(scores, k))
        return _joined(parts, min(k, self.n))

    def rank_among(
        self, users: Tensor, k: int, candidates: NDArray[np.int64], seen: list[NDArray[np.int64]] | None = None
    ) -> Ranking:
        """Find the best of some items; see :meth:`rank`.

        Args:
            users: float32 ``[b, k]``.
            k: Number of items for each.
            candidates: int64 ``[m]``, distinct: the items that compete.
            seen: For each user the items to leave out; None for none.
        """
        competing = candidates[~self.removed.numpy()[candidates]]
        vectors = self.take(competing).t()
        block = max(_SCORES_A_BLOCK // max(len(competing), 1), 1)
        parts = []
        for start in range(0, len(users), block):
            scores = users[start : start + block] @ vectors
            for row, items in enumerate(seen[start : start + block] if seen is not None else []):
                scores[row, torch.from_numpy(np.isin(competing, items))] = -torch.inf
            best = top(scores, k)
            numbers = np.where(best.numbers >= 0, competing[best.numbers], -1) if len(competing) else best.numbers
            parts.append(Ranking(numbers, best.scores))
        return _joined(parts, min(k, len(competing)))


def _products(users: Tensor, items: Tensor) -> Tensor:
    """Compute all dot products, ``[b, n]``."""
    if len(users) > 1:
        return users @ items.t()
    # for a single user NumPy reads the matrix at the speed of memory, in half of torch's time
    return torch.from_numpy(items.numpy() @ users[0].numpy())[None]


def _leave_out(scores: Tensor, seen: list[NDArray[np.int64]]) -> None:
    """Set the scores of seen items to -inf."""
    rows = np.arange(len(seen)).repeat([len(items) for items in seen])
    if len(rows):
        columns = np.concatenate(seen).astype(np.int64)
        scores[torch.from_numpy(rows), torch.from_numpy(columns)] = -torch.inf


def _joined(parts: list[Ranking], k: int) -> Ranking:
    if not parts:
        return Ranking(np.zeros((0, k), dtype=np.int64), np.zeros((0, k), dtype=np.float32))
    return Ranking(np.concatenate([part.numbers for part in parts]), np.concatenate([part.scores for part in parts]))
