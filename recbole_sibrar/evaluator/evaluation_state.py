"""State of the plugin on RecBole's evaluation loaders and collectors, as typed objects."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from recbole_sibrar.evaluator.groups import Group
from recbole_sibrar.evaluator.lists import ListCollector, TrainingKnowledge

__all__ = ["CollectorState", "EvaluationState", "collector_state", "evaluation_state", "set_evaluation_state"]

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


@dataclass
class CollectorState:
    """State of RecBole's collector during one evaluation."""

    lists: ListCollector | None = None
    """Recommendation lists, where metrics or reports need them."""
    empty_places: bool = False
    """Whether lists may have places without a recommendation."""
    struct: Any = None
    """Collected data of the evaluation, for metrics of groups and users."""


def evaluation_state(loader: Any) -> EvaluationState | None:
    """Return the state of an evaluation loader; None for a loader made by hand."""
    return getattr(loader, _ATTRIBUTE, None)


def set_evaluation_state(loader: Any, state: EvaluationState) -> None:
    """Set the state of an evaluation loader."""
    setattr(loader, _ATTRIBUTE, state)


def collector_state(collector: Any) -> CollectorState:
    """Return the state of a collector, which is made at the first call."""
    state: CollectorState = collector.__dict__.setdefault(_ATTRIBUTE, CollectorState())
    return state
