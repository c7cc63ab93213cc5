"""Beyond-accuracy metrics in RecBole's form: requested in ``metrics:`` like any of RecBole's own.

Popularity is the number of training users of an item. Where items are held out as a whole (cold start by item or both)
that of a held-out item is unknown: the item counts in no metric of popularity, neither in the numerator nor in the
denominator, and where no recommended item has a popularity, the metric is NaN and the log says why.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from recbole.evaluator.base_metric import AbstractMetric
from recbole.utils import EvaluatorType

from recbole_sibrar.config import calibration_alpha, named_field
from recbole_sibrar.data.features import FieldValues
from recbole_sibrar.evaluator import functional
from recbole_sibrar.evaluator.lists import RecommendationLists, TrainingKnowledge

NEED = "rec.lists"
"""What our metrics ask RecBole's collector for."""

_NO_POPULARITY = "the popularity of every recommended item is unknown, because items were held out as a whole"
_NO_PROFILE = "no evaluated user has a training interaction"


class ListMetric(AbstractMetric):
    """A metric of the recommendation lists of all users.

    Args:
        config: RecBole's ``Config``.
    """

    metric_type = EvaluatorType.RANKING
    metric_need: ClassVar[list[str]] = [NEED]
    undefined: ClassVar[str] = "nothing was recommended"
    """Why the metric can be NaN."""

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self.topk = config["topk"]

    def read(self, knowledge: TrainingKnowledge) -> Any:
        """Read what the metric needs beside interactions; called before training, that wrong keys are found early.

        Raises:
            DataError: A field does not exist or has the wrong type.
        """

    def measure(self, lists: RecommendationLists, k: int) -> float:
        """The metric for lists of length k; NaN where it is undefined."""
        raise NotImplementedError

    def calculate_metric(self, dataobject: Any) -> dict[str, float]:
        """RecBole's entry: the value for each k of ``topk``, rounded as all of RecBole's are.

        Args:
            dataobject: RecBole's ``DataStruct``.
        """
        lists = dataobject.get(NEED)
        name = type(self).__name__.lower()
        return {f"{name}@{k}": round(float(self.measure(lists, k)), self.decimal_place) for k in self.topk}


class UserListMetric(ListMetric):
    """A metric that is the mean of a value of each user, over the users for whom it is defined."""

    def measure_users(self, lists: RecommendationLists, k: int) -> np.ndarray:
        """float ``[n_users]``, NaN where undefined."""
        raise NotImplementedError

    def measure(self, lists: RecommendationLists, k: int) -> float:
        """The mean over users."""
        values = self.measure_users(lists, k)
        return float(np.nanmean(values)) if not np.isnan(values).all() else np.nan


class Coverage(ListMetric):
    r"""Share of the candidates that are recommended to anyone ([A] section 4.4).

    .. math:: Coverage@k = |\bigcup_u L_u| / |C|

    with the candidates C: the items that could be recommended in this evaluation, without RecBole's padding item.
    """

    def measure(self, lists: RecommendationLists, k: int) -> float:
        """Coverage of the lists of length k."""
        return functional.coverage(lists.items[:, :k], lists.candidates)


class Gini(ListMetric):
    r"""Inequality of the exposure of the candidates (Fleder and Hosanagar, Management Science 2009).

    .. math:: Gini@k = \frac{\sum_j (2j - n - 1) c_j}{n \sum_j c_j}

    with the numbers of recommendations :math:`c_1 \le ... \le c_n` of the n candidates, zeros included.
    """

    smaller = True

    def measure(self, lists: RecommendationLists, k: int) -> float:
        """Gini coefficient of the lists of length k."""
        return functional.gini(lists.items[:, :k], lists.candidates)


class ARP(UserListMetric):
    r"""Average recommendation popularity (Yin et al., VLDB 2012; Abdollahpouri et al., FLAIRS 2019).

    .. math:: ARP@k = \frac{1}{|U|} \sum_u \frac{1}{|L_u|} \sum_{i \in L_u} \phi(i)

    with the number of training users :math:`\phi(i)`.
    """

    smaller = True
    undefined = _NO_POPULARITY

    def measure_users(self, lists: RecommendationLists, k: int) -> np.ndarray:
        """Mean popularity of each list."""
        return functional.list_mean(lists.items[:, :k], lists.knowledge.popularity)


