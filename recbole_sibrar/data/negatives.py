"""Negatives of training for a split with held-out items: without these, or with a log line."""

from __future__ import annotations

from collections.abc import Sequence
from logging import getLogger
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recbole_sibrar.config import evaluation_config
from recbole_sibrar.data.dataloader import draws_negatives, restrict_sampling
from recbole_sibrar.data.dataset import MultimodalDataset
from recbole_sibrar.data.held_out import Evaluated, Pool, evaluated_entities, negative_pool
from recbole_sibrar.errors import DataError
from recbole_sibrar.names import Side
from recbole_sibrar.protocols import DatasetLike, FullConfig


def note_split(config: FullConfig, parts: Sequence[Any]) -> dict[Side, Evaluated]:
    """Note in the parts of a split the numbers of evaluated entities, and the pool of negatives.

    Args:
        config: RecBole's ``Config``.
        parts: The built data sets, training first.

    Returns:
        For each side the numbers of evaluated entities.
    """
    evaluated = evaluated_entities(parts)
    pool = _pool(config, parts[0], evaluated)

    for part in parts:
        part.evaluated = evaluated
        part.negative_pool = pool
    return evaluated


def _pool(config: FullConfig, dataset: DatasetLike, evaluated: dict[Side, Evaluated]) -> Pool:
    settings = evaluation_config(config)
    is_cold_start = settings.cold_start is not None
    from_files = config["benchmark_filename"] is not None
    is_ours = isinstance(dataset, MultimodalDataset)
    return negative_pool(
        settings.train_neg_candidates, is_cold_start, from_files, is_ours, evaluated
    )


def restrict_training(
    config: FullConfig,
    loader: Any,
    evaluated: dict[Side, Evaluated],
    popularity: NDArray[np.int64],
) -> None:
    """Restrict a training loader to the pool of negatives of :func:`note_split`.

    The log tells the default for files with held-out items.

    Args:
        config: RecBole's ``Config``.
        loader: RecBole's training loader.
        evaluated: Numbers of evaluated entities.
        popularity: int64 ``[n_items]``, number of training interactions of each item.

    Raises:
        DataError: The configuration asks for the pool, and it has no negative for some user.
    """
    # a knowledge-based model has two loaders
    loader = getattr(loader, "general_dataloader", loader)
    if not draws_negatives(loader):
        return

    settings = evaluation_config(config)
    is_cold_start = settings.cold_start is not None
    by_default = settings.train_neg_candidates is None and not is_cold_start
    if loader._dataset.negative_pool == "train":
        try:
            restrict_sampling(loader, popularity > 0, popularity)
        except DataError as error:
            # without the user's word for the pool, training goes on with RecBole's own
            if not by_default:
                raise
            getLogger().warning(f"train_neg_candidates: all, because {error}")
            loader._dataset.negative_pool = "all"
        else:
            if not is_cold_start:
                n_items = int((popularity > 0).sum())
                _log_restriction(n_items, len(popularity) - 1, evaluated, by_default)

        return

    # with RecBole's own splits, a few items are new by chance
    is_held_out = is_cold_start or config["benchmark_filename"] is not None
    n_new = evaluated["item"].n_new
    if n_new and is_held_out:
        getLogger().info(
            f"train_neg_candidates: all: training draws negatives from all {len(popularity) - 1} "
            f"items, also {n_new} evaluated items that it has no interactions "
            "with; train leaves these out"
        )


def _log_restriction(
    n_items: int,
    n_all: int,
    evaluated: dict[Side, Evaluated],
    by_default: bool,
) -> None:
    reason = ""
    if by_default:
        held_out = [f"{found.n_new} {side}s" for side, found in evaluated.items() if found.n_new]
        new = " and ".join(held_out)
        reason = f", because files hold out {new}; all draws from all {n_all}"
    getLogger().info(
        f"train_neg_candidates: train: training draws negatives from the {n_items} items that it "
        f"has interactions with{reason}"
    )
