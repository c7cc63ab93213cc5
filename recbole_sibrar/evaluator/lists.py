"""Recommendation lists of an evaluation, and the training data behind them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from recbole.data.interaction import Interaction
from scipy.sparse import csr_matrix

from recbole_sibrar.data.features import FieldValues, Numbers, read_field, read_numbers
from recbole_sibrar.evaluator.ranking import Top
from recbole_sibrar.names import Side
from recbole_sibrar.parallel import processes
from recbole_sibrar.protocols import DatasetLike, FullConfig

__all__ = ["ListCollector", "RecommendationLists", "TrainingKnowledge"]


class TrainingKnowledge:
    """Training interactions and item fields for beyond-accuracy metrics.

    Args:
        dataset: The training part of a RecBole data set.
        tail_ratio: Share of the long tail in the items with training interactions.
        cold_items: True if items were held out as a whole. An item without training interactions
            then has an unknown popularity, not a popularity of 0.

    Example:
        >>> from recbole_sibrar.evaluator.metrics.example import example_lists
        >>> knowledge = example_lists().knowledge
        >>> knowledge.n_users, knowledge.tail.tolist()
        (3, [nan, 0.0, 0.0, 1.0, 1.0, 1.0])
    """

    def __init__(self, dataset: DatasetLike, tail_ratio: float, cold_items: bool = False) -> None:
        self.dataset = dataset
        self.tail_ratio = tail_ratio
        self.cold_items = cold_items
        self._fields: dict[tuple[Side, str, tuple[str, ...]], FieldValues] = {}
        self._numbers: dict[tuple[Side, str], Numbers] = {}

    @cached_property
    def history(self) -> csr_matrix:
        """float ``[n_users, n_items]``, 1 for each training interaction."""
        dataset = self.dataset
        users = dataset.inter_feat[dataset.uid_field].numpy()
        items = dataset.inter_feat[dataset.iid_field].numpy()
        ones = np.ones(len(users), dtype=np.float64)

        shape = (dataset.user_num, dataset.item_num)
        matrix = csr_matrix((ones, (users, items)), shape=shape)
        # A user counts once for an item, however often the two have met.
        matrix.sum_duplicates()
        matrix.data[:] = 1
        return matrix

    @cached_property
    def popularity(self) -> NDArray[Any]:
        """float ``[n_items]``: number of training users of each item; NaN for a held-out item."""
        # SciPy's sum of a csr_matrix is a matrix of one row.
        counts = np.asarray(self.history.sum(axis=0)).ravel()
        counts[0] = np.nan  # padding

        if self.cold_items:
            # Held out as a whole, an item may be popular all the same: 0 would say the opposite.
            return np.where(counts == 0, np.nan, counts)
        return counts

    @cached_property
    def self_information(self) -> NDArray[Any]:
        """float ``[n_items]``: -log2 of the item's share of the training users; NaN without any."""
        # The logarithm of 0 is infinite, and one such item would decide the mean of a list.
        popularity = np.where(self.popularity > 0, self.popularity, np.nan)
        information: NDArray[np.float64] = -np.log2(popularity / self.n_users)
        return information

    @cached_property
    def n_users(self) -> int:
        """Number of users with training interactions."""
        n_items = np.diff(self.history.indptr)
        return int((n_items > 0).sum())

    @cached_property
    def tail(self) -> NDArray[Any]:
        """float ``[n_items]``: 1 for the long tail, 0 for the head, NaN for unknown popularity.

        The tail is the least popular ``tail_ratio`` of the items with training interactions. Among
        equally popular items the lower internal ids come first. Unless items were held out, items
        without training interactions belong to the tail too.
        """
        trained = np.flatnonzero(self.popularity > 0)
        # A stable order keeps the lower id first among equals, so that ties have one answer.
        order = np.argsort(self.popularity[trained], kind="stable")
        ascending = trained[order]

        # 0.29 * 100 is 28.999999999999996.
        n_tail = int(len(trained) * self.tail_ratio + 1e-9)

        tail = np.where(np.isnan(self.popularity), np.nan, 1.0)
        tail[ascending[n_tail:]] = 0
        return tail

    def field(self, side: Side, name: str, types: tuple[str, ...], key: str) -> FieldValues:
        """Read a field once; see :func:`~recbole_sibrar.data.features.read_field`."""
        request = (side, name, types)
        if request not in self._fields:
            self._fields[request] = read_field(self.dataset, side, name, types, key)
        return self._fields[request]

    def numbers(self, side: Side, name: str, key: str) -> Numbers:
        """Read numbers once; see :func:`~recbole_sibrar.data.features.read_numbers`."""
        request = (side, name)
        if request not in self._numbers:
            self._numbers[request] = read_numbers(self.dataset, side, name, key)
        return self._numbers[request]


