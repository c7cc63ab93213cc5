"""End of a run: its states are removed, because there is nothing to continue."""

from __future__ import annotations

import atexit
import os
import sys
from pathlib import Path

from recbole_sibrar.evaluator.evaluation_state import evaluation_state
from recbole_sibrar.parallel import processes
from recbole_sibrar.protocols import LoaderLike
from recbole_sibrar.trainer import checkpoint
from recbole_sibrar.trainer.progress import Progress

__all__ = ["end_run", "end_training", "has_test", "is_test", "keep_states"]


def has_test(train_data: LoaderLike) -> bool:
    """Tell if there is a test part beside a training loader; True if that is unknown."""
    known: bool = getattr(train_data, "has_test_part", True)
    return known


def end_training(progress: Progress, train_data: LoaderLike) -> None:
    """Note the end of the training. Without a test part the run ends here, else with its test.

    A program without any test ends the run with its process, unless by an exception.

    Args:
        progress: Progress of the trainer.
        train_data: The training loader.
    """
    progress.is_trained = True
    if not progress.saves:
        return

    if not has_test(train_data):
        end_run(progress)
    elif processes.is_main(progress.trainer.config):
        # The id tells this process from forked ones, such as those of a data loader: they inherit
        # the exit handlers.
        atexit.register(_forget, progress.best, os.getpid())


def is_test(progress: Progress | None, eval_data: object, model_file: str | Path | None) -> bool:
    """Tell if an evaluation is the final test of a run.

    The evaluation of another part, of another model, or before the end of the training is none.

    Args:
        progress: Progress of the trainer; None without any training.
        eval_data: The evaluated loader, possibly empty.
        model_file: File of the evaluated model; None for the trainer's own.
    """
    if progress is None or not progress.saves or not progress.is_trained:
        return False

    is_own = not model_file or os.path.realpath(model_file) == os.path.realpath(progress.best)
    phase = getattr(evaluation_state(eval_data), "phase", "test")
    return is_own and phase == "test"


def end_run(progress: Progress) -> None:
    """Remove the states of an ended run."""
    if processes.is_main(progress.trainer.config):
        checkpoint.remove_states(progress.best)


def keep_states() -> None:
    """Keep the states of untested runs at the end of the process, after a failure."""
    atexit.unregister(_forget)


def _forget(best: Path, process: int) -> None:
    """Remove the states of an untested run at the end of its own process."""
    # sys.last_value: the process ends by an exception, and the run can go on
    if os.getpid() == process and getattr(sys, "last_value", None) is None:
        checkpoint.remove_states(best)
