"""Negative sampling: RecBole's, without its loop over rows, and from a pool of items."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from recbole.sampler import Sampler
from recbole.sampler.sampler import AbstractSampler
from scipy.sparse import csr_matrix

from recbole_sibrar.data.atomic import DataError


def sample_by_key_ids(original: Callable[..., Any], sampler: AbstractSampler, key_ids: Any, num: int) -> torch.Tensor:
    """Draw what RecBole's method of the same name draws, number by number, in a fraction of the time.

    Both draw everything, then again what must not be drawn, until nothing is left. RecBole asks the set of each row
    whether it has the value; here a sparse matrix is asked for all rows at once.

    Args:
        original: RecBole's method.
        sampler: RecBole's sampler of items; another one is left to the original.
        key_ids: int64 ``[b]``, users.
        num: Items for each user.

    Returns:
        int64 ``[num * b]``: the first item of each user, then the second of each, and so on.
    """
    keys = np.asarray(key_ids)
    if not isinstance(sampler, Sampler) or not len(keys) or (keys == keys[0]).all():
        return original(sampler, key_ids, num)
    used = _used_matrix(sampler)
    keys = np.tile(keys, num)
    values = np.zeros(len(keys), dtype=np.int64)
    rows = np.arange(len(keys))
    while len(rows):
        values[rows] = drawn = sampler.sampling(len(rows))
        rows = rows[np.asarray(used[keys[rows], drawn]).ravel()]
    return torch.from_numpy(values)


def _used_matrix(sampler: Sampler) -> csr_matrix:
    """The items that each user must not get, bool ``[n_users, n_items]``, built once for each phase of a sampler."""
    source, used = sampler.__dict__.get("used_matrix", (None, None))
    if source is not sampler.used_ids:
        sizes = [len(items) for items in sampler.used_ids]
        items = np.fromiter((item for items in sampler.used_ids for item in sorted(items)), np.int64, sum(sizes))
        offsets = np.concatenate([[0], np.cumsum(sizes)])
        used = csr_matrix((np.ones(len(items), dtype=bool), items, offsets), shape=(len(sizes), sampler.item_num))
        sampler.used_matrix = sampler.used_ids, used
    return used


def pop_sampling(original: Callable[..., Any], sampler: AbstractSampler, sample_num: int) -> np.ndarray:
    """Draw what RecBole's method of the same name draws, without its loop over the draws.

    Args:
        original: RecBole's method.
        sampler: RecBole's sampler, which draws by popularity.
        sample_num: How many ids to draw.

    Returns:
        int64 ``[sample_num]``.
    """
    source, *table = sampler.__dict__.get("alias_arrays", (None,))
    if source is not sampler.prob:
        keys = np.array(list(sampler.prob), dtype=np.int64)
        alias = np.array([sampler.alias[key] for key in sampler.prob], dtype=np.int64)
        table = [keys, np.array(list(sampler.prob.values())), np.where(alias < 0, keys, alias)]
        sampler.alias_arrays = sampler.prob, *table
    keys, probability, alias = table
    drawn = np.random.randint(0, len(keys), sample_num)
    return np.where(probability[drawn] > np.random.random(sample_num), keys[drawn], alias[drawn])


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