class APLT(UserListMetric):
    r"""Average percentage of long-tail items (Abdollahpouri et al., FLAIRS 2019).

    .. math:: APLT@k = \frac{1}{|U|} \sum_u |L_u \cap T| / |L_u|

    with the long tail T: the ``long_tail_ratio`` of the items with training interactions that are least popular, and,
    where no items were held out, those without any.
    """

    undefined = _NO_POPULARITY

    def measure_users(self, lists: RecommendationLists, k: int) -> np.ndarray:
        """Share of long-tail items in each list."""
        return functional.list_mean(lists.items[:, :k], lists.knowledge.tail)


class ACLT(UserListMetric):
    r"""Average count of long-tail items (Abdollahpouri et al., FLAIRS 2019).

    .. math:: ACLT@k = \frac{1}{|U|} \sum_u |L_u \cap T|
    """

    undefined = _NO_POPULARITY

    def measure_users(self, lists: RecommendationLists, k: int) -> np.ndarray:
        """Number of long-tail items in each list."""
        return functional.list_sum(lists.items[:, :k], lists.knowledge.tail)


class PL(ListMetric):
    r"""Popularity lift: how much more popular recommendations are than profiles (Abdollahpouri et al., RecSys 2020).

    .. math:: PL@k = \frac{GAP_L - GAP_H}{GAP_H}, \quad
        GAP_X = \frac{1}{|U|} \sum_u \frac{1}{|X_u|} \sum_{i \in X_u} \phi(i)

    with the list :math:`L_u` and the training items :math:`H_u` of a user. For the results of a group and of a
    user (``eval_groups``, ``save_per_user``), U is that group or that user.
    """

    smaller = True
    undefined = f"{_NO_POPULARITY}, or {_NO_PROFILE}"

    def measure_users(self, lists: RecommendationLists, k: int) -> np.ndarray:
        """The lift of each user alone."""
        recommended, profile = self._means(lists, k)
        return (recommended - profile) / profile

    def measure(self, lists: RecommendationLists, k: int) -> float:
        """The lift of all users."""
        return functional.popularity_lift(*self._means(lists, k))

    @staticmethod
    def _means(lists: RecommendationLists, k: int) -> tuple[np.ndarray, np.ndarray]:
        popularity = lists.knowledge.popularity
        history = lists.knowledge.history[lists.users]
        return functional.list_mean(lists.items[:, :k], popularity), functional.history_mean(history, popularity)


class PopREO(ListMetric):
    r"""Popularity-based ranking-based equal opportunity (Zhu et al., SIGIR 2020): bias in true positives.

    .. math:: PopREO@k = \frac{std_g(p_g)}{mean_g(p_g)}, \quad
        p_g = \frac{\sum_u |L_u \cap P_u \cap g|}{\sum_u |P_u \cap g|}

    over the groups g of head and long tail, with the held-out items :math:`P_u`. 0 means that relevant
    items of both are found equally often.
    """

    smaller = True
    undefined = "head or tail have no held-out interaction, or none was found"

    def measure(self, lists: RecommendationLists, k: int) -> float:
        """Disparity of the recall of head and tail."""
        tail = lists.knowledge.tail
        found = tail[lists.items[:, :k][lists.hits[:, :k]]]
        held_out = tail[lists.distinct_positives]
        return functional.group_disparity(_halves(found), _halves(held_out))


class PopRSP(ListMetric):
    r"""Popularity-based ranking-based statistical parity (Zhu et al., SIGIR 2020): bias in exposure.

    .. math:: PopRSP@k = \frac{std_g(p_g)}{mean_g(p_g)}, \quad
        p_g = \frac{\sum_u |L_u \cap g|}{\sum_u |C_u \cap g|}

    over the groups g of head and long tail, with the items :math:`C_u` that were ranked for a user. 0 means
    that items of both are recommended equally often.
    """

    smaller = True
    undefined = "no item of head or of tail was ranked, or, among the items of a group, it is not defined"

    def measure(self, lists: RecommendationLists, k: int) -> float:
        """Disparity of the exposure of head and tail."""
        if lists.ranked is None:
            return np.nan
        items = lists.items[:, :k]
        return functional.group_disparity(
            _halves(lists.knowledge.tail[items[items > 0]]), lists.ranked.sum(0, dtype=np.float64)
        )


