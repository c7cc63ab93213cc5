"""Metrics of the popularity of recommended items.

Popularity is the number of training users of an item. Where items are held out as a whole (cold
start by item or both), the popularity of a held-out item is unknown. Such an item counts in no
metric of popularity, neither in the numerator nor in the denominator. Where no recommended item has
a popularity, the metric is NaN and the log says why.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from recbole_sibrar.evaluator import functional
from recbole_sibrar.evaluator.lists import RecommendationLists
from recbole_sibrar.evaluator.metrics.base import ListMetric, UserListMetric

NO_POPULARITY = (
    "the popularity of every recommended item is unknown, because items were held out as a whole"
)
"""Reason for a NaN, for the log."""

NO_PROFILE = "no evaluated user has a training interaction"
"""Reason for a NaN, for the log."""


class ARP(UserListMetric):
    r"""Average recommendation popularity (Yin et al., VLDB 2012).

    See also Abdollahpouri et al., FLAIRS 2019.

    .. math:: ARP@k = \frac{1}{|U|} \sum_u \frac{1}{|L_u|} \sum_{i \in L_u} \phi(i)

    with the number of training users :math:`\phi(i)`.

    Args:
        config: RecBole's ``Config``.

    Example:
        >>> from recbole_sibrar.evaluator.metrics.example import CONFIG, example_lists
        >>> round(ARP(CONFIG).measure(example_lists(), k=2), 4)
        1.3333
    """

    smaller = True
    undefined = NO_POPULARITY

    def measure_users(self, lists: RecommendationLists, k: int) -> NDArray[Any]:
        """Compute the mean popularity of each list."""
        return functional.list_mean(lists.items[:, :k], lists.knowledge.popularity)


class APLT(UserListMetric):
    r"""Average percentage of long-tail items (Abdollahpouri et al., FLAIRS 2019).

    .. math:: APLT@k = \frac{1}{|U|} \sum_u |L_u \cap T| / |L_u|

    with the long tail T: the least popular ``long_tail_ratio`` of the items with training
    interactions. Where no items were held out, items without training interactions are of the tail
    too.

    Args:
        config: RecBole's ``Config``.

    Example:
        >>> from recbole_sibrar.evaluator.metrics.example import CONFIG, example_lists
        >>> round(APLT(CONFIG).measure(example_lists(), k=2), 4)
        0.6667
    """

    undefined = NO_POPULARITY

    def measure_users(self, lists: RecommendationLists, k: int) -> NDArray[Any]:
        """Compute the share of long-tail items in each list."""
        return functional.list_mean(lists.items[:, :k], lists.knowledge.tail)


class ACLT(UserListMetric):
    r"""Average count of long-tail items (Abdollahpouri et al., FLAIRS 2019).

    .. math:: ACLT@k = \frac{1}{|U|} \sum_u |L_u \cap T|

    Args:
        config: RecBole's ``Config``.

    Example:
        >>> from recbole_sibrar.evaluator.metrics.example import CONFIG, example_lists
        >>> round(ACLT(CONFIG).measure(example_lists(), k=2), 4)
        1.3333
    """

    undefined = NO_POPULARITY

    def measure_users(self, lists: RecommendationLists, k: int) -> NDArray[Any]:
        """Count the long-tail items in each list."""
        return functional.list_sum(lists.items[:, :k], lists.knowledge.tail)


class PL(ListMetric):
    r"""Popularity lift from profiles to recommendations (Abdollahpouri et al., RecSys 2020).

    .. math:: PL@k = \frac{GAP_L - GAP_H}{GAP_H}, \quad
        GAP_X = \frac{1}{|U|} \sum_u \frac{1}{|X_u|} \sum_{i \in X_u} \phi(i)

    with the list :math:`L_u` and the training items :math:`H_u` of a user. For the results of a
    group and of a user (``eval_groups``, ``save_per_user``), U is that group or that user.

    Args:
        config: RecBole's ``Config``.

    Example:
        >>> from recbole_sibrar.evaluator.metrics.example import CONFIG, example_lists
        >>> round(PL(CONFIG).measure(example_lists(), k=2), 4)
        -0.2
    """

    smaller = True
    undefined = f"{NO_POPULARITY}, or {NO_PROFILE}"

    def measure_users(self, lists: RecommendationLists, k: int) -> NDArray[Any]:
        """Compute the lift of each user alone."""
        recommended, profile = self._means(lists, k)
        # A user without training interactions has a NaN profile, and so no lift.
        lift: NDArray[np.float64] = (recommended - profile) / profile
        return lift

    def measure(self, lists: RecommendationLists, k: int) -> float:
        """Compute the lift of all users."""
        # Of the means of all users, as in the paper: not the mean of the lifts of single users.
        return functional.popularity_lift(*self._means(lists, k))

    @staticmethod
    def _means(lists: RecommendationLists, k: int) -> tuple[NDArray[Any], NDArray[Any]]:
        popularity = lists.knowledge.popularity
        recommended = functional.list_mean(lists.items[:, :k], popularity)

        history = lists.knowledge.history[lists.users]
        profile = functional.history_mean(history, popularity)
        return recommended, profile


class Novelty(UserListMetric):
    r"""Mean self-information of the recommended items, in bits (Zhou et al., PNAS 2010).

    .. math:: Novelty@k = \frac{1}{|U|} \sum_u \frac{1}{|L_u|}
        \sum_{i \in L_u} -\log_2 \frac{\phi(i)}{|U_{train}|}

    over the items with a training user; the self-information of the others would be infinite.

    Args:
        config: RecBole's ``Config``.

    Example:
        >>> from recbole_sibrar.evaluator.metrics.example import CONFIG, example_lists
        >>> round(Novelty(CONFIG).measure(example_lists(), k=2), 4)
        1.2516
    """

    undefined = "no recommended item has a training interaction"

    def measure_users(self, lists: RecommendationLists, k: int) -> NDArray[Any]:
        """Compute the mean self-information of each list."""
        return functional.list_mean(lists.items[:, :k], lists.knowledge.self_information)
