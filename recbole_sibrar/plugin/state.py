"""State of the plugin on RecBole's objects: a typed one on trainers, loaders and collectors."""

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