def _halves(tail: np.ndarray) -> np.ndarray:
    """How many of some items are in the head, and how many in the tail."""
    return np.array([(tail == 0).sum(), (tail == 1).sum()])


class Novelty(UserListMetric):
    r"""Mean self-information of the recommended items, in bits (Zhou et al., PNAS 2010).

    .. math:: Novelty@k = \frac{1}{|U|} \sum_u \frac{1}{|L_u|} \sum_{i \in L_u} -\log_2 \frac{\phi(i)}{|U_{train}|}

    over the items that at least one training user has; that of the others would be infinite.
    """

    undefined = "no recommended item has a training interaction"

    def measure_users(self, lists: RecommendationLists, k: int) -> np.ndarray:
        """Mean self-information of each list."""
        return functional.list_mean(lists.items[:, :k], lists.knowledge.self_information)


class ILD(UserListMetric):
    r"""Intra-list distance: how different the recommended items are (Smyth and McClave, ICCBR 2001).

    .. math:: ILD@k = \frac{1}{|U|} \sum_u \frac{1}{|L_u| (|L_u| - 1)} \sum_{i \ne j \in L_u} (1 - \cos(x_i, x_j))

    with the features x of the field ``ild_modality`` of the ``.item`` file: the vector of a ``float_seq`` field, the
    multi-hot vector of a ``token_seq`` or ``token`` field. Items without a value are left out.
    """

    undefined = "no list has two items with a value of the field ild_modality"

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self.field = named_field(config, "ild_modality", "ILD")

    def read(self, knowledge: TrainingKnowledge) -> FieldValues:
        """The field ``ild_modality``."""
        return knowledge.field("item", self.field, ("float_seq", "token_seq", "token"), "ild_modality")

    def measure_users(self, lists: RecommendationLists, k: int) -> np.ndarray:
        """Mean cosine distance of the pairs of each list."""
        directions, available = self.read(lists.knowledge).directions
        return functional.intra_list_distance(lists.items[:, :k], directions, available)


class UserCalibration(UserListMetric):
    r"""Divergence of a list's categories from those of the user's profile, in nats (Steck, RecSys 2018).

    .. math:: C_u = \sum_g p(g|u) \ln \frac{p(g|u)}{(1 - \alpha) q(g|u) + \alpha p(g|u)}

    with the distributions p over the training items and q over the list of the categories of the field
    ``calibration_field``, in which an item with n categories counts 1/n for each, and ``calibration_alpha``.
    0 is perfectly calibrated.
    """

    smaller = True
    undefined = (
        f"{_NO_PROFILE} with a value of the field calibration_field, or none of them got an item with a value of it"
    )

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self.field = named_field(config, "calibration_field", "UserCalibration")
        self.alpha = calibration_alpha(config)

    def read(self, knowledge: TrainingKnowledge) -> FieldValues:
        """The field ``calibration_field``."""
        return knowledge.field("item", self.field, ("token_seq", "token"), "calibration_field")

    def measure_users(self, lists: RecommendationLists, k: int) -> np.ndarray:
        """Divergence of each list."""
        values = self.read(lists.knowledge).matrix
        profile = functional.value_distribution(lists.knowledge.history[lists.users], values)
        weights = functional.list_weights(lists.items[:, :k], values.shape[0])
        return functional.calibration_divergence(profile, functional.value_distribution(weights, values), self.alpha)


class F1(UserListMetric):
    r"""Harmonic mean of precision and recall of each user (van Rijsbergen 1979).

    .. math:: F1@k = \frac{1}{|U|} \sum_u \frac{2 |L_u \cap P_u|}{k + |P_u|}

    with the held-out items :math:`P_u`.
    """

    def measure_users(self, lists: RecommendationLists, k: int) -> np.ndarray:
        """F1 of each list."""
        return 2 * lists.hits[:, :k].sum(1) / (k + lists.n_positives)


METRICS = (Coverage, Gini, ARP, APLT, ACLT, PL, PopREO, PopRSP, Novelty, ILD, UserCalibration, F1)
"""All metrics of this module."""
