"""Negative sampling from a pool of items."""

from __future__ import annotations

from typing import Any

import numpy as np
from recbole.sampler import Sampler

from recbole_sibrar.data.atomic import DataError


class PoolSampler(Sampler):
    """RecBole's sampler of negative items, restricted to a pool.

    In cold start, training must not draw held-out items, which would be learned as items that nobody likes, nor count
    their interactions for popularity sampling; an evaluation draws among its candidates.

    Args:
        sampler: RecBole's sampler, whose phase is set.
        pool: int64 ``[n]``, the items that can be drawn.
        popularity: int64 ``[n_items]``, number of training interactions of each item; with the distribution
            ``popularity`` an item is drawn in proportion to this number to the power of RecBole's ``alpha``.
        users: int64 ``[m]``, the users for whom will be drawn.
        tokens: Original id of each user, for messages.

    Raises:
        DataError: Nothing can be drawn for some user.
    """

    def __init__(self, sampler: Any, pool: np.ndarray, popularity: np.ndarray, users: np.ndarray, tokens: Any) -> None:
        self.__dict__.update(sampler.__dict__)
        self.pool = pool
        self.cumulative: np.ndarray | None = None
        if self.distribution == "popularity":
            weights = popularity[pool].astype(float) ** self.alpha * (popularity[pool] > 0)
            self.pool, weights = pool[weights > 0], weights[weights > 0]
            self.cumulative = np.cumsum(weights) / max(weights.sum(), 1)
        if not len(self.pool):
            raise DataError(
                f"eval_args: mode: the negatives of {self.phase} cannot be drawn by popularity, because none of the "
                f"{len(pool)} candidates has a training interaction; draw them uniformly or use mode: full"
            )
        drawable = set(self.pool.tolist())
        for user in users:
            if len(self.used_ids[user]) >= len(drawable) and drawable <= self.used_ids[user]:
                raise DataError(
                    f"user '{tokens[user]}' has interacted with all {len(drawable)} items that negatives of "
                    f"{self.phase} are drawn from; leave such users out with user_inter_num_interval, or use mode: full"
                )

    def _uni_sampling(self, sample_num: int) -> np.ndarray:
        return self.pool[np.random.randint(len(self.pool), size=sample_num)]

    def _pop_sampling(self, sample_num: int) -> np.ndarray:
        assert self.cumulative is not None
        positions = np.searchsorted(self.cumulative, np.random.random(sample_num), side="right")
        return self.pool[np.minimum(positions, len(self.pool) - 1)]
