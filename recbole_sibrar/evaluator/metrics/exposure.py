"""Metrics of exposure: share of the recommended candidates, and its inequality."""

from __future__ import annotations

from recbole_sibrar.evaluator import functional
from recbole_sibrar.evaluator.lists import RecommendationLists
from recbole_sibrar.evaluator.metrics.base import ListMetric


class Coverage(ListMetric):
    r"""Share of the candidates in the union of all lists ([A] section 4.4).

    .. math:: Coverage@k = |\bigcup_u L_u| / |C|

    with the lists :math:`L_u` and the candidates C: the items ranked in this evaluation, without
    RecBole's padding item.

    Args:
        config: RecBole's ``Config``.

    Example:
        >>> from recbole_sibrar.evaluator.metrics.example import CONFIG, example_lists
        >>> round(Coverage(CONFIG).measure(example_lists(), k=2), 4)
        0.8
    """

    def measure(self, lists: RecommendationLists, k: int) -> float:
        """Compute the coverage of the lists of length k."""
        return functional.coverage(lists.items[:, :k], lists.candidates)


class Gini(ListMetric):
    r"""Inequality of the exposure of the candidates.

    See Fleder and Hosanagar, Management Science 2009.

    .. math:: Gini@k = \frac{\sum_j (2j - n - 1) c_j}{n \sum_j c_j}

    with the numbers of recommendations :math:`c_1 \le ... \le c_n` of the n candidates, zeros
    included. 0: equal exposure of all candidates.

    Args:
        config: RecBole's ``Config``.

    Example:
        >>> from recbole_sibrar.evaluator.metrics.example import CONFIG, example_lists
        >>> round(Gini(CONFIG).measure(example_lists(), k=2), 4)
        0.3333
    """

    smaller = True

    def measure(self, lists: RecommendationLists, k: int) -> float:
        """Compute the Gini coefficient of the lists of length k."""
        return functional.gini(lists.items[:, :k], lists.candidates)
