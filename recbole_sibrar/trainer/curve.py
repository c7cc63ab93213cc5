"""Learning curve of a run: training loss and validation metrics of each epoch, as a file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from recbole.trainer import Trainer

from recbole_sibrar.files import check_writable, replacing
from recbole_sibrar.parallel import processes
from recbole_sibrar.trainer.training_state import training_state

__all__ = ["record"]


def record(trainer: Trainer, path: Path, result: Mapping[str, float]) -> None:
    """Add a validation to the curve and write the file.

    A resumed run continues the rows of the interrupted one. Of several processes, the first one
    writes.

    Args:
        trainer: RecBole's trainer, after an epoch of training.
        path: File with ``epoch`` (from 0), ``train_loss`` (summed over batches and parts), and all
            metrics.
        result: Metrics of the validation.

    Raises:
        DataError: The file cannot be written.
    """
    if not processes.is_main(trainer.config):
        return
    check_writable(path, "save_learning_curve")

    losses = trainer.train_loss_dict
    epoch = max(losses)
    state = training_state(trainer)
    if state.learning_curve is None:
        state.learning_curve = _earlier(path, epoch) if trainer.start_epoch else []
    rows = state.learning_curve

    # RecBole keeps the parts of a loss as a tuple, and a single loss as a number.
    loss = losses[epoch]
    total = sum(loss) if isinstance(loss, tuple) else loss
    rows.append({"epoch": epoch, "train_loss": float(total), **result})
    with replacing(path) as temporary:
        pd.DataFrame(rows).to_csv(temporary, index=False)


def _earlier(path: Path, epoch: int) -> list[dict[str, Any]]:
    """Read the rows before an epoch."""
    if not path.is_file():
        return []
    # pandas' default can read another last digit than it has written
    frame = pd.read_csv(path, float_precision="round_trip")
    rows = frame[frame["epoch"] < epoch].to_dict("records")
    return [{str(name): value for name, value in row.items()} for row in rows]
