"""EASEContent: the scores of EASE, carried to new items and users by their content."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from recbole_sibrar.config import read_key
from recbole_sibrar.data.modality import TrainingData
from recbole_sibrar.model.baselines.base import ContentBaseline
from recbole_sibrar.model.baselines.ease import item_factors
from recbole_sibrar.names import Side
from recbole_sibrar.protocols import FullConfig


class EASEContent(ContentBaseline):
    r"""EASE on the known items, and kernel ridge regression from content for the new ones.

    EASE (Steck, WWW 2019) gives the scores :math:`Y = X B` of the training items. They are targets of a regression on
    the content of the items, as in linear mappings of collaborative vectors (Gantner et al., ICDM 2010):

    .. math:: Y_{new} = K(new, train) (K + \lambda I)^{-1} (Y^T - \bar{y}) + \bar{y}

    with the kernel :math:`K(i, j) = \exp(\sum_m w_m cos_m(i, j) - \sum_m w_m)`, or the linear one
    :math:`\sum_m w_m cos_m`. A missing modality contributes the cosine 0. Known items keep the scores of EASE. The
    interactions of a new user are predicted alike from the content of the known users.

    With more than ``exact_size`` known items the weights of EASE have a low rank, and the kernel is that of
    ``n_landmarks`` landmarks.

    Example:
        >>> from recbole_sibrar.model.example import ExampleData
        >>> data = ExampleData()
        >>> model = EASEContent(data.config("EASEContent"), data)
        >>> model.score(np.array([1, 2])).shape
        (2, 9)
    """

    def fit(self, config: FullConfig, dataset: TrainingData) -> None:
        """Compute the weights of EASE and carry them to the new items; see the base class."""
        self.form: str = read_key(config, "kernel")
        self.ridge_weight: float = read_key(config, "ridge_weight")
        self.exact_size: int = read_key(config, "exact_size")
        self.n_landmarks: int = read_key(config, "n_landmarks")

        known = self.known("item")
        rank = None if len(known) <= self.exact_size else read_key(config, "rank")
        self.inner, factors = item_factors(self.interactions[:, known], read_key(config, "reg_weight"), rank, self.seed)
        self.item_factors = self.carry("item", factors, self.form, self.ridge_weight, self.landmarks("item"))
        self.profiles = self._profiles()

    def landmarks(self, side: Side) -> int | None:
        """Return the number of landmarks of a side; None where the exact solution is small enough."""
        return None if len(self.known(side)) <= self.exact_size else self.n_landmarks

    def _profiles(self) -> NDArray[np.float32] | csr_matrix:
        """Interactions of each user with the known items; those of new users are predicted."""
        profiles = self.interactions[:, self.known("item")]
        if not self.blocks["user"] or not len(self.new("user")):
            return profiles
        known_profiles = profiles[self.known("user")].toarray()
        return self.carry("user", known_profiles, self.form, self.ridge_weight, self.landmarks("user"))

    def score(self, users: NDArray[np.int64]) -> NDArray[np.floating[Any]]:
        """Score all items for some users; see the base class."""
        profiles = self.profiles[users]
        inputs = profiles.toarray() if isinstance(profiles, csr_matrix) else profiles
        if self.inner is not None:
            inputs = inputs @ self.inner
        return np.asarray(inputs @ self.item_factors.T)
