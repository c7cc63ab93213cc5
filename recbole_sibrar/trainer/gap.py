"""The modality gap of a model in training: measured before the first epoch and every few epochs, as a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
from recbole.trainer import Trainer

from recbole_sibrar.config import ConfigError, evaluation_config
from recbole_sibrar.evaluator.embeddings import modality_embeddings
from recbole_sibrar.files import check_writable, replacing
from recbole_sibrar.model.multimodal import MultimodalRecommender
from recbole_sibrar.names import SIDES
from recbole_sibrar.parallel import processes
from recbole_sibrar.studies.gap.measures import measure_gap
from recbole_sibrar.trainer.training_state import training_state

MAX_ITEMS = 2000
"""Up to so many items the measures are exact; fewer than elsewhere, because training waits for them."""


def train_epoch(original: Any, trainer: Trainer, train_data: Any, epoch: int, *args: Any, **kwargs: Any) -> Any:
    """Train for an epoch; measure before the first one and after every ``gap_every``-th."""
    every = evaluation_config(trainer.config).gap_every
    if every is None or not processes.is_main(trainer.config):
        return original(trainer, train_data, epoch, *args, **kwargs)
    if epoch == 0 and not getattr(training_state(trainer).progress, "resumed", None):
        record(trainer, 0)
    result = original(trainer, train_data, epoch, *args, **kwargs)
    if (epoch + 1) % every == 0:
        record(trainer, epoch + 1)
    return result


def series_file(trainer: Any) -> Path:
    """Where the measurements of a run are written: the key ``save_gap``, or beside its checkpoint."""
    checkpoint = Path(trainer.saved_model_file)
    return evaluation_config(trainer.config).save_gap or checkpoint.with_name(f"{checkpoint.stem}-gap.csv")


def record(trainer: Any, epochs: int) -> None:
    """Measure the model and add the rows to the file, which is written to a temporary name first.

    A resumed run goes on with the rows that the interrupted one has written. Nothing random is drawn from the
    generators of the training.

    Args:
        trainer: RecBole's trainer.
        epochs: How many epochs the model was trained.

    Raises:
        DataError: The file cannot be written.
    """
    path = series_file(trainer)
    check_writable(path, "save_gap")
    state = training_state(trainer)
    frames = [_earlier(path, epochs) if state.gap_series is None else state.gap_series]
    for side in SIDES:
        try:
            found = _measured(trainer.model, side)
        except ConfigError as error:
            if not epochs:
                trainer.logger.info(f"gap_every: {side}s are not measured: {error}")
            continue
        found.insert(0, "side", side)
        found.insert(0, "epochs", epochs)
        frames.append(found)
    state.gap_series = pd.concat([frame for frame in frames if len(frame)] or frames, ignore_index=True)
    if len(state.gap_series):
        with replacing(path) as temporary:
            state.gap_series.to_csv(temporary, index=False)


def _measured(model: Any, side: Any) -> pd.DataFrame:
    model = getattr(model, "module", model)  # as torch wraps it for several processes
    if not isinstance(model, MultimodalRecommender):
        raise ConfigError(f"{type(model).__name__} encodes no modalities")
    found = modality_embeddings(model, side)
    return measure_gap(found.embeddings, found.available, found.names, max_items=MAX_ITEMS)


def _earlier(path: Path, epochs: int) -> pd.DataFrame:
    """The rows of a file before an epoch; none where training starts anew."""
    if not epochs or not path.is_file():
        return pd.DataFrame()
    frame = pd.read_csv(path, float_precision="round_trip", keep_default_na=False, na_values=[])
    return frame[frame["epochs"] < epochs]
