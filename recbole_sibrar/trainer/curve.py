"""The learning curve of a run: training loss and validation results of each epoch, as a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from recbole_sibrar.files import check_writable, replacing
from recbole_sibrar.parallel import processes
from recbole_sibrar.trainer.training_state import training_state


def record(trainer: Any, path: Path, result: dict[str, float]) -> None:
    """Add the validation after an epoch of training to the curve, and write the curve, to a temporary name first.

    A resumed run goes on with the rows that the interrupted one has written. Of several processes the first one writes.

    Args:
        trainer: RecBole's trainer.
        path: The file: ``epoch`` (from 0), ``train_loss`` (summed over batches and parts), and every metric.
        result: The validation's metrics.

    Raises:
        DataError: The file cannot be written.
    """
    if not processes.is_main(trainer.config):
        return
    losses = trainer.train_loss_dict
    epoch = max(losses)
    check_writable(path, "save_learning_curve")
    state = training_state(trainer)
    if state.learning_curve is None:
        state.learning_curve = _earlier(path, epoch) if trainer.start_epoch else []
    rows = state.learning_curve
    loss = losses[epoch]
    rows.append({"epoch": epoch, "train_loss": float(sum(loss) if isinstance(loss, tuple) else loss), **result})
    with replacing(path) as temporary:
        pd.DataFrame(rows).to_csv(temporary, index=False)


def _earlier(path: Path, epoch: int) -> list[dict[str, Any]]:
    """The rows of a file before an epoch."""
    if not path.is_file():
        return []
    frame = pd.read_csv(path, float_precision="round_trip")
    return frame[frame["epoch"] < epoch].to_dict("records")  # type: ignore[return-value]
