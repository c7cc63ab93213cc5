"""Explanation of a training loss without a finite value, by the field with the largest values."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from recbole.trainer import Trainer
from torch import Tensor, nn

from recbole_sibrar.data.atomic import DataError
from recbole_sibrar.data.modality import ModalityKind
from recbole_sibrar.model.layers import DenseLayer
from recbole_sibrar.model.multimodal import MultimodalRecommender
from recbole_sibrar.names import RESERVED_NAMES, SIDES, Side

_UNUSUAL = 100.0
"""Size of an input from which on it is named as a possible reason."""

_BLOCK = 4096
"""Entities that are projected at a time."""


def check_nan(original: Callable[..., None], trainer: Trainer, loss: Tensor) -> None:
    """Check that a loss is finite.

    Raises:
        DataError: The loss of one of our models is no number.
    """
    # RecBole checks for NaN alone, but an infinite loss leaves no finite parameter either
    model = trainer.model
    # The scaler of torch skips a step that overflows.
    scales_losses = getattr(trainer, "enable_scaler", False)
    is_wrong = bool(loss.isnan()) or (bool(loss.isinf()) and not scales_losses)
    if is_wrong and isinstance(model, MultimodalRecommender):
        raise DataError(explain(model, loss.item(), trainer.config["learning_rate"]))
    original(trainer, loss)


@dataclass(frozen=True)
class Projected:
    """A field of numbers or vectors at a moment of the training."""

    side: Side
    """Side of the field."""
    name: str
    """Name of the field."""
    advice: str
    """Advice about large values."""
    largest: float
    """Largest absolute value that its projection gets."""
    is_finite: bool
    """True for a projection with finite values only."""


def explain(model: MultimodalRecommender, loss: float, learning_rate: float) -> str:
    """Name the likely reason of a loss without a finite value.

    It is a field that overflows, or else the field with the largest values.

    Args:
        model: The model, with the parameters that the loss was computed with.
        loss: The loss.
        learning_rate: RecBole's ``learning_rate``.
    """
    # with a parameter that is not finite, every projection would overflow
    projected = list(_projected_fields(model))
    overflowing = []
    if all(bool(parameter.isfinite().all()) for parameter in model.parameters()):
        overflowing = [one for one in projected if not one.is_finite]
    worst = max(overflowing or projected, key=lambda one: one.largest, default=None)
    if worst is None or worst.largest < _UNUSUAL:
        return f"the training loss is {loss}; a learning_rate below {learning_rate:g} may help"
    return (
        f"the training loss is {loss}: the {worst.side} field '{worst.name}' has values up to "
        f"{worst.largest:.3g}, the largest of all fields; {worst.advice}, or try a learning_rate "
        f"below {learning_rate:g}"
    )


@torch.no_grad()
def _projected_fields(model: MultimodalRecommender) -> Iterator[Projected]:
    for side in SIDES:
        encoder = model.encoder_of(side)
        for column, name in enumerate(encoder.modalities):
            projection = encoder.projections[column]
            layer = next(iter(projection.children()), None)
            if name in RESERVED_NAMES or not isinstance(layer, DenseLayer):
                continue

            largest = 0.0
            is_finite = True
            available = encoder.availability[:, column].nonzero().flatten()
            for entities in available.split(_BLOCK) if len(available) else ():
                largest = max(largest, float(layer.inputs(entities).abs().max()))
                is_finite = is_finite and bool(projection(entities).isfinite().all())
            yield Projected(side, name, _advice(layer, name), largest, is_finite)


def _advice(layer: DenseLayer, name: str) -> str:
    if not isinstance(layer.scaling, nn.Identity):
        return "look for outliers in it"
    key = "normalize_vectors"
    if layer.kind == ModalityKind.SCALAR.value:
        key = "normalize_numbers"
    return f"scale it by {key}: {{{name}: standard}}"
