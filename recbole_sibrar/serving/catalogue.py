"""Items that compete for recommendation: those of training, with the changes since."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from recbole_sibrar.serving.ranking import (
    Ranking,
    Rescore,
    Scores,
    Vectors,
    dot_products,
    rounding_error,
)

__all__ = ["Catalogue"]

_SCORES_A_BLOCK = 1 << 24
"""Scores to compute at a time, 64 megabytes."""


@dataclass(frozen=True)
class Catalogue:
    """Embeddings of the items by number.

    A change makes a new catalogue; searches in the earlier one go on.
    """

    stored: Vectors
    """Items of the portable model, mapped from its file."""
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
        return cls(
            Vectors(base),
            n,
            np.zeros(0, dtype=np.int64),
            base[:0],
            torch.zeros(n, dtype=torch.bool),
        )

    @property
    def base(self) -> Tensor:
        """Embeddings of the items of the portable model, float32 ``[n_base, k]``."""
        return self.stored.values

    @property
    def longest(self) -> float:
        """Length of the longest embedding."""
        later = float(self.vectors.norm(dim=1).max()) if len(self.vectors) else 0.0
        return max(self.stored.longest, later)

    @cached_property
    def has_removed(self) -> bool:
        """True if an item is removed; a look at all items at each request would take a tenth of its time."""
        return bool(self.removed.any())

    def put(self, numbers: NDArray[np.int64], vectors: Tensor) -> Catalogue:
        """Add items, or replace some.

        Args:
            numbers: int64 ``[m]``, distinct; new items have the next numbers.
            vectors: float32 ``[m, k]``.
        """
        n = max(self.n, int(numbers.max(initial=-1)) + 1)
        kept = ~np.isin(self.changed, numbers)
        # An item that was removed comes back by being put.
        removed = torch.cat([self.removed, torch.zeros(n - self.n, dtype=torch.bool)])
        removed[torch.from_numpy(numbers)] = False

        return Catalogue(
            stored=self.stored,
            n=n,
            changed=np.concatenate([self.changed[kept], numbers]),
            vectors=torch.cat([self.vectors[torch.from_numpy(kept)], vectors]),
            removed=removed,
        )

    def remove(self, numbers: NDArray[np.int64]) -> Catalogue:
        """Let items no longer compete."""
        removed = self.removed.clone()
        removed[torch.from_numpy(numbers)] = True
        return replace(self, removed=removed)

    def take(self, numbers: NDArray[np.int64]) -> Tensor:
        """Return the embeddings of some items, float32 ``[m, k]``."""
        wanted = np.asarray(numbers, dtype=np.int64)
        # Added items have no row in the base: any stands in, and is overwritten below.
        base_rows = torch.from_numpy(wanted).clamp(max=len(self.base) - 1)
        taken = self.base[base_rows]
        if len(self.changed):
            order = np.argsort(self.changed)
            found = np.searchsorted(self.changed, wanted, sorter=order)
            places = order[found.clip(max=len(order) - 1)]
            rows = np.flatnonzero(self.changed[places] == wanted)
            taken[torch.from_numpy(rows)] = self.vectors[torch.from_numpy(places[rows])]
        return taken

    def scores(self, users: Tensor) -> Tensor:
        """Score all items, ``[b, n]``; -inf for removed ones.

        Args:
            users: float32 ``[b, k]``: embeddings of the users.
        """
        scores = _products(users, self.base)
        n_added = self.n - len(self.base)
        if n_added > 0:
            # Empty, as every added item is among the changed ones.
            scores = torch.cat([scores, scores.new_empty(len(users), n_added)], dim=1)
        if len(self.changed):
            scores[:, torch.from_numpy(self.changed)] = users @ self.vectors.t()
        if self.has_removed:
            scores.masked_fill_(self.removed, -torch.inf)
        return scores

    def rank(
        self,
        users: Tensor,
        k: int,
        seen: list[NDArray[np.int64]] | None = None,
        allowed: Tensor | None = None,
    ) -> Ranking:
        """Find the best items of users by exact search.

        Args:
            users: float32 ``[b, k]``.
            k: Number of items for each.
            seen: For each user the items to leave out; None for none.
            allowed: bool ``[n]``: items that compete; None for all.
        """
        block = max(_SCORES_A_BLOCK // max(self.n, 1), 1)
        errors = rounding_error(users.shape[1], users.norm(dim=1), self.longest)
        parts: list[Ranking] = []
        for start in range(0, len(users), block):
            part = slice(start, start + block)
            scores = self.scores(users[part])
            if seen is not None:
                _leave_out(scores, seen[part])
            if allowed is not None:
                scores.masked_fill_(~allowed, -torch.inf)

            rescore = _rescore(users[part], self.take)
            parts.append(Scores(scores, rescore, errors[part]).best(k))
        return _joined(parts, min(k, self.n))

    def rank_among(
        self,
        users: Tensor,
        k: int,
        candidates: NDArray[np.int64],
        seen: list[NDArray[np.int64]] | None = None,
    ) -> Ranking:
        """Find the best of some items; see :meth:`rank`.

        Args:
            users: float32 ``[b, k]``.
            k: Number of items for each.
            candidates: int64 ``[m]``, distinct: the items that compete.
            seen: For each user the items to leave out; None for none.
        """
        # Sorted, so that equal scores stand in the order of the numbers of their items.
        is_removed = self.removed.numpy()[candidates]
        competing = np.sort(candidates[~is_removed])
        vectors = Vectors(self.take(competing))
        errors = rounding_error(users.shape[1], users.norm(dim=1), vectors.longest)
        block = max(_SCORES_A_BLOCK // max(len(competing), 1), 1)
        parts: list[Ranking] = []
        for start in range(0, len(users), block):
            part = slice(start, start + block)
            scores = users[part] @ vectors.values.t()
            for row, items in enumerate(seen[part] if seen is not None else []):
                scores[row, torch.from_numpy(np.isin(competing, items))] = -torch.inf

            best = Scores(scores, _rescore(users[part], vectors.take), errors[part]).best(k)
            numbers = best.numbers
            # From places among the competing items to their numbers; -1 stays.
            if len(competing):
                numbers = np.where(numbers >= 0, competing[numbers], -1)
            parts.append(Ranking(numbers, best.scores))
        return _joined(parts, min(k, len(competing)))


def _rescore(users: Tensor, take: Callable[[NDArray[np.int64]], Tensor]) -> Rescore:
    """Make the function that computes scores of users ``[b, k]`` again."""

    def rescore(rows: NDArray[np.int64], numbers: NDArray[np.int64]) -> NDArray[np.float32]:
        return dot_products(users[torch.from_numpy(rows)], take(numbers))

    return rescore


def _products(users: Tensor, items: Tensor) -> Tensor:
    """Compute all dot products, ``[b, n]``."""
    if len(users) > 1:
        return users @ items.t()
    # For a single user NumPy reads the matrix at the speed of memory, in half of torch's time.
    return torch.from_numpy(items.numpy() @ users[0].numpy())[None]


def _leave_out(scores: Tensor, seen: list[NDArray[np.int64]]) -> None:
    """Set the scores of seen items to -inf."""
    sizes = [len(items) for items in seen]
    rows = np.arange(len(seen)).repeat(sizes)
    if len(rows):
        columns = np.concatenate(seen).astype(np.int64)
        scores[torch.from_numpy(rows), torch.from_numpy(columns)] = -torch.inf


def _joined(parts: list[Ranking], k: int) -> Ranking:
    if not parts:
        return Ranking(np.zeros((0, k), dtype=np.int64), np.zeros((0, k), dtype=np.float32))
    return Ranking(
        np.concatenate([part.numbers for part in parts]),
        np.concatenate([part.scores for part in parts]),
    )
