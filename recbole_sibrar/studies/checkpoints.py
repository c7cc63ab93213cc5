"""Checkpoints of trained models, for the commands that study them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from recbole.utils import get_model

from recbole_sibrar.checkpoint_loading import load_checkpoint
from recbole_sibrar.config import refuse
from recbole_sibrar.errors import CheckpointError, ConfigError
from recbole_sibrar.model.multimodal import MultimodalRecommender
from recbole_sibrar.names import MODELS

__all__ = ["checkpoint_errors", "quiet", "with_modalities"]


def with_modalities(
    checkpoints: Sequence[str], note: Callable[[str], None], consequence: str
) -> list[str]:
    """Keep the checkpoints of models with modalities, and name the others.

    Args:
        checkpoints: Files written by RecBole.
        note: Receives a line about each model left out.
        consequence: Reason to leave out a model without modalities, for that line.

    Raises:
        ConfigError: No model encodes modalities.
    """
    kept: list[str] = []
    left_out: list[str] = []
    for file in checkpoints:
        # Before any data set is read, which can take minutes.
        model = load_checkpoint(file, "cpu")["config"]["model"]
        if issubclass(get_model(model), MultimodalRecommender):
            kept.append(file)
        else:
            left_out.append(f"{model} ({file})")

    if not kept:
        allowed = f"a model that encodes modalities: {', '.join(MODELS)}"
        refuse("CHECKPOINT", ", ".join(left_out), allowed)
    for name in left_out:
        note(f"left out {name}: the model encodes no modalities, so that {consequence}")
    return kept


@contextmanager
def quiet() -> Iterator[None]:
    """Keep RecBole's log off the terminal within a ``with`` block."""
    # It repeats the configuration and the data.
    previous = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(previous)


@contextmanager
def checkpoint_errors(file: str) -> Iterator[None]:
    """Name the checkpoint in an error of its loading or of its study.

    Raises:
        ConfigError: The block ended in an error of a wrong value, such as data that do not fit the
            model.
        CheckpointError: The file cannot be read.
    """
    try:
        yield
    except CheckpointError:  # its message names the file
        raise
    except (RuntimeError, ValueError) as error:
        raise ConfigError(f"{file}: {error}") from error
