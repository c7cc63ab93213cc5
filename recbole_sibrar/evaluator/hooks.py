"""What RecBole's trainer, collector and evaluator do in addition: lists, groups, users, and what is undefined."""

from __future__ import annotations

import math
from collections.abc import Callable
from logging import getLogger
from types import SimpleNamespace
from typing import Any

import numpy as np
from recbole.evaluator import Collector, Evaluator
from recbole.evaluator import register as registry
from recbole.trainer import Trainer

from recbole_sibrar.config import ConfigError, EvaluationConfig, evaluation_config
from recbole_sibrar.evaluator.breakdown import group_results, per_user_results, save_per_user, table
from recbole_sibrar.evaluator.lists import ListCollector, TrainingKnowledge
from recbole_sibrar.evaluator.metrics import METRICS, NEED

Extend = Callable[[Any, str, Callable[..., Any]], None]
"""Replaces a method by one that is called with the original first."""


def register_metrics() -> None:
    """Enter our metrics into RecBole's dictionaries."""
    for metric in METRICS:
        name = metric.__name__.lower()
        registry.metrics_dict[name] = metric
        registry.metric_information[name] = metric.metric_need
        registry.metric_types[name] = metric.metric_type
        if metric.smaller and name not in registry.smaller_metrics:
            registry.smaller_metrics.append(name)


def extend_evaluation(extend: Extend) -> None:
    """Extend RecBole's trainer, collector and evaluator.

    Args:
        extend: Replaces a method by one that is called with the original first.
    """
    extend(Trainer, "evaluate", _evaluate)
    extend(Collector, "eval_batch_collect", _eval_batch_collect)
    extend(Collector, "get_data_struct", _get_data_struct)
    extend(Evaluator, "evaluate", _keep_struct)


def prepare(loader: Any, phase: str, knowledge: TrainingKnowledge) -> None:
    """Give an evaluation loader what the metrics need to know beside the recommendations.

    Args:
        loader: RecBole's loader.
        phase: ``valid`` or ``test``; groups and users are reported for the test.
        knowledge: What training knows.
    """
    loader.evaluation = SimpleNamespace(phase=phase, knowledge=knowledge)


def _evaluate(original: Any, trainer: Any, eval_data: Any, *args: Any, **kwargs: Any) -> Any:
    """Evaluate as RecBole does, and report what our keys ask for."""
    settings = evaluation_config(trainer.config)
    known = getattr(eval_data, "evaluation", None)
    collector = trainer.eval_collector
    report = bool(settings.groups or settings.save_per_user) and known is not None and known.phase == "test"
    if known is not None and not _has_training_data(collector):
        collector.data_collect(SimpleNamespace(dataset=known.knowledge.dataset))
    collector.lists = None
    if report or collector.register.need(NEED):
        if known is None:
            raise ConfigError(
                f"metrics: found {trainer.config['metrics']}, of which some need the training data; "
                "make the loaders with recbole.data.data_preparation(config, dataset)"
            )
        collector.lists = _list_collector(trainer.config, eval_data, known.knowledge)
    trainer.evaluator.struct = None
    result = original(trainer, eval_data, *args, **kwargs)
    struct, trainer.evaluator.struct, collector.lists = trainer.evaluator.struct, None, None
    if result is None:
        return result
    _explain_undefined(trainer, result, known.phase if known else None)
    if report:
        _report(trainer, settings, struct, result)
    return result


def _has_training_data(collector: Any) -> bool:
    """Whether RecBole's collector has what its own metrics need of the training data, which only training gives it."""
    needed = ("data.num_items", "data.num_users", "data.count_items", "data.count_users")
    return all(key in collector.data_struct for key in needed if collector.register.need(key))


def _list_collector(config: Any, loader: Any, knowledge: TrainingKnowledge) -> ListCollector:
    candidates = getattr(loader, "candidates", None)
    mask = np.arange(knowledge.dataset.item_num) > 0 if candidates is None else np.asarray(candidates)
    asked = {metric.lower() for metric in config["metrics"]}
    return ListCollector(knowledge, mask, max(config["topk"]), config["USER_ID_FIELD"], "poprsp" in asked)


def _eval_batch_collect(
    original: Any, collector: Any, scores_tensor: Any, interaction: Any, positive_u: Any, positive_i: Any
) -> None:
    original(collector, scores_tensor, interaction, positive_u, positive_i)
    if getattr(collector, "lists", None) is not None:
        collector.lists.add(scores_tensor, interaction, positive_u, positive_i)


def _get_data_struct(original: Any, collector: Any) -> Any:
    struct = original(collector)
    if getattr(collector, "lists", None) is not None:
        struct.set(NEED, collector.lists.lists())
    return struct


def _keep_struct(original: Any, evaluator: Any, dataobject: Any) -> Any:
    evaluator.struct = dataobject
    return original(evaluator, dataobject)


def _explain_undefined(trainer: Any, result: dict[str, float], phase: str | None) -> None:
    """Say once why a metric is NaN; refuse to choose the best epoch by such a metric.

    Raises:
        ConfigError: The validation metric is undefined.
    """
    said: set[str] = trainer.__dict__.setdefault("undefined_metrics", set())
    for key, value in result.items():
        if not math.isnan(value):
            continue
        metric = registry.metrics_dict[key.split("@")[0]]
        reason = getattr(metric, "undefined", "it is not defined for these recommendations")
        if phase == "valid" and key == trainer.config["valid_metric"].lower():
            raise ConfigError(f"valid_metric: found {key}, which is undefined in this validation: {reason}")
        if key not in said:
            said.add(key)
            getLogger().warning(f"{key} is undefined here: {reason}")


def _report(trainer: Any, settings: EvaluationConfig, struct: Any, result: dict[str, float]) -> None:
    """Add the results of groups to the overall result, and write those of each user."""
    metrics = trainer.evaluator.metric_class
    if settings.groups:
        overall = dict(result)
        groups, absent = group_results(metrics, struct, settings.groups)
        for label, (_, values) in groups.items():
            result.update({f"{key}[{label}]": value for key, value in values.items()})
        getLogger().info("results by group\n" + table(overall, groups, len(struct.get(NEED).users)))
        if absent:
            getLogger().info(f"groups without a test user: {', '.join(absent)}")
    if settings.save_per_user:
        save_per_user(per_user_results(metrics, struct), settings.save_per_user)
