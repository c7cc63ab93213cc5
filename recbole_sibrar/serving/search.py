"""Search for the best items in one state of the catalogue, under a filter."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from recbole_sibrar.serving.catalogue import Catalogue, Ranking

__all__ = ["Search"]


@dataclass(frozen=True)
class Search:
    """Items that compete, and how to find the best of them."""

    catalogue: Catalogue
    """The items, as they are at the start of the search."""
    allowed: Tensor | None = None
    """bool ``[n]``: items that compete; None for all."""
    candidates: NDArray[np.int64] | None = None
    """int64 ``[m]``: numbers of the items that compete; None for all."""

    def rank(self, users: Tensor, k: int, seen: list[NDArray[np.int64]] | None) -> Ranking:
        """Find the best items of users.

        Args:
            users: float32 ``[b, k]``: embeddings of the users.
            k: Number of items for each.
            seen: For each user the items to leave out; None for none.
        """
        if seen is not None:
            # items that were added after the start of the search are not in this catalogue
            seen = [items[items < self.catalogue.n] for items in seen]
        if self.candidates is None:
            return self.catalogue.rank(users, k, seen, self.allowed)

        candidates = self.candidates
        if self.allowed is not None:
            candidates = candidates[self.allowed.numpy()[candidates]]
        return self.catalogue.rank_among(users, k, candidates, seen)
