"""Metrics of accuracy that RecBole lacks."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from recbole_sibrar.evaluator.lists import RecommendationLists
from recbole_sibrar.evaluator.metrics.base import UserListMetric


class F1(UserListMetric):
    r"""Harmonic mean of precision and recall of each user (van Rijsbergen 1979).

    .. math:: F1@k = \frac{1}{|U|} \sum_u \frac{2 |L_u \cap P_u|}{k + |P_u|}

    with the held-out items :math:`P_u`.

    Args:
        config: RecBole's ``Config``.

    Example:
        >>> from recbole_sibrar.evaluator.metrics.example import CONFIG, example_lists
        >>> round(F1(CONFIG).measure(example_lists(), k=2), 4)
        0.6111
    """

    def measure_users(self, lists: RecommendationLists, k: int) -> NDArray[Any]:
        """Compute F1 of each list."""
        n_hits = lists.hits[:, :k].sum(1)
        # The harmonic mean of hits / k and hits / positives, in a form that is 0, not NaN, without
        # hits.
        scores: NDArray[np.float64] = 2 * n_hits / (k + lists.n_positives)
        return scores
