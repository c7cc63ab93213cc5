"""Beyond-accuracy metrics in RecBole's form: requested in ``metrics:`` like any of RecBole's own.

One family of metrics a file. To add a metric, write its class in the file of its family and add it
to :data:`METRICS`.
"""

from recbole_sibrar.evaluator.metrics.accuracy import F1
from recbole_sibrar.evaluator.metrics.base import NEED, ListMetric, UserListMetric
from recbole_sibrar.evaluator.metrics.content import ILD, UserCalibration
from recbole_sibrar.evaluator.metrics.exposure import Coverage, Gini
from recbole_sibrar.evaluator.metrics.fairness import PopREO, PopRSP
from recbole_sibrar.evaluator.metrics.popularity import ACLT, APLT, ARP, PL, Novelty

__all__ = [
    "ACLT",
    "APLT",
    "ARP",
    "F1",
    "ILD",
    "METRICS",
    "NEED",
    "PL",
    "Coverage",
    "Gini",
    "ListMetric",
    "Novelty",
    "PopREO",
    "PopRSP",
    "UserCalibration",
    "UserListMetric",
]

METRICS = (Coverage, Gini, ARP, APLT, ACLT, PL, PopREO, PopRSP, Novelty, ILD, UserCalibration, F1)
"""All metrics, in the order of their registration."""
