"""What commands share that look at trained models."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from recbole.utils import get_model

from recbole_sibrar.checkpoint_loading import load_checkpoint
from recbole_sibrar.config import refuse
from recbole_sibrar.model.multimodal import MultimodalRecommender
from recbole_sibrar.names import MODELS


def with_modalities(checkpoints: Sequence[str], note: Callable[[str], None], consequence: str) -> list[str]:
    """The checkpoints of models that encode modalities; the others are named.

    Args:
        checkpoints: Files that RecBole wrote.
        note: Takes a line about each model that is left out.
        consequence: Why a model without modalities is left out, for that line.

    Raises:
        ConfigError: No model encodes modalities.
    """
    kept, left_out = [], []
    for file in checkpoints:
        model = load_checkpoint(file, "cpu")["config"]["model"]
        if issubclass(get_model(model), MultimodalRecommender):
            kept.append(file)
        else:
            left_out.append(f"{model} ({file})")
    if not kept:
        refuse("CHECKPOINT", ", ".join(left_out), f"a model that encodes modalities: {', '.join(MODELS)}")
    for name in left_out:
        note(f"left out {name}: the model encodes no modalities, so that {consequence}")
    return kept


@contextmanager
def quiet() -> Iterator[None]:
    """Keep RecBole's log, which repeats configuration and data, from the terminal."""
    previous = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(previous)
