"""Metrics of the plugin and of a user's own, entered into RecBole's dictionaries."""

from __future__ import annotations

from recbole.evaluator import register as registry
from recbole.evaluator.base_metric import AbstractMetric

from recbole_sibrar.errors import ConfigError
from recbole_sibrar.evaluator.metrics import METRICS
from recbole_sibrar.plugin.models import check_name

__all__ = ["register_metric", "register_metrics"]


def register_metrics() -> None:
    """Enter the plugin's metrics."""
    for metric in METRICS:
        _enter(metric)


def register_metric(metric: type[AbstractMetric]) -> None:
    """Enter a metric of a user's own.

    Args:
        metric: Class derived from a metric of RecBole or of this plugin.

    Raises:
        ConfigError: RecBole could not use it, or its name belongs to another metric.
    """
    name = metric.__name__
    if not hasattr(metric, "metric_need") or not hasattr(metric, "metric_type"):
        raise ConfigError(
            f"register: found {name} without metric_need or metric_type, which RecBole reads"
        )

    check_name(metric, registry.metrics_dict.get(name.lower()), "metric")
    _enter(metric)


def _enter(metric: type[AbstractMetric]) -> None:
    name = metric.__name__.lower()
    registry.metrics_dict[name] = metric
    registry.metric_information[name] = metric.metric_need
    registry.metric_types[name] = metric.metric_type

    listed = name in registry.smaller_metrics
    if metric.smaller and not listed:
        registry.smaller_metrics.append(name)
    # a class that was defined again, the other way round
    elif listed and not metric.smaller:
        registry.smaller_metrics.remove(name)
