"""The embedding of each single modality of items or users, as a trained model makes it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from recbole_sibrar.config import nearest, refuse
from recbole_sibrar.model.clcrec import CollaborativeContentEncoder
from recbole_sibrar.model.multimodal import MultimodalRecommender
from recbole_sibrar.names import Side

WHICH = ("all", "train", "new")
"""Which entities: all, those with training interactions, those without."""


@dataclass(frozen=True)
class ModalityEmbeddings:
    """Embeddings of the cells of a side: of one modality of one entity."""

    names: tuple[str, ...]
    """The modalities."""
    entities: NDArray[Any]
    """int64 ``[n]``: internal ids."""
    embeddings: NDArray[Any]
    """float32 ``[n, n_modalities, k]``; rows of cells that are not available mean nothing."""
    available: NDArray[Any]
    """bool ``[n, n_modalities]``."""

    def sample(self, n: int, seed: int) -> ModalityEmbeddings:
        """At most ``n`` of the entities that have two modalities or more, drawn at random, for a picture."""
        rows = np.flatnonzero(self.available.sum(1) > 1)
        if len(rows) > n:
            rows = np.sort(np.random.default_rng(seed).choice(rows, n, replace=False))
        return ModalityEmbeddings(self.names, self.entities[rows], self.embeddings[rows], self.available[rows])


def chosen_modalities(model: MultimodalRecommender, side: Side, modalities: Sequence[str] | None) -> tuple[str, ...]:
    """The modalities to compare.

    Args:
        model: The model.
        side: Whose modalities.
        modalities: Names; None for those that the model evaluates.

    Raises:
        ConfigError: A name is unknown, or there are fewer than two.
    """
    encoder = model.encoder_of(side)
    for name in modalities or ():
        if name not in encoder.modalities:
            allowed = f"any of {', '.join(encoder.modalities)}, the {side} modalities that the model encodes"
            refuse("modalities", name, f"{allowed}{nearest(name, encoder.modalities)}")
    names = tuple(modalities or (encoder.modalities[column] for column in encoder.eval_columns))
    if len(names) < 2:
        refuse(f"{side} modalities", ", ".join(names), "two or more: there is no gap between a modality and itself")
    return names


@torch.no_grad()
def modality_embeddings(
    model: MultimodalRecommender, side: Side = "item", modalities: Sequence[str] | None = None, which: str = "all"
) -> ModalityEmbeddings:
    """Encode each modality alone, as if the entity had no other.

    Args:
        model: The model, in either mode; it is encoded in evaluation mode.
        side: Whose modalities.
        modalities: Names; None for those that the model evaluates.
        which: One of :data:`WHICH`.

    Returns:
        The cells of entities that have any of the modalities, and of the modalities that any of the entities has.

    Raises:
        ConfigError: A name is unknown, fewer than two modalities are there, or the model does not embed them.
    """
    names, encoder = chosen_modalities(model, side, modalities), model.encoder_of(side)
    if isinstance(encoder, CollaborativeContentEncoder) and which != "new":
        allowed = f"new for CLCRec, whose {side}s with training interactions have an embedding of their own"
        refuse(f"{side}s", which, allowed)
    trained, there = encoder.trained, encoder.availability[:, list(encoder.columns_of(names))]
    entities = there.any(1) & {"all": torch.ones_like(trained), "train": trained, "new": ~trained}[which]
    entities[0] = False  # padding
    ids = entities.nonzero().squeeze(1)
    used = [i for i in range(len(names)) if bool(there[ids, i].any())]
    if len(used) < 2:
        found = ", ".join(names[i] for i in used) or "none"
        refuse(f"modalities of the {side}s ({which})", found, f"two or more of {', '.join(names)}")
    was_training = model.training
    model.eval()
    try:
        encode = model.encode_items if side == "item" else model.encode_users
        cells = [encode(ids, modalities=[names[i]]) for i in used]
    finally:
        model.train(was_training)
    return ModalityEmbeddings(
        tuple(names[i] for i in used),
        ids.cpu().numpy(),
        torch.stack(cells, dim=1).float().cpu().numpy(),
        there[ids][:, used].cpu().numpy(),
    )
