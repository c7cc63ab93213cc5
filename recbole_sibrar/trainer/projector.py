"""Embeddings for TensorBoard's Projector, as a training ends."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from recbole.trainer import Trainer
from torch import Tensor

from recbole_sibrar.checkpoint_loading import identify, load_checkpoint
from recbole_sibrar.model.clcrec import CollaborativeContentEncoder
from recbole_sibrar.model.multimodal import MultimodalRecommender
from recbole_sibrar.names import SIDES, Side
from recbole_sibrar.trainer.training_state import training_state

LIMIT = 10_000
"""Points of a side that the Projector gets at most; a browser becomes slow with more."""

FUSED = "fused"
"""What a point is called that stands for all modalities of an entity together."""


def write_embeddings(trainer: Trainer) -> None:
    """Write the embeddings of items and users for the Projector, labelled with token and modality.

    Args:
        trainer: RecBole's trainer, after training.
    """
    dataset, seed = training_state(trainer).loader.dataset, trainer.config["seed"]
    fields = {"user": dataset.uid_field, "item": dataset.iid_field}
    with _as_tested(trainer) as model:
        for side in SIDES:
            entities, labels, points = projector_points(model, side, seed)
            tokens = dataset.id2token(fields[side], entities.cpu().numpy())
            trainer.tensorboard.add_embedding(
                points.cpu(),
                metadata=list(zip(tokens, labels, strict=True)),
                metadata_header=[fields[side], "modality"],
                tag=f"{side}s",
                global_step=max(trainer.train_loss_dict, default=trainer.start_epoch),
            )


@contextmanager
def _as_tested(trainer: Trainer) -> Iterator[MultimodalRecommender]:
    """The model as RecBole tests it, within a ``with`` block: the parameters of the best epoch if they were saved."""
    model, file, training = trainer.model, trainer.saved_model_file, trainer.model.training
    written, last = training_state(trainer).written_checkpoint, copy.deepcopy(trainer.model.state_dict())
    if written and written == identify(file):
        model.load_state_dict(torch.load(file, map_location=trainer.device, weights_only=False)["state_dict"])
    elif trainer.config["resume"]:
        model.load_state_dict(load_checkpoint(file, trainer.device)["state_dict"])
    model.eval()
    try:
        yield model
    finally:
        model.load_state_dict(last)
        model.train(training)


@torch.no_grad()
def projector_points(
    model: MultimodalRecommender, side: Side, seed: int, limit: int = LIMIT
) -> tuple[Tensor, list[str], Tensor]:
    """The embedding of each entity, and one of each of its modalities alone.

    A user or item that CLCRec has learnt an embedding of has no others: content is for those without one.

    Args:
        model: The model, in evaluation mode.
        side: ``user`` or ``item``.
        seed: Of the sample where there are more points than the limit; an entity is in it with all its points.
        limit: Number of points.

    Returns:
        For each of the ``n`` points its entity, int64 ``[n]``, its modality or :data:`FUSED`, and float ``[n, k]``.
    """
    encoder = model.encoder_of(side)
    there = encoder.availability
    if isinstance(encoder, CollaborativeContentEncoder):
        there = there & ~encoder.trained[:, None]  # whatever they have, the others keep their embedding
    chosen = _sample(there, seed, limit)
    embed = model.encode_users if side == "user" else model.encode_items
    entities, labels, points = [chosen], [FUSED] * len(chosen), [embed(chosen)]
    for column, name in enumerate(encoder.modalities):
        having = chosen[there[chosen, column]]
        entities.append(having)
        labels += [name] * len(having)
        points.append(encoder.encode(having, (column,))[0])
    return torch.cat(entities), labels, torch.cat(points)


def _sample(there: Tensor, seed: int, limit: int) -> Tensor:
    """All entities but the padding, or a random part of them whose points are within the limit.

    Args:
        there: bool ``[n_entities, n_modalities]``: the modalities that have a point.
        seed: Of the draw.
        limit: Number of points.
    """
    n_points = there[1:].sum(1).cpu() + 1
    order = torch.from_numpy(np.random.default_rng(seed).permutation(len(n_points)))
    chosen = order[n_points[order].cumsum(0) <= limit]
    return chosen.sort().values.to(there.device) + 1
