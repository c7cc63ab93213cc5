"""Warnings about users or items scored by the mean of all others."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from recbole_sibrar.config import evaluation_config
from recbole_sibrar.data.dataloader import candidates_of
from recbole_sibrar.model.multimodal import MultimodalRecommender
from recbole_sibrar.names import SIDES, Side
from recbole_sibrar.protocols import LoaderLike

__all__ = ["stand_in_warnings"]


def stand_in_warnings(model: object, loader: LoaderLike) -> Iterator[str]:
    """Warn about evaluated users and candidates without any modality of the model.

    Such users get equal recommendations, and such items equal scores. The result says little about
    the model.

    Args:
        model: The model; one of RecBole's own gets no warning.
        loader: RecBole's loader of the evaluated part.
    """
    if not isinstance(model, MultimodalRecommender):
        return
    for side in SIDES:
        encoder = model.encoder_of(side)
        if encoder.stand_in is not None:  # values are hidden on purpose
            continue

        evaluated = _evaluated(loader, side)
        without = encoder.without().cpu().numpy()
        n = int(without[evaluated].sum())
        if n:
            names = ", ".join(encoder.modalities[column] for column in encoder.eval_columns)
            who = "test users" if side == "user" else "candidate items"
            yield (
                f"{n} of {len(evaluated)} {who} have none of the modalities {names}; they were "
                f"scored by the mean of all {side}s: {_advice(model, side)}"
            )


def _evaluated(loader: LoaderLike, side: Side) -> NDArray[Any]:
    """Ids of the users of a part, or of their candidates."""
    dataset = loader.dataset
    if side == "user":
        return np.asarray(torch.unique(dataset.inter_feat[dataset.uid_field]))

    candidates = evaluation_config(loader.config).candidates
    return np.flatnonzero(candidates_of(loader, candidates))


def _advice(model: MultimodalRecommender, side: Side) -> str:
    unused = model.unused_fields[side]
    encoder = model.encoder_of(side)

    if unused:
        return f"set {side}_modalities=auto, which adds {', '.join(unused)}"
    if len(encoder.eval_columns) < len(encoder.modalities):
        return f"leave out {side}_eval_modalities"
    return f"no other field of the {side}s was loaded"
