"""A warning beside a test result in which users or items were scored by the mean of all others."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from recbole_sibrar.config import evaluation_config
from recbole_sibrar.data.dataloader import items_of
from recbole_sibrar.model.multimodal import MultimodalRecommender
from recbole_sibrar.names import SIDES, Side


def stand_in_warnings(model: Any, loader: Any) -> Iterator[str]:
    """Count the evaluated users and candidates that have none of the modalities of the model.

    They are all recommended the same items, or recommended alike, so that the result says little about the model.

    Args:
        model: The model; of others than ours nothing is said.
        loader: RecBole's loader of the evaluated part.
    """
    if not isinstance(model, MultimodalRecommender):
        return
    for side in SIDES:
        encoder = model.encoder_of(side)
        if encoder.stand_in is not None:  # values are hidden on purpose
            continue
        evaluated = _evaluated(loader, side)
        n = int(encoder.without().cpu().numpy()[evaluated].sum())
        if n:
            names = ", ".join(encoder.modalities[column] for column in encoder.eval_columns)
            who = "test users" if side == "user" else "candidate items"
            yield (
                f"{n} of {len(evaluated)} {who} have none of the modalities {names}; they were scored by the mean of "
                f"all {side}s: {_advice(model, side)}"
            )


def _evaluated(loader: Any, side: Side) -> NDArray[Any]:
    """Ids of the users of a part, or of the items that are ranked for them."""
    dataset = loader._dataset
    if side == "user":
        return np.asarray(torch.unique(dataset.inter_feat[dataset.uid_field]))
    if evaluation_config(loader.config).candidates == "split":
        return np.flatnonzero(items_of(dataset))
    return np.arange(1, dataset.item_num)


def _advice(model: MultimodalRecommender, side: Side) -> str:
    unused, encoder = model.unused_fields[side], model.encoder_of(side)
    if unused:
        return f"set {side}_modalities=auto, which adds {', '.join(unused)}"
    if len(encoder.eval_columns) < len(encoder.modalities):
        return f"leave out {side}_eval_modalities"
    return f"no other field of the {side}s was loaded"