@dataclass(frozen=True)
class RecommendationLists:
    """The recommendations of one evaluation; a row is a user.

    Example:
        >>> from recbole_sibrar.evaluator.metrics.example import example_lists
        >>> lists = example_lists()
        >>> lists.n_positives.tolist(), lists.hits.sum(1).tolist()
        ([1, 2, 1], [1, 1, 1])
    """

    knowledge: TrainingKnowledge
    """Training data."""
    users: NDArray[Any]
    """int64 ``[n]``: internal ids."""
    items: NDArray[Any]
    """int64 ``[n, k]``: internal ids, best first; 0 where no candidate was left."""
    positive_rows: NDArray[Any]
    """int64 ``[p]``: row of each held-out interaction."""
    positive_items: NDArray[Any]
    """int64 ``[p]``: its item."""
    candidates: NDArray[Any]
    """bool ``[n_items]``: candidates of the recommendations."""
    ranked: NDArray[Any] | None
    """float ``[n, 2]``: numbers of ranked items of head and of tail; None if not counted."""

    @cached_property
    def hits(self) -> NDArray[Any]:
        """bool ``[n, k]``: True for a recommendation among the held-out interactions."""
        # One number for each pair of row and item finds all hits in a single search.
        rows = np.arange(len(self.users))[:, None]
        keys = rows * len(self.candidates) + self.items
        is_positive = np.isin(keys, self._positive_keys)

        # Item 0 fills empty places and is never a hit.
        hits: NDArray[np.bool_] = is_positive & (self.items > 0)
        return hits

    @cached_property
    def n_positives(self) -> NDArray[Any]:
        """int64 ``[n]``: number of held-out items of each user."""
        rows = self._positive_keys // len(self.candidates)
        # Users at the end without a held-out item would have no place without the length.
        return np.bincount(rows, minlength=len(self.users))

    @cached_property
    def distinct_positives(self) -> NDArray[Any]:
        """int64 ``[m]``: the item of each distinct pair of row and held-out item."""
        items: NDArray[np.int64] = self._positive_keys % len(self.candidates)
        return items

    @cached_property
    def _positive_keys(self) -> NDArray[Any]:
        """int64 ``[m]``: row and item as one number."""
        first_keys = self.positive_rows * len(self.candidates)
        keys: NDArray[np.int64] = first_keys + self.positive_items
        # A user may have met an item several times: it is held out once.
        return np.unique(keys)

    def of_users(self, chosen: NDArray[Any]) -> RecommendationLists:
        """Keep the rows of some users.

        Args:
            chosen: bool ``[n]``.
        """
        # New row of each kept user: rows are numbered anew without gaps.
        position = np.cumsum(chosen) - 1
        kept = chosen[self.positive_rows]

        return replace(
            self,
            users=self.users[chosen],
            items=self.items[chosen],
            positive_rows=position[self.positive_rows[kept]],
            positive_items=self.positive_items[kept],
            ranked=None if self.ranked is None else self.ranked[chosen],
        )

    def of_items(self, chosen: NDArray[Any]) -> RecommendationLists:
        """Count only some items: as recommendations, as held-out items, as candidates.

        Args:
            chosen: bool ``[n_items]``.
        """
        kept = chosen[self.positive_items]

        # Other items leave their places empty: the chosen ones keep their ranks in the list.
        return replace(
            self,
            items=np.where(chosen[self.items], self.items, 0),
            positive_rows=self.positive_rows[kept],
            positive_items=self.positive_items[kept],
            candidates=self.candidates & chosen,
            ranked=None,
        )


class ListCollector:
    """Collects the recommendations of an evaluation, batch by batch.

    Args:
        knowledge: Training data.
        candidates: bool ``[n_items]``: candidates of the recommendations.
        user_field: Name of the field with the users.
        count_ranked: True to count the ranked items of head and tail.
    """

    def __init__(
        self,
        knowledge: TrainingKnowledge,
        candidates: NDArray[Any],
        user_field: str,
        count_ranked: bool,
    ) -> None:
        self.knowledge = knowledge
        self.candidates = candidates
        self.user_field = user_field
        # [n_items, 2]; items of unknown popularity, NaN, are in neither half.
        halves = np.stack([knowledge.tail == 0, knowledge.tail == 1], 1)
        self.halves = torch.from_numpy(halves).float()
        self.count_ranked = count_ranked
        self.batches: list[tuple[torch.Tensor, ...]] = []
        self.n_rows = 0

    def add(
        self,
        scores: torch.Tensor,
        top: Top,
        interaction: Interaction,
        rows: torch.Tensor,
        items: torch.Tensor,
    ) -> None:
        """Add a batch.

        Args:
            scores: float ``[b, n_items]``, -inf for items out of the ranking.
            top: The recommendations.
            interaction: RecBole's batch.
            rows: int64 ``[p]``, row of each held-out interaction.
            items: int64 ``[p]``, its item.
        """
        users = interaction[self.user_field]
        # Sampled evaluation repeats a user for each of the items.
        if len(users) != len(scores):
            users = torch.unique_consecutive(users)

        recommended = top.items.masked_fill(top.values == -torch.inf, 0)
        ranked = torch.empty(0)
        if self.count_ranked:
            # Moved once and kept, as the device is known only from the first scores.
            self.halves = self.halves.to(scores.device)
            ranked = (scores > -torch.inf).float() @ self.halves

        # Rows of a batch begin at 0: they are shifted behind those of the batches before.
        batch = (users, recommended, rows + self.n_rows, items, ranked)
        self.batches.append(tuple(tensor.cpu() for tensor in batch))
        self.n_rows += len(scores)

    def gather(self, config: FullConfig) -> bool:
        """Gather the batches of all processes in rank 0, in the order of their ranks.

        Returns:
            True in rank 0, False in the other processes.
        """
        parts = processes.gather(config, (self.batches, self.n_rows))
        self.batches = []
        self.n_rows = 0

        # Each process has numbered its rows from 0.
        for batches, n_rows in parts:
            for users, recommended, rows, items, ranked in batches:
                shifted = rows + self.n_rows
                self.batches.append((users, recommended, shifted, items, ranked))
            self.n_rows += n_rows
        return bool(parts)

    def lists(self) -> RecommendationLists:
        """Join all batches."""
        columns = [torch.cat(parts).numpy() for parts in zip(*self.batches, strict=True)]
        users, items, rows, positives, ranked = columns

        return RecommendationLists(
            knowledge=self.knowledge,
            users=users,
            items=items,
            positive_rows=rows,
            positive_items=positives,
            candidates=self.candidates,
            ranked=ranked if self.count_ranked else None,
        )
