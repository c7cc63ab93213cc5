"""GenreAffinity: the labels of the items that a user chose before."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, diags, hstack

from recbole_sibrar.data.modality import ModalityKind, TrainingData
from recbole_sibrar.model.baselines.base import ContentBaseline
from recbole_sibrar.protocols import FullConfig


class GenreAffinity(ContentBaseline):
    r"""Affinity of a user to the labels of an item, such as genres.

    A user's affinity to a label is the share of the user's training items with it, and an item has
    the sum of the affinities to its labels:

    .. math:: a(u, g) = |\{i \in I_u : g \in G_i\}| / |I_u|, \quad
        \hat{x}_{ui} = \sum_{g \in G_i} a(u, g)

    Several fields add their scores, by their weights. A new user has the mean affinity of all
    training interactions.

    Example:
        >>> from recbole_sibrar.errors import ConfigError
        >>> from recbole_sibrar.model.example import ExampleData
        >>> try:
        ...     GenreAffinity(ExampleData().config("GenreAffinity"), ExampleData())
        ... except ConfigError as error:
        ...     print(error)
        GenreAffinity needs fields of type token, token_seq, found none (example data of items)
    """

    kinds = (ModalityKind.CATEGORICAL, ModalityKind.MULTI_LABEL)
    content_sides = ("item",)

    def fit(self, config: FullConfig, dataset: TrainingData) -> None:
        """Compute the affinities; see the base class."""
        fields: list[csr_matrix] = []
        for block in self.blocks["item"]:
            # The rows of a block have length 1: their signs are the labels as zeros and ones. The
            # root of the weight, as labels stand on both sides of a score.
            labels = csr_matrix(block.rows).sign()
            fields.append(labels * np.sqrt(self.weights.of(block.name)))
        self.labels = hstack(fields, format="csr")

        # The affinities of all users to all labels would fill memory: they are computed with the
        # scores.
        self.shares = _rows_that_sum_to_one(self.interactions)
        popularity = csr_matrix(self.interactions.sum(axis=0))
        self.mean_affinity = (_rows_that_sum_to_one(popularity) @ self.labels).toarray()

    def score(self, users: NDArray[np.int64]) -> NDArray[np.floating[Any]]:
        """Score all items for some users; see the base class."""
        # New users have no items: they get the affinities of all interactions together.
        affinities = (self.shares[users] @ self.labels).toarray()
        affinities[~self.trained["user"][users]] = self.mean_affinity
        return np.asarray((self.labels @ affinities.T).T)


def _rows_that_sum_to_one(matrix: csr_matrix) -> csr_matrix:
    """Divide the rows of a matrix by their sums; rows of zeros stay as they are."""
    sums = np.asarray(matrix.sum(axis=1)).ravel()
    return csr_matrix(diags(1 / np.where(sums > 0, sums, 1)) @ matrix)
