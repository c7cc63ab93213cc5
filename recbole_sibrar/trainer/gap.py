"""Modality gap during training, measured before the first epoch and every few epochs, as a file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
from recbole.trainer import Trainer
from torch import nn

from recbole_sibrar.config import ConfigError, evaluation_config
from recbole_sibrar.evaluator.embeddings import modality_embeddings
from recbole_sibrar.files import check_writable, replacing
from recbole_sibrar.model.multimodal import MultimodalRecommender
from recbole_sibrar.names import SIDES, Side
from recbole_sibrar.parallel import processes
from recbole_sibrar.studies.gap.measures import measure_gap
from recbole_sibrar.trainer.training_state import training_state

__all__ = ["MAX_ITEMS", "record", "series_file", "train_epoch"]

MAX_ITEMS = 2000
"""Largest number of items for exact measures; fewer than elsewhere, because training waits for
them."""


def train_epoch(
    original: Callable[..., Any],
    trainer: Trainer,
    train_data: object,
    epoch: int,
    *args: object,
    **kwargs: object,
) -> Any:
    """Train for an epoch; measure before the first one and after every ``gap_every``-th."""
    every = evaluation_config(trainer.config).gap_every
    if every is None or not processes.is_main(trainer.config):
        return original(trainer, train_data, epoch, *args, **kwargs)

    # A resumed epoch 0 has been measured before the interruption.
    is_resumed = getattr(training_state(trainer).progress, "resumed", None)
    if epoch == 0 and not is_resumed:
        record(trainer, 0)
    result = original(trainer, train_data, epoch, *args, **kwargs)
    if (epoch + 1) % every == 0:
        record(trainer, epoch + 1)
    return result


def series_file(trainer: Trainer) -> Path:
    """Return the file of a run's measurements: ``save_gap``, or one beside the checkpoint."""
    checkpoint = Path(trainer.saved_model_file)
    beside = checkpoint.with_name(f"{checkpoint.stem}-gap.csv")
    return evaluation_config(trainer.config).save_gap or beside


def record(trainer: Trainer, epochs: int) -> None:
    """Measure the model, add the rows to the file and write it.

    A resumed run continues the rows of the interrupted one. The random generators of the training
    stay untouched.

    Args:
        trainer: RecBole's trainer.
        epochs: Number of epochs of training.

    Raises:
        DataError: The file cannot be written.
    """
    path = series_file(trainer)
    check_writable(path, "save_gap")
    state = training_state(trainer)
    earlier = state.gap_series
    if earlier is None:
        earlier = _earlier(path, epochs)

    # pandas warns about empty frames in a concatenation
    frames = [frame for frame in (earlier, *_measure_sides(trainer, epochs)) if len(frame)]
    state.gap_series = pd.concat(frames or [earlier], ignore_index=True)
    if len(state.gap_series):
        with replacing(path) as temporary:
            state.gap_series.to_csv(temporary, index=False)


def _measure_sides(trainer: Trainer, epochs: int) -> list[pd.DataFrame]:
    """Measure users and items; log a side without two modalities, once."""
    frames = []
    for side in SIDES:
        try:
            found = _measure(trainer.model, side)
        except ConfigError as error:
            # once, before the first epoch
            if not epochs:
                trainer.logger.info(f"gap_every: {side}s are not measured: {error}")
            continue
        found.insert(0, "side", side)
        found.insert(0, "epochs", epochs)
        frames.append(found)
    return frames


def _measure(model: nn.Module, side: Side) -> pd.DataFrame:
    # unwrap DistributedDataParallel
    model = getattr(model, "module", model)
    if not isinstance(model, MultimodalRecommender):
        raise ConfigError(f"{type(model).__name__} encodes no modalities")
    found = modality_embeddings(model, side)
    return measure_gap(found.embeddings, found.available, found.names, max_items=MAX_ITEMS)


def _earlier(path: Path, epochs: int) -> pd.DataFrame:
    """Read the rows before an epoch; none for a new training."""
    if not epochs or not path.is_file():
        return pd.DataFrame()
    frame = pd.read_csv(path, float_precision="round_trip", keep_default_na=False, na_values=[])
    return frame[frame["epochs"] < epochs]
