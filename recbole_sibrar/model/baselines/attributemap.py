"""AttributeMap: factors of a matrix factorisation, predicted from attributes."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from recbole_sibrar.config import read_key, refuse
from recbole_sibrar.config.values import is_given
from recbole_sibrar.data.modality import TrainingData
from recbole_sibrar.model.baselines.base import ContentBaseline
from recbole_sibrar.model.baselines.factors import latent_factors
from recbole_sibrar.names import SIDES, Side
from recbole_sibrar.protocols import FullConfig


class AttributeMap(ContentBaseline):
    r"""Mapping of attributes to latent factors (Gantner et al., ICDM 2010).

    A factorisation :math:`X \approx U V^T` gives the factors of known users and items, here the
    truncated singular value decomposition (the paper uses matrix factorisation by BPR). Ridge
    regression on the content predicts the factors of new items and users:

    .. math:: \hat{V}_{new} = K(new, train) (K + \lambda I)^{-1} (V - \bar{v}) + \bar{v}

    Example:
        >>> from recbole_sibrar.model.example import ExampleData
        >>> data = ExampleData()
        >>> model = AttributeMap(data.config("AttributeMap", rank=3), data)
        >>> model.factors["item"].shape
        (9, 3)
    """

    def fit(self, config: FullConfig, dataset: TrainingData) -> None:
        """Compute the factors and carry them to the new entities; see the base class."""
        form = read_key(config, "kernel")
        ridge_weight = read_key(config, "ridge_weight")
        exact_size = read_key(config, "exact_size")
        n_landmarks = read_key(config, "n_landmarks")
        rank = self._rank(config)
        both = latent_factors(self.interactions, rank, self.seed)

        # Known entities keep their factors: content only stands in for missing interactions.
        self.factors: dict[Side, NDArray[np.float32]] = {}
        for side, factors in zip(SIDES, both, strict=True):
            known = self.known(side)
            landmarks = None if len(known) <= exact_size else n_landmarks
            self.factors[side] = self.carry(side, factors[known], form, ridge_weight, landmarks)

    def _rank(self, config: FullConfig) -> int:
        """Rank of the decomposition; the default is lowered for few users or items."""
        rank: int = read_key(config, "rank")
        fewest: int = min(self.interactions.shape) - 1  # without padding
        if not is_given(config, "rank"):
            # The whole rank would repeat the interactions: other scores are errors of rounding.
            return min(rank, max(1, fewest // 2))

        if rank > fewest:
            allowed = f"at most {fewest}, the smaller of the numbers of users and items"
            refuse("rank", rank, allowed)
        return rank

    def score(self, users: NDArray[np.int64]) -> NDArray[np.floating[Any]]:
        """Score all items for some users; see the base class."""
        return np.asarray(self.factors["user"][users] @ self.factors["item"].T)
