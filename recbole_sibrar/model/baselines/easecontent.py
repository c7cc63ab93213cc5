"""EASEContent: the scores of EASE, carried to new items and users by their content."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from recbole_sibrar.config import read_key
from recbole_sibrar.data.modality import TrainingData
from recbole_sibrar.model.baselines.base import ContentBaseline
from recbole_sibrar.model.baselines.ease import item_factors
from recbole_sibrar.model.baselines.regression import ContentRegression
from recbole_sibrar.names import Side
from recbole_sibrar.protocols import FullConfig

KEPT = 1 << 28
"""Largest number of predictions for new items to keep, 1 GB; more are computed when needed."""


class EASEContent(ContentBaseline):
    r"""EASE on the known items, and kernel ridge regression from content for the new ones.

    EASE (Steck, WWW 2019) gives the scores :math:`Y = X B` of the training items. They are targets
    of a regression on the content of the items, as in linear mappings of collaborative vectors
    (Gantner et al., ICDM 2010):

    .. math:: Y_{new} = K(new, train) (K + \lambda I)^{-1} (Y^T - \bar{y}) + \bar{y}

    with the kernel :math:`K(i, j) = \exp(\sum_m w_m cos_m(i, j) - \sum_m w_m)`, or the linear one
    :math:`\sum_m w_m cos_m`. A missing modality contributes the cosine 0. Known items keep the
    scores of EASE. The interactions of a new user are predicted alike from the content of the known
    users.

    With more than ``exact_size`` known items the weights of EASE have a low rank, and the kernel is
    that of ``n_landmarks`` landmarks. With many new items nothing is kept for them: a batch of
    users is multiplied with the weights of the regression first, and the new items follow a block
    at a time.

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
        new = self.new("item")
        reg_weight: float = read_key(config, "reg_weight")
        rank = None if len(known) <= self.exact_size else read_key(config, "rank")
        self.profiles = self.interactions[:, known]
        self.inner, factors = item_factors(self.profiles, reg_weight, rank, self.seed)
        self.known_factors = factors.astype(np.float32)

        # The regression is linear in its targets: fitted to the factors of the items, it predicts
        # factors of new ones, without a target for each user.
        self.new_factors: NDArray[np.float32] | None = None
        self.new_items: ContentRegression | None = None
        if len(new):
            regression = self._regression("item")
            if len(new) * factors.shape[1] <= KEPT:
                self.new_factors = regression.fit_predict(factors, new)
            else:
                self.new_items = regression.fit(factors)
        self.new_users = self._new_users()

    def landmarks(self, side: Side) -> int | None:
        """Return the number of landmarks of a side; None for the exact solution."""
        return None if len(self.known(side)) <= self.exact_size else self.n_landmarks

    def _regression(self, side: Side) -> ContentRegression:
        """Make the regression from the content of a side."""
        return self.regression(side, self.form, self.ridge_weight, self.landmarks(side))

    def _new_users(self) -> ContentRegression | None:
        """Fit the inputs of known users by their content; None without content or new users."""
        if not self.blocks["user"] or not len(self.new("user")):
            return None

        profiles = self.profiles[self.known("user")]
        inputs = profiles if self.inner is None else profiles @ self.inner
        return self._regression("user").fit(inputs)

    def score(self, users: NDArray[np.int64]) -> NDArray[np.floating[Any]]:
        """Score all items for some users; see the base class."""
        profiles = self.profiles[users]
        inputs = profiles.toarray() if self.inner is None else np.asarray(profiles @ self.inner)

        # Inputs of new users are predicted when they are scored: those of all would fill memory.
        is_new = ~self.trained["user"][users] & (users > 0)  # 0 is the padding
        if self.new_users is not None and is_new.any():
            inputs[is_new] = self.new_users.predict(users[is_new])

        scores = np.zeros((len(users), self.n_items), dtype=np.float32)
        scores[:, self.known("item")] = inputs @ self.known_factors.T
        if self.new_factors is not None:
            scores[:, self.new("item")] = inputs @ self.new_factors.T
        elif self.new_items is not None:
            scores[:, self.new("item")] = self.new_items.predict(self.new("item"), inputs.T).T
        return scores
