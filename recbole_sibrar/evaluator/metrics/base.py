"""Base classes of the metrics of recommendation lists."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from recbole.evaluator.base_metric import AbstractMetric
from recbole.evaluator.collector import DataStruct
from recbole.utils import EvaluatorType

from recbole_sibrar.data.features import FieldValues
from recbole_sibrar.evaluator.lists import RecommendationLists, TrainingKnowledge
from recbole_sibrar.protocols import ConfigLike

NEED = "rec.lists"
"""Name of the recommendation lists in RecBole's collector."""


class ListMetric(AbstractMetric):
    """A metric of the recommendation lists of all users.

    A subclass implements :meth:`measure`.

    Example:
        >>> from recbole_sibrar.evaluator.metrics.example import CONFIG, example_lists
        >>> class Filled(ListMetric):
        ...     def measure(self, lists, k):
        ...         return float((lists.items[:, :k] > 0).mean())
        >>> Filled(CONFIG).measure(example_lists(), 2)
        1.0

    Args:
        config: RecBole's ``Config``.
    """

    metric_type = EvaluatorType.RANKING
    metric_need: ClassVar[list[str]] = [NEED]
    undefined: ClassVar[str] = "nothing was recommended"
    """Reason for a NaN, for the log."""

    def __init__(self, config: ConfigLike) -> None:
        super().__init__(config)
        self.topk = config["topk"]

    def read(self, knowledge: TrainingKnowledge) -> FieldValues | None:
        """Read the item field of the metric, if it has one.

        Raises:
            DataError: A field does not exist or has the wrong type.
        """
        # Called before training, so that a wrong key does not cost a training.
        return None

    def measure(self, lists: RecommendationLists, k: int) -> float:
        """Compute the metric for lists of length k; NaN where it is undefined."""
        raise NotImplementedError

    def calculate_metric(self, dataobject: DataStruct) -> dict[str, float]:
        """Compute the metric for each k of ``topk``, rounded like RecBole's metrics.

        Args:
            dataobject: RecBole's ``DataStruct``.
        """
        # RecBole's evaluator calls this, and names its own metrics in lower case too.
        lists = dataobject.get(NEED)
        name = type(self).__name__.lower()

        values: dict[str, float] = {}
        for k in self.topk:
            value = float(self.measure(lists, k))
            values[f"{name}@{k}"] = round(value, self.decimal_place)
        return values


class UserListMetric(ListMetric):
    """A metric with a value for each user: it is their mean, without undefined values.

    A subclass implements :meth:`measure_users`.

    Example:
        >>> from recbole_sibrar.evaluator.metrics.example import CONFIG, example_lists
        >>> class Hits(UserListMetric):
        ...     def measure_users(self, lists, k):
        ...         return lists.hits[:, :k].sum(1)
        >>> Hits(CONFIG).measure(example_lists(), 2)
        1.0
    """

    def measure_users(self, lists: RecommendationLists, k: int) -> NDArray[Any]:
        """Compute the value of each user: float ``[n_users]``, NaN where it is undefined."""
        raise NotImplementedError

    def measure(self, lists: RecommendationLists, k: int) -> float:
        """Compute the mean over the users with a value."""
        values = self.measure_users(lists, k)
        # Of NaN alone np.nanmean is NaN too, with a warning.
        if np.isnan(values).all():
            return np.nan
        return float(np.nanmean(values))
