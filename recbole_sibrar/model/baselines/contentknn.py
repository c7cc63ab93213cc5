"""ContentKNN: neighbours by content."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from recbole_sibrar.config import read_key, refuse
from recbole_sibrar.config.fields import NEW_SHARE
from recbole_sibrar.data.modality import TrainingData
from recbole_sibrar.model.baselines.base import ContentBaseline
from recbole_sibrar.model.baselines.features import most_similar
from recbole_sibrar.names import SIDES, Side
from recbole_sibrar.protocols import FullConfig

_SIMILARITIES = 1 << 24
"""Similarities to keep at a time, 128 MB: those of a few entities to all others."""


class ContentKNN(ContentBaseline):
    r"""Nearest neighbours by the cosine of content.

    The similarity is the weighted mean of the cosines of the modalities, with 0 for a missing one:

    .. math:: s(a, b) = \sum_m w_m cos_m(a, b) / \sum_m w_m

    On the side of the items, an item is scored by its k most similar training items:
    :math:`\hat{x}_{ui} = \sum_{j \in N_k(i)} s(i, j) x_{uj}`. On the side of the users, a user is
    scored by the k most similar training users: :math:`\hat{x}_{ui} = \sum_{v \in N_k(u)} s(u, v)
    x_{vi}`. If the evaluation has new users and new items, the second sum stands for the
    interactions of a new user in the first.

    Example:
        >>> from recbole_sibrar.model.example import ExampleData
        >>> data = ExampleData()
        >>> model = ContentKNN(data.config("ContentKNN"), data)
        >>> model.score(np.array([1, 2])).shape
        (2, 9)
    """

    def fit(self, config: FullConfig, dataset: TrainingData) -> None:
        """Find the neighbours; see the base class."""
        self.n_neighbors: int = read_key(config, "k")
        self.side = self._choose_side(read_key(config, "neighbor_side"), dataset)

        self.profiles = self.interactions
        n_users = len(self.trained["user"])
        if self.blocks["user"] and (self.side == "user" or len(self.new("user"))):
            # With neighbours of items, the profiles of known users are their interactions.
            users = np.arange(n_users) if self.side == "user" else self.new("user")
            predicted = self._neighbors("user", users) @ self.interactions
            replaced = np.zeros(n_users, dtype=bool)
            replaced[users] = True
            kept = self.interactions.multiply(~replaced[:, None])
            self.profiles = predicted + csr_matrix(kept)

        if self.side == "item":
            items = np.arange(len(self.trained["item"]))
            self.neighbors = self._neighbors("item", items).T.tocsr()

    def _choose_side(self, chosen: str, dataset: TrainingData) -> Side:
        """Choose the side of the neighbours."""
        if chosen != "auto":
            side: Side = "user" if chosen == "user" else "item"
            if not self.blocks[side]:
                others = " or ".join(["auto", *(other for other in SIDES if self.blocks[other])])
                refuse("neighbor_side", chosen, f"{others}, as the {side}s have no content")
            return side
        if not self.blocks["item"]:
            return "user"

        # With auto the users, where they are new and the items are not.
        evaluated = getattr(dataset, "evaluated", {})
        is_new = {}
        for side in ("user", "item"):
            n_evaluated, n_new = evaluated.get(side, (0, 0))
            is_new[side] = n_new > 0 and n_new >= NEW_SHARE * n_evaluated
        return "user" if is_new["user"] and not is_new["item"] and self.blocks["user"] else "item"

    def _neighbors(self, side: Side, entities: NDArray[np.int64]) -> csr_matrix:
        """Find the most similar training entities of some entities.

        Returns:
            Similarities, sparse ``[n_entities, n_entities]``; rows of other entities are empty.
        """
        kernel = self.kernel(side)
        # Of equal similarities, random ones count: the first in a file, such as the oldest users, are unlike others.
        known = np.random.default_rng(self.seed).permutation(self.known(side))
        total = sum(kernel.weights) or 1.0
        k = min(self.n_neighbors, len(known))
        n_rows = max(_SIMILARITIES // len(known), 1)
        rows, columns, values = [], [], []

        for start in range(0, len(entities), n_rows):
            # A block at a time: all similarities of a large catalogue would fill the memory.
            block = entities[start : start + n_rows]
            similarities = kernel.between(block, known) / total
            similarities[block[:, None] == known] = 0  # nobody is a neighbour of its own

            nearest = most_similar(similarities, k)
            rows.append(np.repeat(block, k))
            columns.append(known[nearest].ravel())
            values.append(np.take_along_axis(similarities, nearest, axis=1).ravel())

        n = len(self.trained[side])
        entries = (np.concatenate(values), (np.concatenate(rows), np.concatenate(columns)))
        return csr_matrix(entries, shape=(n, n), dtype=np.float32)

    def score(self, users: NDArray[np.int64]) -> NDArray[np.floating[Any]]:
        """Score all items for some users; see the base class."""
        profiles = self.profiles[users]
        scores = profiles @ self.neighbors if self.side == "item" else profiles
        return np.asarray(scores.toarray())
