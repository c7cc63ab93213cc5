"""Embeddings of a trained model.

They come from our encoders, and from RecBole's models that score by a dot product.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from recbole.data.interaction import Interaction
from torch import Tensor, nn

from recbole_sibrar.errors import refuse
from recbole_sibrar.model.concatenation import CollaborativeContentEncoder, ConcatenationEncoder
from recbole_sibrar.model.encoder import EntityEncoder
from recbole_sibrar.model.layers.gathering import split_evenly
from recbole_sibrar.names import MODELS
from recbole_sibrar.protocols import DatasetLike, ModelLike

__all__ = ["alone", "of_recbole_model"]

_CHECKED_USERS = 20
"""Users whose scores are compared with dot products."""


@torch.no_grad()
def alone(encoder: EntityEncoder, modality: str) -> Tensor:
    """Encode one modality of all users or items.

    Args:
        encoder: Encoder of the side.
        modality: Name of the modality.

    Returns:
        ``[n, k]`` without padding; zeros where the modality is not available.
    """
    column = encoder.columns_of([modality])
    ids = torch.arange(1, encoder.n_entities, device=encoder.availability.device)

    parts = []
    for block in split_evenly(ids):
        if isinstance(encoder, CollaborativeContentEncoder):
            # The embedding of the content; its own encode returns the id's for trained entities.
            parts.append(ConcatenationEncoder.encode(encoder, block, column)[0])
        else:
            parts.append(encoder.encode(block, column)[0])
    return torch.cat(parts).cpu()


@torch.no_grad()
def of_recbole_model(model: Any, dataset: DatasetLike, name: str) -> tuple[Tensor, Tensor]:
    """Find the embeddings of users and items that one of RecBole's models scores with.

    Args:
        model: The model.
        dataset: Its data set.
        name: Name of the model, for messages.

    Returns:
        float32 ``[n_users, k]`` and ``[n_items, k]``, without padding.

    Raises:
        ConfigError: The model does not score by the dot product of two embeddings.
    """
    model.eval()
    n_users, n_items = dataset.user_num, dataset.item_num
    for users, items in _candidates(model):
        has_all_rows = len(users) == n_users and len(items) == n_items
        has_shape = has_all_rows and users.shape[1:] == items.shape[1:]
        # Tables of the right shape may still not be what the model scores with.
        if has_shape and _scores_agree(model, dataset, users, items):
            return users[1:].float().cpu(), items[1:].float().cpu()

    of_recbole = "a model of RecBole whose score is the dot product of two embeddings, such as BPR"
    allowed = f"{', '.join(MODELS)}, or {of_recbole}"
    return refuse("CHECKPOINT", name, allowed)


def _candidates(model: Any) -> list[tuple[Tensor, Tensor]]:
    """List pairs of tensors that may be the embeddings."""
    found: list[tuple[Tensor, Tensor]] = []
    # Graph models score with the output of forward, not with their tables.
    try:
        output = model.forward()
    except Exception:  # a model whose forward needs a batch fails in a way of its own
        output = None
    if isinstance(output, tuple) and len(output) >= 2:
        users, items = output[:2]
        if isinstance(users, Tensor) and isinstance(items, Tensor):
            found.append((users, items))

    # RecBole's models have no common name for their tables.
    for suffix in ("embedding", "emb", "embed"):
        users = getattr(model, f"user_{suffix}", None)
        items = getattr(model, f"item_{suffix}", None)
        if isinstance(users, nn.Embedding) and isinstance(items, nn.Embedding):
            found.append((users.weight.detach(), items.weight.detach()))
    return found


def _scores_agree(model: ModelLike, dataset: DatasetLike, users: Tensor, items: Tensor) -> bool:
    """Compare dot products with the model's own scores of all items for some users."""
    ids = torch.arange(1, min(dataset.user_num, _CHECKED_USERS + 1), device=users.device)
    try:
        scores = model.full_sort_predict(Interaction({dataset.uid_field: ids}))
    except (NotImplementedError, KeyError):
        return False

    # RecBole's scores come flat, [users * items].
    own = scores.reshape(len(ids), -1)[:, 1:].float().cpu().numpy()
    products = (users[ids].float() @ items[1:].float().t()).cpu().numpy()
    return own.shape == products.shape and bool(np.allclose(own, products, rtol=1e-4, atol=1e-5))
