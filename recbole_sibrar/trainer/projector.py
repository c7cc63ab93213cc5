"""Embeddings for TensorBoard's Projector, written at the end of a training."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from recbole.trainer import Trainer
from torch import Tensor

from recbole_sibrar.checkpoint_loading import identify, load_checkpoint
from recbole_sibrar.model.concatenation import CollaborativeContentEncoder
from recbole_sibrar.model.multimodal import MultimodalRecommender
from recbole_sibrar.names import SIDES, Side
from recbole_sibrar.trainer.training_state import training_state

__all__ = ["COLOURING", "FUSED", "LIMIT", "projector_points", "write_embeddings"]

LIMIT = 10_000
"""Largest number of points of a side; a browser becomes slow with more."""

COLOURING = (
    "tensorboard: the embeddings are in the tab Projector; 'Color by' modality there tells the "
    "modalities apart"
)
"""Line of the log after the embeddings are written."""

FUSED = "fused"
"""Label of a point for all modalities of an entity together."""


def write_embeddings(trainer: Trainer) -> None:
    """Write the embeddings of items and users for the Projector, labelled with token and modality.

    Args:
        trainer: RecBole's trainer, after training.
    """
    dataset = training_state(trainer).loader.dataset
    seed = trainer.config["seed"]
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
    # TensorBoard's projector_config.proto has no field for the first colouring.
    trainer.logger.info(COLOURING)


@contextmanager
def _as_tested(trainer: Trainer) -> Iterator[MultimodalRecommender]:
    """Give the model the parameters of the best epoch, if they were saved, within a ``with`` block.

    These are the parameters of RecBole's test.
    """
    model = trainer.model
    file = trainer.saved_model_file
    was_training = model.training
    last = copy.deepcopy(model.state_dict())

    # A file of that name may be of another run: it counts only as this trainer has written it.
    written = training_state(trainer).written_checkpoint
    if written and written == identify(file):
        content = torch.load(file, map_location=trainer.device, weights_only=False)
        model.load_state_dict(content["state_dict"])
    elif trainer.config["resume"]:
        model.load_state_dict(load_checkpoint(file, trainer.device)["state_dict"])

    model.eval()
    try:
        yield model
    finally:
        model.load_state_dict(last)
        model.train(was_training)


@torch.no_grad()
def projector_points(
    model: MultimodalRecommender, side: Side, seed: int, limit: int = LIMIT
) -> tuple[Tensor, list[str], Tensor]:
    """Encode each entity, fused and by each of its modalities alone.

    An entity with a learnt embedding of CLCRec has no other point: its content serves only entities
    without one.

    Args:
        model: The model, in evaluation mode.
        side: ``user`` or ``item``.
        seed: Seed of the sample, drawn of more points than the limit; an entity has all of its
            points or none.
        limit: Largest number of points.

    Returns:
        Entity of each of the ``n`` points, int64 ``[n]``; its modality or :data:`FUSED`; embedding,
        float ``[n, k]``.
    """
    encoder = model.encoder_of(side)
    there = encoder.availability
    if isinstance(encoder, CollaborativeContentEncoder):
        there = there & ~encoder.trained[:, None]

    chosen = _sample(there, seed, limit)
    # encode_users and encode_items fuse the modalities like a recommendation does.
    embed = model.encode_users if side == "user" else model.encode_items
    entities = [chosen]
    labels = [FUSED] * len(chosen)
    points = [embed(chosen)]

    for column, name in enumerate(encoder.modalities):
        having = chosen[there[chosen, column]]
        entities.append(having)
        labels += [name] * len(having)
        points.append(encoder.encode(having, (column,))[0])

    return torch.cat(entities), labels, torch.cat(points)


def _sample(there: Tensor, seed: int, limit: int) -> Tensor:
    """Return all entities except the padding, or a random part of them within the limit of points.

    Args:
        there: bool ``[n_entities, n_modalities]``: True for modalities with a point.
        seed: Seed of the draw.
        limit: Largest number of points.
    """
    # one point for each modality, and one for all together
    n_points = there[1:].sum(1).cpu() + 1
    order = torch.from_numpy(np.random.default_rng(seed).permutation(len(n_points)))
    chosen = order[n_points[order].cumsum(0) <= limit]
    # the padding was left out
    return chosen.sort().values.to(there.device) + 1
