"""The end of a run, after which there is nothing to continue and its states are removed."""

from __future__ import annotations

import atexit
import os
import sys
from pathlib import Path
from typing import Any

from recbole_sibrar.evaluator.evaluation_state import evaluation_state
from recbole_sibrar.parallel import processes
from recbole_sibrar.trainer import checkpoint
from recbole_sibrar.trainer.progress import Progress


def has_test(train_data: Any) -> bool:
    """Whether the data that a training loader is a part of have a test part, as far as that is known."""
    return getattr(train_data, "has_test_part", True)


def end_training(progress: Progress, train_data: Any) -> None:
    """Note that everything is trained: without a test part the run has ended, else it ends with its test.

    Of a program that never tests, it ends with the process, unless an exception does that.

    Args:
        progress: That of the trainer.
        train_data: The training loader.
    """
    progress.is_trained = True
    if not progress.saves:
        return
    if not has_test(train_data):
        end_run(progress)
    elif processes.is_main(progress.trainer.config):
        atexit.register(_forget, progress.best, os.getpid())


def is_test(progress: Progress | None, eval_data: Any, model_file: Any) -> bool:
    """Whether an evaluation is the test with which a run ends.

    That of another part, of another model, or of a model that is still trained is none.

    Args:
        progress: That of the trainer; None where it has trained nothing.
        eval_data: The loader that is evaluated, which can have nothing to evaluate.
        model_file: The file of the model that is evaluated; None for the trainer's own.
    """
    if progress is None or not progress.saves or not progress.is_trained:
        return False
    own = not model_file or os.path.realpath(model_file) == os.path.realpath(progress.best)
    return own and getattr(evaluation_state(eval_data), "phase", "test") == "test"


def end_run(progress: Progress) -> None:
    """Remove the states of a run that has ended."""
    if processes.is_main(progress.trainer.config):
        checkpoint.remove_states(progress.best)


def keep_states() -> None:
    """Leave the states of untested runs when the process ends, because something has failed."""
    atexit.unregister(_forget)


def _forget(best: Path, process: int) -> None:
    """Remove the states of a run that nobody tests, at the end of its own process if that ends without an exception."""
    if os.getpid() == process and getattr(sys, "last_value", None) is None:
        checkpoint.remove_states(best)
