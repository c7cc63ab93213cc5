"""Search for the best items in one state of the catalogue, under a filter."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from recbole_sibrar.serving.catalogue import Catalogue
from recbole_sibrar.serving.index import ItemIndex
from recbole_sibrar.serving.ranking import Ranking

__all__ = ["Search"]

_FEW_USERS = 32


@dataclass(frozen=True)
class Search:
    """Items that compete, and how to find the best of them."""

    catalogue: Catalogue
    """The items, as they are at the start of the search."""
    allowed: Tensor | None = None
    """bool ``[n]``: items that compete; None for all."""
    candidates: NDArray[np.int64] | None = None
    """int64 ``[m]``: numbers of the items that compete; None for all."""

    index: ItemIndex | None = None
    """Approximate index of the items of the portable model; None for exact search."""

    def rank(self, users: Tensor, k: int, seen: list[NDArray[np.int64]] | None) -> Ranking:
        """Find the best items of users.

        Args:
            users: float32 ``[b, k]``: embeddings of the users.
            k: Number of items for each.
            seen: For each user the items to leave out; None for none.
        """
        if seen is not None:
            # Items that were added after the start of the search are not in this catalogue.
            seen = [items[items < self.catalogue.n] for items in seen]
        if self.candidates is None:
            # An exact search of many users at once is a matrix product, which no index is ahead of.
            if self.index is not None and self.allowed is None and len(users) <= _FEW_USERS:
                return self._rank_by_index(self.index, users, k, seen)
            return self.catalogue.rank(users, k, seen, self.allowed)

        candidates = self.candidates
        if self.allowed is not None:
            candidates = candidates[self.allowed.numpy()[candidates]]
        return self.catalogue.rank_among(users, k, candidates, seen)

    def _rank_by_index(
        self, index: ItemIndex, users: Tensor, k: int, seen: list[NDArray[np.int64]] | None
    ) -> Ranking:
        """Find candidates by the index, and the best of them by their exact scores."""
        catalogue = self.catalogue
        changed = catalogue.changed
        # The index is that of the portable model: replaced items have other embeddings in it.
        replaced = changed[changed < len(index)]
        removed = np.flatnonzero(catalogue.removed[: len(index)])
        outdated = np.concatenate([replaced, removed])

        rankings: list[Ranking] = []
        for row, user in enumerate(users):
            own = None if seen is None else [seen[row]]
            left_out = outdated if seen is None else np.concatenate([outdated, seen[row]])
            found = index.candidates(user, k, left_out[left_out < len(index)])
            # Added and replaced items always compete: the index does not know them.
            competing = np.concatenate([found, changed])
            rankings.append(catalogue.rank_among(user[None], k, competing, own))
        return _padded(rankings, k)


def _padded(rankings: list[Ranking], k: int) -> Ranking:
    """Put rankings of different lengths below each other."""
    numbers = np.full((len(rankings), k), -1, dtype=np.int64)
    scores = np.full((len(rankings), k), -np.inf, dtype=np.float32)
    for row, ranking in enumerate(rankings):
        n = ranking.numbers.shape[1]
        numbers[row, :n] = ranking.numbers[0]
        scores[row, :n] = ranking.scores[0]
    return Ranking(numbers, scores)
