"""State of the plugin on RecBole's objects: one typed object on each trainer, evaluation loader and collector."""

from recbole_sibrar.evaluator.evaluation_state import (
    TRAINING_DATA,
    CollectorState,
    EvaluationState,
    collector_state,
    evaluation_state,
    set_evaluation_state,
)
from recbole_sibrar.trainer.training_state import TrainingState, training_state

__all__ = [
    "TRAINING_DATA",
    "CollectorState",
    "EvaluationState",
    "TrainingState",
    "collector_state",
    "evaluation_state",
    "set_evaluation_state",
    "training_state",
]
