"""Popularity bias as unequal treatment of head and long tail."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from recbole_sibrar.evaluator import functional
from recbole_sibrar.evaluator.lists import RecommendationLists
from recbole_sibrar.evaluator.metrics.base import ListMetric


class PopREO(ListMetric):
    r"""Popularity-based ranking-based equal opportunity (Zhu et al., SIGIR 2020).

    It is the popularity bias in true positives.

    .. math:: PopREO@k = \frac{std_g(p_g)}{mean_g(p_g)}, \quad
        p_g = \frac{\sum_u |L_u \cap P_u \cap g|}{\sum_u |P_u \cap g|}

    over the groups g of head and long tail, with the held-out items :math:`P_u`. 0: relevant
    items of both are found equally often.

    Args:
        config: RecBole's ``Config``.

    Example:
        >>> from recbole_sibrar.evaluator.metrics.example import CONFIG, example_lists
        >>> round(PopREO(CONFIG).measure(example_lists(), k=2), 4)
        0.3333
    """

    smaller = True
    undefined = "head or tail have no held-out interaction, or none was found"

    def measure(self, lists: RecommendationLists, k: int) -> float:
        """Compute the disparity of the recall of head and tail."""
        tail = lists.knowledge.tail
        hit_items = lists.items[:, :k][lists.hits[:, :k]]
        found = tail[hit_items]
        held_out = tail[lists.distinct_positives]
        return functional.group_disparity(_halves(found), _halves(held_out))


class PopRSP(ListMetric):
    r"""Popularity-based ranking-based statistical parity (Zhu et al., SIGIR 2020).

    It is the popularity bias in exposure.

    .. math:: PopRSP@k = \frac{std_g(p_g)}{mean_g(p_g)}, \quad
        p_g = \frac{\sum_u |L_u \cap g|}{\sum_u |C_u \cap g|}

    over the groups g of head and long tail, with the items :math:`C_u` ranked for a user. 0: items
    of both are recommended equally often.

    Args:
        config: RecBole's ``Config``.

    Example:
        >>> from recbole_sibrar.evaluator.metrics.example import CONFIG, example_lists
        >>> round(PopRSP(CONFIG).measure(example_lists(), k=2), 4)
        0.2727
    """

    smaller = True
    undefined = (
        "no item of head or of tail was ranked, or, among the items of a group, it is not defined"
    )

    def measure(self, lists: RecommendationLists, k: int) -> float:
        """Compute the disparity of the exposure of head and tail."""
        if lists.ranked is None:
            return np.nan

        items = lists.items[:, :k]
        recommended = lists.knowledge.tail[items[items > 0]]
        # Sums in float32 lose units above 2 ** 24, which users times items soon reach.
        n_ranked = lists.ranked.sum(0, dtype=np.float64)
        return functional.group_disparity(_halves(recommended), n_ranked)


def _halves(tail: NDArray[Any]) -> NDArray[Any]:
    """Numbers of items of the head and of the tail."""
    # Items of unknown popularity, NaN, count in neither.
    return np.array([(tail == 0).sum(), (tail == 1).sum()])
