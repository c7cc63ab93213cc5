"""Negative sampling: RecBole's, without its loop over rows, and from a pool of items."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from recbole.sampler import RepeatableSampler, Sampler
from recbole.sampler.sampler import AbstractSampler

from recbole_sibrar.data.atomic import DataError


def sample_by_key_ids(original: Callable[..., Any], sampler: AbstractSampler, key_ids: Any, num: int) -> torch.Tensor:
    """Draw what RecBole's method of the same name draws, number by number, in a fraction of the time.

    Both draw everything, then again what must not be drawn, until nothing is left. RecBole asks the set of each row
    whether it has the value; here all rows are looked up at once.

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
    known = known_pairs(sampler)
    sampler.used_ids[keys.max()]  # an IndexError, which RecBole explains, for a user who does not exist
    keys = np.tile(keys, num)
    values = np.zeros(len(keys), dtype=np.int64)
    rows = np.arange(len(keys))
    while len(rows):
        values[rows] = drawn = sampler.sampling(len(rows))
        rows = rows[known.has(keys[rows], drawn)]
    return torch.from_numpy(values)


class PairSet:
    """Pairs of a user and an item, which many pairs can be looked up in at once.

    Each pair marks a bit of a table. Where the table would be larger than 64 bits for each pair of the set, a pair's
    place in it is a hash of the pair, and what finds its bit marked is looked for among the sorted pairs: few do, since
    most pairs are not in a set so sparse.

    Args:
        users: int64 ``[n]``.
        items: int64 ``[n]``.
        n_users: Number of users.
        n_items: Number of items.
    """

    BITS = 64
    """Largest number of bits of the table for each pair."""

    def __init__(self, users: np.ndarray, items: np.ndarray, n_users: int, n_items: int) -> None:
        self.n_items = n_items
        self.numbers = np.unique(users * n_items + items)
        self.is_exact = n_users * n_items <= self.BITS * len(self.numbers)
        n_hashed = (len(self.numbers) * self.BITS // 2).bit_length()
        self.shift = np.uint64(64 - n_hashed)
        n_bits = n_users * n_items if self.is_exact else 1 << n_hashed
        self.table = np.zeros((n_bits + 7) // 8, dtype=np.uint8)
        places = self._places(self.numbers)
        np.bitwise_or.at(self.table, places >> 3, np.left_shift(1, places & 7).astype(np.uint8))

    def _places(self, numbers: np.ndarray) -> np.ndarray:
        """The bit of each number, hashed by the golden ratio (Knuth, The Art of Computer Programming 3, 6.4)."""
        if self.is_exact:
            return numbers
        return ((numbers.view(np.uint64) * np.uint64(0x9E3779B97F4A7C15)) >> self.shift).view(np.int64)

    def has(self, users: np.ndarray, items: np.ndarray) -> np.ndarray:
        """Positions of the pairs that are in the set, ascending.

        Args:
            users: int64 ``[n]``.
            items: int64 ``[n]``.
        """
        numbers = users * self.n_items + items
        places = self._places(numbers)
        marked = ((self.table[places >> 3] >> (places & 7).astype(np.uint8)) & 1).nonzero()[0]
        if self.is_exact or not len(marked):
            return marked
        found = np.searchsorted(self.numbers, numbers[marked])
        return marked[self.numbers[np.minimum(found, len(self.numbers) - 1)] == numbers[marked]]


def known_pairs(sampler: Sampler) -> PairSet:
    """The pairs of users and items that must not be drawn, gathered once for each phase of a sampler."""
    source, pairs = sampler.__dict__.get("known_pairs", (None, None))
    if source is not sampler.used_ids:
        sizes = [len(items) for items in sampler.used_ids]
        items = np.concatenate([np.fromiter(items, np.int64, len(items)) for items in sampler.used_ids])
        pairs = PairSet(np.repeat(np.arange(len(sizes)), sizes), items, len(sizes), sampler.item_num)
        sampler.known_pairs = sampler.used_ids, pairs
    return pairs


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
        sampler: RecBole's sampler, whose phase is set; that of repeatable recommendations keeps only the item of a row
            from being drawn for it, another one all that the user has.
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
        self.is_repeatable = isinstance(sampler, RepeatableSampler)
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
        if self.is_repeatable and len(drawable) < 2:
            raise DataError(f"negatives of {self.phase} cannot be drawn from a single item")
        for user in users:
            if len(self.used_ids[user]) >= len(drawable) and drawable <= self.used_ids[user]:
                raise DataError(
                    f"user '{tokens[user]}' has interacted with all {len(drawable)} items that negatives of "
                    f"{self.phase} are drawn from; leave such users out with user_inter_num_interval, or use "
                    f"{'train_neg_candidates: all' if self.phase == 'train' else 'mode: full'}"
                )

    def sample_by_user_ids(self, user_ids: Any, item_ids: Any, num: int) -> torch.Tensor:
        """Draw for rows of users and items; see RecBole's method of the same name."""
        if not self.is_repeatable:
            return super().sample_by_user_ids(user_ids, item_ids, num)
        self.used_ids = np.array([{item} for item in item_ids])
        return self.sample_by_key_ids(np.arange(len(user_ids)), num)

    def _uni_sampling(self, sample_num: int) -> np.ndarray:
        return self.pool[np.random.randint(len(self.pool), size=sample_num)]

    def _pop_sampling(self, sample_num: int) -> np.ndarray:
        assert self.cumulative is not None
        positions = np.searchsorted(self.cumulative, np.random.random(sample_num), side="right")
        return self.pool[np.minimum(positions, len(self.pool) - 1)]
