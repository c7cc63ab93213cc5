"""Negatives of training where a split holds items out: they are not drawn, or the log says that they are."""

from __future__ import annotations

from collections.abc import Sequence
from logging import getLogger
from typing import Any

import numpy as np

from recbole_sibrar.config import evaluation_config
from recbole_sibrar.data.atomic import DataError
from recbole_sibrar.data.dataloader import draws_negatives, restrict_sampling
from recbole_sibrar.data.dataset import MultimodalDataset
from recbole_sibrar.data.held_out import Evaluated, Pool, evaluated_entities, negative_pool
from recbole_sibrar.names import Side


def note_split(config: Any, parts: Sequence[Any]) -> dict[Side, Evaluated]:
    """Let the parts of a split know how many of the evaluated entities are new, and where negatives are drawn from.

    Args:
        config: RecBole's ``Config``.
        parts: The built data sets, training first.

    Returns:
        For each side what is evaluated.
    """
    evaluated = evaluated_entities(parts)
    pool = _pool(config, parts[0], evaluated)
    for part in parts:
        part.evaluated, part.negative_pool = evaluated, pool
    return evaluated


def _pool(config: Any, dataset: Any, evaluated: dict[Side, Evaluated]) -> Pool:
    settings = evaluation_config(config)
    is_ours = isinstance(dataset, MultimodalDataset)
    from_files = config["benchmark_filename"] is not None
    return negative_pool(settings.train_neg_candidates, settings.cold_start is not None, from_files, is_ours, evaluated)


def restrict_training(config: Any, loader: Any, evaluated: dict[Side, Evaluated], popularity: np.ndarray) -> None:
    """Let a training loader draw its negatives from the items that :func:`note_split` has noted.

    Where files hold items out and nobody asked for anything, the log says what is done.

    Args:
        config: RecBole's ``Config``.
        loader: RecBole's training loader.
        evaluated: What is evaluated.
        popularity: int64 ``[n_items]``, number of training interactions of each item.

    Raises:
        DataError: Nothing can be drawn for some user, though the configuration asks for it.
    """
    loader = getattr(loader, "general_dataloader", loader)  # that of a knowledge-based model
    if not draws_negatives(loader):
        return
    settings, is_cold_start = evaluation_config(config), evaluation_config(config).cold_start is not None
    by_default = settings.train_neg_candidates is None and not is_cold_start
    if loader._dataset.negative_pool == "train":
        try:
            restrict_sampling(loader, popularity > 0, popularity)
        except DataError as error:
            if not by_default:
                raise
            getLogger().warning(f"train_neg_candidates: all, because {error}")
            loader._dataset.negative_pool = "all"
        else:
            if not is_cold_start:
                _log_restriction(int((popularity > 0).sum()), len(popularity) - 1, evaluated, by_default)
    elif evaluated["item"].n_new and (is_cold_start or config["benchmark_filename"] is not None):
        getLogger().info(
            f"train_neg_candidates: all: training draws negatives from all {len(popularity) - 1} items, also "
            f"{evaluated['item'].n_new} evaluated items that it has no interactions with; train leaves these out"
        )


def _log_restriction(n_items: int, n_all: int, evaluated: dict[Side, Evaluated], by_default: bool) -> None:
    new = " and ".join(f"{found.n_new} {side}s" for side, found in evaluated.items() if found.n_new)
    reason = f", because files hold out {new}; all draws from all {n_all}" if by_default else ""
    getLogger().info(
        f"train_neg_candidates: train: training draws negatives from the {n_items} items that it has interactions "
        f"with{reason}"
    )
