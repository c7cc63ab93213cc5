"""Parts of the loss, drawn modalities and validation metrics for TensorBoard and Weights & Biases.

RecBole itself logs the total loss and the validation score. Everything goes through the writer and
the logger of RecBole's trainer. The random generators of the training stay untouched.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from recbole.trainer import Trainer
from torch import Tensor, nn

from recbole_sibrar.config import evaluation_config
from recbole_sibrar.model.multimodal import MultimodalRecommender
from recbole_sibrar.names import SIDES, Side
from recbole_sibrar.trainer.projector import write_embeddings

__all__ = [
    "add_draws",
    "counting_draws",
    "drawn_shares",
    "draws",
    "end_training",
    "loss_names",
    "loss_parts",
    "record_validation",
    "train_epoch",
]


def record_validation(trainer: Trainer, result: Mapping[str, float]) -> None:
    """Write all metrics of a validation to TensorBoard; RecBole gives them to Weights & Biases.

    Args:
        trainer: RecBole's trainer.
        result: Metrics of the validation.
    """
    if evaluation_config(trainer.config).tensorboard == "none" or not trainer.train_loss_dict:
        return
    for metric, value in result.items():
        trainer.tensorboard.add_scalar(f"Valid/{metric}", value, max(trainer.train_loss_dict))


def train_epoch(
    original: Callable[..., Any],
    trainer: Trainer,
    train_data: object,
    epoch_idx: int,
    *args: object,
    **kwargs: object,
) -> Any:
    """Train an epoch; of our models, write the parts of the loss and the drawn modalities."""
    model = trainer.model
    is_off = evaluation_config(trainer.config).tensorboard == "none"
    if is_off or not isinstance(model, MultimodalRecommender):
        return original(trainer, train_data, epoch_idx, *args, **kwargs)

    with counting_draws(model) as counts:
        losses = original(trainer, train_data, epoch_idx, *args, **kwargs)

    scalars = {**loss_parts(model, losses), **drawn_shares(model, counts)}
    for tag, value in scalars.items():
        trainer.tensorboard.add_scalar(tag, value, epoch_idx)
    # RecBole's own message about the epoch follows and commits both as one step.
    numbers = {**scalars, "train_step": epoch_idx}
    trainer.wandblogger.log_metrics(numbers, head="train", commit=False)
    return losses


@contextmanager
def counting_draws(model: MultimodalRecommender) -> Iterator[dict[Side, Tensor]]:
    """Count the modalities drawn by a training within a ``with`` block.

    Args:
        model: The trained model.

    Yields:
        Draws of each modality so far, int64 ``[n_modalities]`` for each side, on the device of the
        model.
    """
    counts: dict[Side, Tensor] = {}
    for side in SIDES:
        encoder = model.encoder_of(side)
        # on the device, as a number read from it would make every step wait
        device = encoder.availability.device
        zeros = torch.zeros(len(encoder.modalities), dtype=torch.long, device=device)
        encoder.sampler.counts = counts[side] = zeros

    try:
        yield counts
    finally:
        for side in SIDES:
            model.encoder_of(side).sampler.counts = None


def draws(model: nn.Module) -> dict[Side, list[int]]:
    """Return the draws so far in the enclosing :func:`counting_draws` block; empty without one."""
    if not isinstance(model, MultimodalRecommender):
        return {}

    drawn: dict[Side, list[int]] = {}
    for side in SIDES:
        counts = model.encoder_of(side).sampler.counts
        if counts is not None:
            drawn[side] = counts.tolist()
    return drawn


def add_draws(model: MultimodalRecommender, drawn: Mapping[Side, list[int]]) -> None:
    """Add the draws of an interrupted epoch, as returned by :func:`draws`."""
    for side in draws(model).keys() & drawn.keys():
        counts = model.encoder_of(side).sampler.counts
        if counts is not None:
            counts += torch.tensor(drawn[side], device=counts.device)


def loss_parts(model: MultimodalRecommender, losses: float | tuple[float, ...]) -> dict[str, float]:
    """Name the parts of an epoch's loss.

    Args:
        model: The model.
        losses: Sums over the batches, as returned by RecBole's trainer.

    Returns:
        Tag -> loss; empty for a model with other parts than the base class.
    """
    parts = losses if isinstance(losses, tuple) else (losses,)
    names = loss_names(model)
    if len(names) != len(parts):
        return {}
    return {f"Loss/{name}": part for name, part in zip(names, parts, strict=True)}


def loss_names(model: MultimodalRecommender) -> list[str]:
    """Return the names of the parts of a model's loss, in order."""
    names = ["recommendation"]
    for side in SIDES:
        if model.encoder_of(side).contrasts:
            names.append(f"contrastive_{side}")
    return names


def drawn_shares(model: MultimodalRecommender, counts: Mapping[Side, Tensor]) -> dict[str, float]:
    """Return the share of each modality in the draws of its side.

    Args:
        model: The model.
        counts: Draws of each modality, int64 ``[n_modalities]`` for each side.

    Returns:
        Tag -> share; nothing for a side without draws.
    """
    shares: dict[str, float] = {}
    for side, drawn in counts.items():
        numbers = drawn.tolist()
        total = sum(numbers)
        if not total:
            continue

        for name, number in zip(model.encoder_of(side).modalities, numbers, strict=True):
            shares[f"Drawn/{side}/{name}"] = number / total
    return shares


def end_training(
    original: Callable[..., Any],
    trainer: Trainer,
    *args: object,
    **kwargs: object,
) -> None:
    """Do RecBole's last step of a training and, on request, write the embeddings."""
    original(trainer, *args, **kwargs)
    if evaluation_config(trainer.config).tensorboard != "embeddings":
        return

    if not isinstance(trainer.model, MultimodalRecommender):
        trainer.logger.info(
            f"tensorboard: {trainer.config['model']} encodes no modalities, so there are no "
            "embeddings"
        )
    elif trainer.config["single_spec"] or trainer.config["local_rank"] == 0:
        write_embeddings(trainer)
