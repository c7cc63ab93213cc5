"""Extensions of RecBole's evaluation: recommendation lists, groups, users, undefined metrics."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from logging import getLogger
from types import SimpleNamespace
from typing import Any

from numpy.typing import NDArray
from recbole.config import Config
from recbole.data.dataloader.abstract_dataloader import AbstractDataLoader
from recbole.data.interaction import Interaction
from recbole.evaluator import Collector
from recbole.evaluator import register as registry
from recbole.evaluator.collector import DataStruct
from recbole.trainer import Trainer
from recbole.utils import EvaluatorType
from torch import Tensor

from recbole_sibrar.config import ConfigError, EvaluationConfig, evaluation_config, has_views
from recbole_sibrar.data.dataloader import candidates_of
from recbole_sibrar.data.views import View
from recbole_sibrar.evaluator.breakdown import group_results, per_user_results, save_per_user, table
from recbole_sibrar.evaluator.groups import Group, find_groups
from recbole_sibrar.evaluator.lists import ListCollector, TrainingKnowledge
from recbole_sibrar.evaluator.metrics import NEED, ListMetric
from recbole_sibrar.evaluator.ranking import collect_batch, find_best, needs_best
from recbole_sibrar.evaluator.requirements import check_evaluation, check_training
from recbole_sibrar.evaluator.stand_ins import stand_in_warnings
from recbole_sibrar.evaluator.view_collector import ViewCollector
from recbole_sibrar.files import check_writable
from recbole_sibrar.names import without_view
from recbole_sibrar.parallel import processes
from recbole_sibrar.plugin.evaluation import views
from recbole_sibrar.plugin.state import (
    TRAINING_DATA,
    EvaluationState,
    collector_state,
    evaluation_state,
    set_evaluation_state,
    training_state,
)
from recbole_sibrar.protocols import LoaderLike

_UNDEFINED = {
    EvaluatorType.RANKING: "it is not defined for these recommendations",
    EvaluatorType.VALUE: "the labels are all alike, or a score is no number",
}
"""Reasons for a metric of RecBole to be NaN."""


def prepare(
    loader: AbstractDataLoader,
    phase: str,
    knowledge: TrainingKnowledge,
    own_views: Sequence[tuple[View, TrainingKnowledge]] = (),
) -> None:
    """Give an evaluation loader the knowledge that metrics need beside the recommendations.

    Args:
        loader: RecBole's loader.
        phase: ``valid`` or ``test``; groups and users are reported for the test.
        knowledge: Training data as metrics need them.
        own_views: Views of a mixed evaluation, with their training data.
    """
    groups = _read_fields(loader.config, knowledge) if phase == "test" else []
    state = EvaluationState(phase, knowledge, groups, list(own_views))
    set_evaluation_state(loader, state)


def _read_fields(config: Config, knowledge: TrainingKnowledge) -> list[Group]:
    """Read the fields of users and items that the evaluation needs.

    Returns:
        Groups with results of their own.

    Raises:
        ConfigError: A metric's key is not set.
        DataError: A field does not exist or has the wrong type.
    """
    # a wrong field fails here, before training
    metrics = [registry.metrics_dict[name.lower()] for name in config["metrics"]]
    for metric in dict.fromkeys(metrics):
        if issubclass(metric, ListMetric):
            metric(config).read(knowledge)
    return find_groups(knowledge, evaluation_config(config).groups)


def fit(
    original: Callable[..., Any],
    trainer: Trainer,
    train_data: LoaderLike,
    *args: Any,
    **kwargs: Any,
) -> Any:
    """Check the labels of the data, then train as RecBole does."""
    valid_data = args[0] if args else kwargs.get("valid_data")
    check_training(trainer.config, train_data, valid_data)
    return original(trainer, train_data, *args, **kwargs)


def evaluate(
    original: Callable[..., Any],
    trainer: Trainer,
    eval_data: LoaderLike | None,
    *args: object,
    **kwargs: object,
) -> Any:
    """Evaluate as RecBole does, and report the further results of our keys."""
    if not eval_data:
        return original(trainer, eval_data, *args, **kwargs)

    config = trainer.config
    check_evaluation(config, eval_data)
    known = evaluation_state(eval_data)
    state = collector_state(trainer.eval_collector)
    settings = evaluation_config(config)
    state.lists = None
    state.views = []
    # RecBole's metrics keep RecBole's values where RecBole alone can evaluate
    is_own_ranking = settings.cold_start is not None or settings.candidates == "split"
    state.empty_places = known is not None and is_own_ranking
    if known is None:
        _refuse_unprepared(trainer)
        return original(trainer, eval_data, *args, **kwargs)

    is_test = known.phase == "test"
    report = is_test and bool(settings.groups or settings.save_per_user or known.views)
    _prepare_collector(trainer, eval_data, known, report)
    result = original(trainer, eval_data, *args, **kwargs)

    # out of the state, which would keep the lists of all users until the next evaluation
    struct = state.struct
    view_structs = state.view_structs
    state.struct = None
    state.lists = None
    state.views = []
    state.view_structs = {}
    if known.views:
        views.add_results(trainer, view_structs, result)

    _explain_undefined(trainer, result, known.phase)
    is_main = processes.is_main(config)
    if is_test and is_main:
        _warn_once(trainer, stand_in_warnings(trainer.model, eval_data))
    if not report:
        return result

    if is_main:
        if known.views:
            views.log_results(view_structs, struct, result)
        _report(trainer, settings, known.groups, struct, view_structs, result)
    # the other processes have no results of groups
    return processes.broadcast(config, result)


def _prepare_collector(
    trainer: Trainer,
    eval_data: LoaderLike | None,
    known: EvaluationState,
    report: bool,
) -> None:
    """Prepare RecBole's collector for one evaluation.

    Args:
        trainer: RecBole's trainer.
        eval_data: Loader of the evaluated part.
        known: State of the loader.
        report: True for results of groups or users.
    """
    settings = evaluation_config(trainer.config)
    collector = trainer.eval_collector
    if settings.save_per_user and not report and processes.is_main(trainer.config):
        # in the first validation, so that a wrong path does not fail after all of the training
        check_writable(settings.save_per_user, "save_per_user")

    # RecBole's metrics read it, and RecBole collects it in training alone
    if not _has_training_data(collector):
        collector.data_collect(SimpleNamespace(dataset=known.knowledge.dataset))

    state = collector_state(collector)
    state.struct = None
    with_lists = report or collector.register.need(NEED)
    if with_lists:
        candidates = candidates_of(eval_data, settings.candidates)
        state.lists = _list_collector(trainer.config, candidates, known.knowledge)
    for view, knowledge in known.views:
        lists = None
        if with_lists:
            lists = _list_collector(trainer.config, view.candidates, knowledge)
        state.views.append(ViewCollector(view, collector, lists))


def _refuse_unprepared(trainer: Trainer) -> None:
    """Refuse metrics and keys that need the training data, for a loader made by hand.

    Raises:
        ConfigError: A metric, or a key, asks for it.
    """
    needy = []
    for metric in trainer.config["metrics"]:
        if NEED in registry.metric_information[metric.lower()]:
            needy.append(metric)

    config = trainer.config
    found = {
        "metrics": needy,
        "eval_args: split": config["eval_args"]["split"] if has_views(config) else None,
        "eval_groups": config["eval_groups"],
        "save_per_user": config["save_per_user"],
    }
    for key, value in found.items():
        if value:
            raise ConfigError(
                f"{key}: found {value}, which needs the training data; "
                "make the loaders with recbole.data.data_preparation(config, dataset)"
            )


def _has_training_data(collector: Collector) -> bool:
    """Tell whether RecBole's collector has the training data of its own metrics."""
    needed = [key for key in TRAINING_DATA if collector.register.need(key)]
    return all(key in collector.data_struct for key in needed)


