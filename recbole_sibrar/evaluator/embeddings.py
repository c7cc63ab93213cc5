"""Embeddings of single modalities of items or users from a trained model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from recbole_sibrar.config import nearest, refuse
from recbole_sibrar.model.concatenation import CollaborativeContentEncoder
from recbole_sibrar.model.multimodal import MultimodalRecommender
from recbole_sibrar.names import Side

__all__ = ["ModalityEmbeddings", "chosen_modalities", "modality_embeddings"]


@dataclass(frozen=True)
class ModalityEmbeddings:
    """Embeddings of the cells of a side; a cell is one modality of one entity."""

    names: tuple[str, ...]
    """The modalities."""
    entities: NDArray[Any]
    """int64 ``[n]``: internal ids."""
    embeddings: NDArray[Any]
    """float32 ``[n, n_modalities, k]``; rows of unavailable cells mean nothing."""
    available: NDArray[Any]
    """bool ``[n, n_modalities]``."""

    def sample(self, n: int, seed: int) -> ModalityEmbeddings:
        """Draw at most ``n`` entities with two modalities or more, for a picture."""
        # With one modality an entity has no gap to show.
        rows = np.flatnonzero(self.available.sum(1) > 1)
        if len(rows) > n:
            generator = np.random.default_rng(seed)
            rows = np.sort(generator.choice(rows, n, replace=False))
        return ModalityEmbeddings(
            self.names, self.entities[rows], self.embeddings[rows], self.available[rows]
        )


def chosen_modalities(
    model: MultimodalRecommender, side: Side, modalities: Sequence[str] | None
) -> tuple[str, ...]:
    """Choose the modalities to compare.

    Args:
        model: The model.
        side: Side of the modalities.
        modalities: Names; None for the evaluated ones.

    Raises:
        ConfigError: A name is unknown, or there are fewer than two.
    """
    encoder = model.encoder_of(side)
    for name in modalities or ():
        if name not in encoder.modalities:
            known = ", ".join(encoder.modalities)
            allowed = f"any of {known}, the {side} modalities that the model encodes"
            refuse("modalities", name, f"{allowed}{nearest(name, encoder.modalities)}")

    names = tuple(modalities or encoder.eval_modalities)
    if len(names) < 2:
        refuse(
            f"{side} modalities",
            ", ".join(names),
            "two or more: there is no gap between a modality and itself",
        )
    return names


@torch.no_grad()
def modality_embeddings(
    model: MultimodalRecommender,
    side: Side = "item",
    modalities: Sequence[str] | None = None,
    which: str = "all",
) -> ModalityEmbeddings:
    """Encode each modality alone, as if the entity had no other.

    Args:
        model: The model, in either mode; it is encoded in evaluation mode.
        side: Side of the modalities.
        modalities: Names; None for the evaluated ones.
        which: One of :data:`~recbole_sibrar.names.WHICH`.

    Returns:
        Cells of the entities with any of the modalities, and of the modalities of any of the
        entities.

    Raises:
        ConfigError: A name is unknown, fewer than two modalities are there, or the model does not
            embed them.
    """
    names = chosen_modalities(model, side, modalities)
    encoder = model.encoder_of(side)
    if isinstance(encoder, CollaborativeContentEncoder) and which != "new":
        reason = f"whose {side}s with training interactions have an embedding of their own"
        refuse(f"{side}s", which, f"new for CLCRec, {reason}")

    trained = encoder.trained
    available = encoder.availability[:, list(encoder.columns_of(names))]
    chosen = {"all": torch.ones_like(trained), "train": trained, "new": ~trained}[which]
    entities = available.any(1) & chosen
    entities[0] = False  # padding
    ids = entities.nonzero().squeeze(1)

    # A modality that none of the entities has would be a column of cells that mean nothing.
    used = available[ids].any(0).nonzero().flatten().tolist()
    used_names = [names[i] for i in used]
    if len(used) < 2:
        found = ", ".join(used_names) or "none"
        refuse(f"modalities of the {side}s ({which})", found, f"two or more of {', '.join(names)}")

    # Dropout and batch statistics belong to training; its mode comes back, whatever happens.
    was_training = model.training
    model.eval()
    try:
        encode = model.encode_items if side == "item" else model.encode_users
        cells = [encode(ids, modalities=[name]) for name in used_names]
    finally:
        model.train(was_training)

    embeddings = torch.stack(cells, dim=1)  # [n, n_modalities, k]
    return ModalityEmbeddings(
        names=tuple(used_names),
        entities=ids.cpu().numpy(),
        # NumPy has no bfloat16.
        embeddings=embeddings.float().cpu().numpy(),
        available=available[ids][:, used].cpu().numpy(),
    )
