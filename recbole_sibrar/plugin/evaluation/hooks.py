"""Extensions of RecBole's evaluation: recommendation lists, groups, results of users, undefined metrics."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from logging import getLogger
from types import SimpleNamespace
from typing import Any

import numpy as np
from recbole.evaluator import register as registry
from recbole.utils import EvaluatorType

from recbole_sibrar.config import ConfigError, EvaluationConfig, evaluation_config
from recbole_sibrar.data.dataloader import items_of
from recbole_sibrar.evaluator.breakdown import group_results, per_user_results, save_per_user, table
from recbole_sibrar.evaluator.groups import Group, find_groups
from recbole_sibrar.evaluator.lists import ListCollector, TrainingKnowledge
from recbole_sibrar.evaluator.metrics import METRICS, NEED
from recbole_sibrar.evaluator.ranking import collect_batch, find_best, needs_best
from recbole_sibrar.evaluator.requirements import check_evaluation, check_training
from recbole_sibrar.evaluator.stand_ins import stand_in_warnings
from recbole_sibrar.files import check_writable
from recbole_sibrar.parallel import processes

_UNDEFINED = {
    EvaluatorType.RANKING: "it is not defined for these recommendations",
    EvaluatorType.VALUE: "the labels are all alike, or a score is no number",
}
"""Why a metric of RecBole's can be NaN."""

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


def prepare(loader: Any, phase: str, knowledge: TrainingKnowledge) -> None:
    """Give an evaluation loader what the metrics need to know beside the recommendations.

    Args:
        loader: RecBole's loader.
        phase: ``valid`` or ``test``; groups and users are reported for the test.
        knowledge: What training knows.
    """
    groups = _read_fields(loader.config, knowledge) if phase == "test" else []
    loader.evaluation = SimpleNamespace(phase=phase, knowledge=knowledge, groups=groups)


def _read_fields(config: Any, knowledge: TrainingKnowledge) -> list[Group]:
    """Read the fields of users and items that the evaluation will need: a wrong one is found before training.

    Returns:
        The groups that get results of their own.

    Raises:
        ConfigError: A metric's key is not set.
        DataError: A field does not exist or has the wrong type.
    """
    for metric in METRICS:
        if metric.__name__.lower() in {asked.lower() for asked in config["metrics"]}:
            metric(config).read(knowledge)
    return find_groups(knowledge, evaluation_config(config).groups)


def fit(original: Any, trainer: Any, train_data: Any, *args: Any, **kwargs: Any) -> Any:
    """Train as RecBole does; check first what the data lack."""
    check_training(trainer.config, train_data, args[0] if args else kwargs.get("valid_data"))
    return original(trainer, train_data, *args, **kwargs)


def evaluate(original: Any, trainer: Any, eval_data: Any, *args: Any, **kwargs: Any) -> Any:
    """Evaluate as RecBole does, and report what our keys ask for."""
    if not eval_data:
        return original(trainer, eval_data, *args, **kwargs)
    check_evaluation(trainer.config, eval_data)
    settings = evaluation_config(trainer.config)
    known = getattr(eval_data, "evaluation", None)
    collector = trainer.eval_collector
    collector.lists = None
    # RecBole's metrics keep RecBole's values where RecBole alone can evaluate
    collector.empty_places = known is not None and (settings.cold_start is not None or settings.candidates == "split")
    if known is None:
        _refuse_unprepared(trainer)
        return original(trainer, eval_data, *args, **kwargs)
    report = bool(settings.groups or settings.save_per_user) and known.phase == "test"
    if settings.save_per_user and not report and processes.is_main(trainer.config):
        # in the first validation, not after all of the training
        check_writable(settings.save_per_user, "save_per_user")
    if not _has_training_data(collector):
        collector.data_collect(SimpleNamespace(dataset=known.knowledge.dataset))
    if report or collector.register.need(NEED):
        collector.lists = _list_collector(trainer.config, eval_data, known.knowledge)
    trainer.evaluator.struct = None
    result = original(trainer, eval_data, *args, **kwargs)
    struct, trainer.evaluator.struct, collector.lists = trainer.evaluator.struct, None, None
    _explain_undefined(trainer, result, known.phase)
    if known.phase == "test" and processes.is_main(trainer.config):
        _warn_once(trainer, stand_in_warnings(trainer.model, eval_data))
    if report and processes.is_main(trainer.config):
        _report(trainer, settings, known.groups, struct, result)
    return processes.broadcast(trainer.config, result) if report else result