def _list_collector(
    config: Config, candidates: NDArray[Any], knowledge: TrainingKnowledge
) -> ListCollector:
    asked = {metric.lower() for metric in config["metrics"]}
    return ListCollector(knowledge, candidates, config["USER_ID_FIELD"], "poprsp" in asked)


def eval_batch_collect(
    original: Callable[..., None],
    collector: Collector,
    scores_tensor: Tensor,
    interaction: Interaction,
    positive_u: Tensor,
    positive_i: Tensor,
) -> None:
    """Collect a batch; the best items are found once for RecBole's metrics and ours."""
    state = collector_state(collector)
    top = None
    if state.lists is not None or needs_best(collector):
        top = find_best(scores_tensor, max(collector.topk), state.empty_places)

    collect_batch(original, collector, scores_tensor, interaction, positive_u, positive_i, top)
    if state.lists is not None and top is not None:
        state.lists.add(scores_tensor, top, interaction, positive_u, positive_i)
    for view in state.views:
        view.add(original, scores_tensor, interaction, positive_u, positive_i)


def get_data_struct(original: Callable[..., Any], collector: Collector) -> Any:
    """Return the collected data, with recommendation lists where metrics need them."""
    state = collector_state(collector)
    struct = original(collector)
    # rank 0 alone has the lists of all processes
    if state.lists is not None and state.lists.gather(collector.config):
        struct.set(NEED, state.lists.lists())
    state.struct = struct
    state.view_structs = {view.name: view.struct() for view in state.views}
    return struct


