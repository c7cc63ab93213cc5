"""Evaluation beyond RecBole's own metrics."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from recbole_sibrar.evaluator.lists import ListCollector, RecommendationLists, TrainingKnowledge
    from recbole_sibrar.evaluator.metrics import METRICS, ListMetric, UserListMetric

__all__ = [
    "METRICS",
    "ListCollector",
    "ListMetric",
    "RecommendationLists",
    "TrainingKnowledge",
    "UserListMetric",
]

_MODULES = {
    "ListCollector": "lists",
    "RecommendationLists": "lists",
    "TrainingKnowledge": "lists",
    "METRICS": "metrics",
    "ListMetric": "metrics",
    "UserListMetric": "metrics",
}
"""Public name -> its module, imported at the first use to keep the start of commands short."""


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