def _refuse_unprepared(trainer: Any) -> None:
    """Refuse what needs the training data, for a loader that does not know them.

    Raises:
        ConfigError: A metric, or a key, asks for it.
    """
    needy = [metric for metric in trainer.config["metrics"] if NEED in registry.metric_information[metric.lower()]]
    for key, value in (
        ("metrics", needy),
        *((key, trainer.config[key]) for key in ("eval_groups", "save_per_user")),
    ):
        if value:
            raise ConfigError(
                f"{key}: found {value}, which needs the training data; "
                "make the loaders with recbole.data.data_preparation(config, dataset)"
            )


def _has_training_data(collector: Any) -> bool:
    """Whether RecBole's collector has what its own metrics need of the training data, which only training gives it."""
    needed = ("data.num_items", "data.num_users", "data.count_items", "data.count_users")
    return all(key in collector.data_struct for key in needed if collector.register.need(key))


def _list_collector(config: Any, loader: Any, knowledge: TrainingKnowledge) -> ListCollector:
    everything = np.arange(knowledge.dataset.item_num) > 0
    mask = items_of(loader._dataset) if evaluation_config(config).candidates == "split" else everything
    asked = {metric.lower() for metric in config["metrics"]}
    return ListCollector(knowledge, mask, config["USER_ID_FIELD"], "poprsp" in asked)


def eval_batch_collect(
    original: Any, collector: Any, scores_tensor: Any, interaction: Any, positive_u: Any, positive_i: Any
) -> None:
    """Collect a batch, with the best items found once for RecBole's metrics and ours."""
    lists, top = getattr(collector, "lists", None), None
    if lists is not None or needs_best(collector):
        top = find_best(scores_tensor, max(collector.topk), getattr(collector, "empty_places", False))
    collect_batch(original, collector, scores_tensor, interaction, positive_u, positive_i, top)
    if lists is not None:
        lists.add(scores_tensor, top, interaction, positive_u, positive_i)


def get_data_struct(original: Any, collector: Any) -> Any:
    """Return the collected data, with the recommendation lists where metrics need them."""
    struct = original(collector)
    if getattr(collector, "lists", None) is not None and collector.lists.gather(collector.config):
        struct.set(NEED, collector.lists.lists())
    return struct


def keep_struct(original: Any, evaluator: Any, dataobject: Any) -> Any:
    """Compute the metrics, and keep the data for the metrics of groups and users."""
    evaluator.struct = dataobject
    return original(evaluator, dataobject)


def _explain_undefined(trainer: Any, result: dict[str, float], phase: str) -> None:
    """Say once why a metric is NaN; refuse to choose the best epoch by such a metric.

    Raises:
        ConfigError: The validation metric is undefined.
    """
    said: set[str] = trainer.__dict__.setdefault("undefined_metrics", set())
    unsaid: dict[str, list[str]] = {}
    for key, value in result.items():
        if not math.isnan(value):
            continue
        metric = registry.metrics_dict.get(key.split("@")[0])
        reason = getattr(metric, "undefined", _UNDEFINED[trainer.config["eval_type"]])
        if phase == "valid" and key == trainer.config["valid_metric"].lower():
            raise ConfigError(f"valid_metric: found {key}, which is undefined in this validation: {reason}")
        if key not in said:
            said.add(key)
            unsaid.setdefault(reason, []).append(key)
    for reason, keys in unsaid.items():
        getLogger().warning(f"undefined here: {', '.join(keys)}: {reason}")


def _warn_once(trainer: Any, warnings: Iterable[str]) -> None:
    """Log what this trainer has not logged before."""
    said: set[str] = trainer.__dict__.setdefault("warnings_given", set())
    for warning in warnings:
        if warning not in said:
            getLogger().warning(warning)
            said.add(warning)


def _report(
    trainer: Any, settings: EvaluationConfig, groups: Sequence[Group], struct: Any, result: dict[str, float]
) -> None:
    """Add the results of groups to the overall result, and write those of each user."""
    metrics = trainer.evaluator.metric_class
    if groups:
        overall = dict(result)
        topk, decimal_place = trainer.config["topk"], trainer.config["metric_decimal_place"]
        found, absent = group_results(metrics, struct, groups, topk, decimal_place)
        for label, (_, values) in found.items():
            result.update({f"{key}[{label}]": value for key, value in values.items()})
        getLogger().info("results by group\n" + table(overall, found, len(struct.get(NEED).users)))
        if absent:
            getLogger().info(f"groups without a test user: {', '.join(absent)}")
    if settings.save_per_user:
        save_per_user(per_user_results(metrics, struct), settings.save_per_user)
