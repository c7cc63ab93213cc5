"""What TensorBoard and Weights & Biases get of a training, beside RecBole's total loss and validation score.

Everything goes through the writer and the logger that RecBole's trainer owns; nothing here draws a random number from a
generator that training uses.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from recbole.trainer import Trainer
from torch import Tensor

from recbole_sibrar.config import evaluation_config
from recbole_sibrar.model.multimodal import MultimodalRecommender
from recbole_sibrar.names import SIDES, Side
from recbole_sibrar.trainer.projector import write_embeddings


def record_validation(trainer: Trainer, result: Mapping[str, float]) -> None:
    """Write all metrics of the validation after an epoch of training; Weights & Biases has them from RecBole.

    Args:
        trainer: RecBole's trainer.
        result: The validation's metrics.
    """
    if evaluation_config(trainer.config).tensorboard == "none" or not trainer.train_loss_dict:
        return
    for metric, value in result.items():
        trainer.tensorboard.add_scalar(f"Valid/{metric}", value, max(trainer.train_loss_dict))


def train_epoch(original: Any, trainer: Trainer, train_data: Any, epoch_idx: int, *args: Any, **kwargs: Any) -> Any:
    """Train an epoch of one of our models, and write the parts of its loss and what was drawn."""
    model = trainer.model
    if not isinstance(model, MultimodalRecommender) or evaluation_config(trainer.config).tensorboard == "none":
        return original(trainer, train_data, epoch_idx, *args, **kwargs)
    with counting_draws(model) as counts:
        losses = original(trainer, train_data, epoch_idx, *args, **kwargs)
    scalars = {**loss_parts(model, losses), **drawn_shares(model, counts)}
    for tag, value in scalars.items():
        trainer.tensorboard.add_scalar(tag, value, epoch_idx)
    # RecBole's own message about the epoch follows and commits both as one step
    trainer.wandblogger.log_metrics({**scalars, "train_step": epoch_idx}, head="train", commit=False)
    return losses


@contextmanager
def counting_draws(model: MultimodalRecommender) -> Iterator[dict[Side, Tensor]]:
    """Count the modalities that training draws, within a ``with`` block.

    Args:
        model: The model that is trained in the block.

    Yields:
        For each side int64 ``[n_modalities]``, where the model is: how often each was drawn so far.
    """
    counts: dict[Side, Tensor] = {}
    for side in SIDES:
        encoder = model.encoder_of(side)
        zeros = torch.zeros(len(encoder.modalities), dtype=torch.long, device=encoder.availability.device)
        encoder.draw_counts = counts[side] = zeros
    try:
        yield counts
    finally:
        for side in SIDES:
            model.encoder_of(side).draw_counts = None


def draws(model: Any) -> dict[Side, list[int]]:
    """How often each modality was drawn so far in a :func:`counting_draws` block around this; nothing without one."""
    if not isinstance(model, MultimodalRecommender):
        return {}
    counts = {side: model.encoder_of(side).draw_counts for side in SIDES}
    return {side: drawn.tolist() for side, drawn in counts.items() if drawn is not None}


def add_draws(model: Any, drawn: Mapping[Side, list[int]]) -> None:
    """Count what an interrupted epoch has drawn, as :func:`draws` returned it."""
    for side in draws(model).keys() & drawn.keys():
        counts = model.encoder_of(side).draw_counts
        counts += torch.tensor(drawn[side], device=counts.device)


def loss_parts(model: MultimodalRecommender, losses: float | tuple[float, ...]) -> dict[str, float]:
    """The parts of an epoch's loss by name.

    Args:
        model: The model.
        losses: What RecBole's trainer returns for an epoch: the sums over its batches.

    Returns:
        Tag -> loss; nothing for a model whose ``calculate_loss`` has other parts than those of the base class.
    """
    parts = losses if isinstance(losses, tuple) else (losses,)
    names = loss_names(model)
    return {f"Loss/{name}": part for name, part in zip(names, parts, strict=True)} if len(names) == len(parts) else {}


def loss_names(model: MultimodalRecommender) -> list[str]:
    """Names of the parts of a model's loss, in their order."""
    return ["recommendation", *(f"contrastive_{side}" for side in SIDES if model.encoder_of(side).contrasts)]


def drawn_shares(model: MultimodalRecommender, counts: Mapping[Side, Tensor]) -> dict[str, float]:
    """The share that each modality has of the draws of its side.

    Args:
        model: The model.
        counts: For each side int64 ``[n_modalities]``.

    Returns:
        Tag -> share; nothing for a side that draws none.
    """
    shares = {}
    for side, drawn in counts.items():
        numbers = drawn.tolist()
        if any(numbers):
            names = model.encoder_of(side).modalities
            shares.update({f"Drawn/{side}/{name}": n / sum(numbers) for name, n in zip(names, numbers, strict=True)})
    return shares


def end_training(original: Any, trainer: Trainer, *args: Any, **kwargs: Any) -> None:
    """RecBole's last step of a training, and then the embeddings if they are asked for."""
    original(trainer, *args, **kwargs)
    if evaluation_config(trainer.config).tensorboard != "embeddings":
        return
    if not isinstance(trainer.model, MultimodalRecommender):
        trainer.logger.info(f"tensorboard: {trainer.config['model']} encodes no modalities, so there are no embeddings")
    elif trainer.config["single_spec"] or trainer.config["local_rank"] == 0:
        write_embeddings(trainer)
