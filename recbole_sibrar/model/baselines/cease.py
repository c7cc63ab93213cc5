"""CEASE: one closed form for interactions and side information."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from recbole_sibrar.config import read_key, refuse
from recbole_sibrar.data.modality import TrainingData
from recbole_sibrar.model.baselines.base import ContentBaseline
from recbole_sibrar.model.baselines.ease import closed_form
from recbole_sibrar.protocols import FullConfig


class CEASE(ContentBaseline):
    r"""Collective EASE (Jeunen, Van Balen and Goethals, RecSys 2020).

    Labels and dimensions of the content count as further users of the items. EASE is solved for the
    stacked matrix of interactions and content, so that known and new items have one closed form:

    .. math:: G = X^T X + \alpha \sum_m w_m cos_m + \lambda I, \quad
        B = I - G^{-1} diag(1 / diag(G^{-1}))

    The cosines are the products of the content's rows at unit length, with 0 for a missing
    modality.

    Example:
        >>> from recbole_sibrar.model.example import ExampleData
        >>> data = ExampleData()
        >>> model = CEASE(data.config("CEASE"), data)
        >>> bool((model.similarities.diagonal() == 0).all())
        True
    """

    content_sides = ("item",)

    def fit(self, config: FullConfig, dataset: TrainingData) -> None:
        """Solve the closed form; see the base class."""
        exact_size = read_key(config, "exact_size")
        if self.n_items > exact_size:
            n_items = f"at least the number of items, {self.n_items}"
            refuse("exact_size", exact_size, f"{n_items}, as CEASE has one form only")

        # The stacked matrix itself is not made: its Gram matrix is the sum of those of its parts.
        items = np.arange(self.n_items)
        gram = (self.interactions.T @ self.interactions).toarray().astype(np.float64)
        gram += read_key(config, "content_weight") * self.kernel("item").between(items, items)
        gram[np.diag_indices_from(gram)] += read_key(config, "reg_weight")
        self.similarities = closed_form(gram).astype(np.float32)

    def score(self, users: NDArray[np.int64]) -> NDArray[np.floating[Any]]:
        """Score all items for some users; see the base class."""
        return np.asarray(self.interactions[users] @ self.similarities)