def _explain_undefined(trainer: Trainer, result: dict[str, float], phase: str) -> None:
    """Log once the reason for a metric that is NaN, and refuse such a validation metric.

    Raises:
        ConfigError: The validation metric is undefined.
    """
    said = training_state(trainer).undefined_metrics
    unsaid: dict[str, list[str]] = {}
    for key, value in result.items():
        if not math.isnan(value):
            continue

        name = without_view(key)[0].split("@")[0]
        metric = registry.metrics_dict.get(name)
        reason = getattr(metric, "undefined", _UNDEFINED[trainer.config["eval_type"]])
        # no epoch would ever be the best: NaN compares false
        if phase == "valid" and key == trainer.config["valid_metric"].lower():
            raise ConfigError(
                f"valid_metric: found {key}, which is undefined in this validation: {reason}"
            )
        if key not in said:
            said.add(key)
            unsaid.setdefault(reason, []).append(key)
    for reason, keys in unsaid.items():
        getLogger().warning(f"undefined here: {', '.join(keys)}: {reason}")


def _warn_once(trainer: Trainer, warnings: Iterable[str]) -> None:
    """Log the warnings new to this trainer."""
    said = training_state(trainer).warnings
    for warning in warnings:
        if warning not in said:
            getLogger().warning(warning)
            said.add(warning)


def _report(
    trainer: Trainer,
    settings: EvaluationConfig,
    groups: Sequence[Group],
    struct: DataStruct,
    view_structs: Mapping[str, DataStruct],
    result: dict[str, float],
) -> None:
    """Add the results of groups to the overall result, and write those of each user."""
    metrics = trainer.evaluator.metric_class
    if groups:
        # before the results of groups are added
        overall = {metric: value for metric, value in result.items() if not without_view(metric)[1]}
        topk = trainer.config["topk"]
        decimal_place = trainer.config["metric_decimal_place"]
        found, absent = group_results(metrics, struct, groups, topk, decimal_place)
        for label, (_, values) in found.items():
            for key, value in values.items():
                result[f"{key}[{label}]"] = value
        n_users = len(struct.get(NEED).users)
        getLogger().info("results by group\n" + table(overall, found, n_users))
        if absent:
            getLogger().info(f"groups without a test user: {', '.join(absent)}")
    if settings.save_per_user:
        users = per_user_results(metrics, struct)
        users = views.add_user_results(users, metrics, view_structs)
        save_per_user(users, settings.save_per_user)
