"""State of the plugin on RecBole's trainer, as one typed object."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from recbole.trainer import Trainer

if TYPE_CHECKING:
    import pandas as pd

    from recbole_sibrar.trainer.progress import Progress
    from recbole_sibrar.trainer.restore import Plan

__all__ = ["TrainingState", "training_state"]

_ATTRIBUTE = "sibrar"


@dataclass
class TrainingState:
    """State of one trainer beside RecBole's own."""

    loader: Any = None
    """Training loader of the last call of ``fit``."""
    progress: Progress | None = None
    """Position of the training; None before ``fit``."""
    resumed: dict[str, Any] | None = None
    """State that a checkpoint held, until ``fit`` restores it."""
    plan: Plan | None = None
    """Checkpoint that is resumed, until ``fit`` has compared its data."""
    latest_result: Any = None
    """Result of the latest validation; RecBole notes it as the best one after it has saved the
    checkpoint."""
    written_checkpoint: tuple[str, int, int] | None = None
    """Identity of the checkpoint that this trainer wrote last, see
    ``checkpoint_loading.identify``."""
    check_checkpoint: Callable[[str, dict[str, Any]], None] | None = None
    """Check of a checkpoint before it is evaluated: its path and its content."""
    undefined_metrics: set[str] = field(default_factory=set)
    """Metrics that the log has named as undefined."""
    warnings: set[str] = field(default_factory=set)
    """Warnings that the log has."""
    valid_scores: list[float] = field(default_factory=list)
    """Validation results of this process, one for each validation."""
    learning_curve: list[dict[str, Any]] | None = None
    """Rows of the file of ``save_learning_curve``."""
    gap_series: pd.DataFrame | None = None
    """Rows of the file of ``save_gap``."""


def training_state(trainer: Trainer) -> TrainingState:
    """Return the state of a trainer, which is made at the first call."""
    state: TrainingState = trainer.__dict__.setdefault(_ATTRIBUTE, TrainingState())
    return state
