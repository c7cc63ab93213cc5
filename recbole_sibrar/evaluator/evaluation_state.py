"""State of the plugin on RecBole's evaluation loaders and collectors, as typed objects."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from recbole.data.dataloader.abstract_dataloader import AbstractDataLoader
from recbole.evaluator import Collector
from recbole.evaluator.collector import DataStruct

from recbole_sibrar.data.views import View
from recbole_sibrar.evaluator.groups import Group
from recbole_sibrar.evaluator.lists import ListCollector, TrainingKnowledge

if TYPE_CHECKING:
    from recbole_sibrar.evaluator.view_collector import ViewCollector

__all__ = [
    "TRAINING_DATA",
    "CollectorState",
    "EvaluationState",
    "collector_state",
    "evaluation_state",
    "fork",
    "set_evaluation_state",
]

TRAINING_DATA = ("data.num_items", "data.num_users", "data.count_items", "data.count_users")
"""Data of RecBole's collector that only training provides."""

_ATTRIBUTE = "sibrar"


@dataclass(frozen=True)
class EvaluationState:
    """Knowledge of an evaluation loader beside its rows."""

    phase: str
    """``valid`` or ``test``."""
    knowledge: TrainingKnowledge
    """Training data as metrics need them."""
    groups: list[Group] = field(default_factory=list)
    """Groups with results of their own."""
    views: list[tuple[View, TrainingKnowledge]] = field(default_factory=list)
    """Views of a mixed evaluation, each with the training data as its metrics need them."""


@dataclass
class CollectorState:
    """State of RecBole's collector during one evaluation."""

    lists: ListCollector | None = None
    """Recommendation lists, where metrics or reports need them."""
    empty_places: bool = False
    """True for lists that may have places without a recommendation."""
    struct: Any = None
    """Collected data of the evaluation, for metrics of groups and users."""
    views: list[ViewCollector] = field(default_factory=list)
    """Collectors of the views of a mixed evaluation."""
    view_structs: dict[str, DataStruct] = field(default_factory=dict)
    """Name of each view -> its collected data."""


def evaluation_state(loader: AbstractDataLoader) -> EvaluationState | None:
    """Return the state of an evaluation loader; None for a loader made by hand."""
    return getattr(loader, _ATTRIBUTE, None)


def set_evaluation_state(loader: AbstractDataLoader, state: EvaluationState) -> None:
    """Set the state of an evaluation loader."""
    setattr(loader, _ATTRIBUTE, state)


def collector_state(collector: Collector) -> CollectorState:
    """Return the state of a collector, which is made at the first call."""
    state: CollectorState = collector.__dict__.setdefault(_ATTRIBUTE, CollectorState())
    return state


def fork(collector: Collector) -> Collector:
    """Copy a collector with its training data alone, and with a state of its own."""
    # A shallow copy shares its attributes: what an evaluation fills is replaced.
    own: Collector = copy.copy(collector)
    own.data_struct = DataStruct()
    # RecBole collects the training data once, before the first evaluation.
    for key in TRAINING_DATA:
        if key in collector.data_struct:
            own.data_struct.set(key, collector.data_struct.get(key))
    setattr(own, _ATTRIBUTE, CollectorState())
    return own
