"""Scaling of numbers and vectors before their projection, by statistics of the training entities."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional

from recbole_sibrar.config import EncoderConfig
from recbole_sibrar.data.modality import ModalityKind, ModalityTable
from recbole_sibrar.names import RESERVED_NAMES

_NUMBERS_A_BLOCK = 1 << 22
"""How many numbers of a modality are copied at a time; it may be mapped from a file that is larger than memory."""


class Standardization(nn.Module):
    """Shift and divide each dimension: ``[n, size] -> [n, size]``, (x - mean) / standard deviation.

    A dimension that is constant in training becomes 0. The statistics are buffers of the ``state_dict``: a checkpoint
    is used with those of its training, whatever the data files hold by then.

    Args:
        mean: float ``[size]``.
        deviation: float ``[size]``; 0 where the dimension is constant.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, mean: Tensor, deviation: Tensor) -> None:
        super().__init__()
        self.register_buffer("mean", mean)
        self.register_buffer("deviation", deviation)

    def forward(self, values: Tensor) -> Tensor:
        """Scale ``[n, size]``."""
        scaled = (values - self.mean) / torch.where(self.deviation > 0, self.deviation, 1)
        return scaled * (self.deviation > 0)

    def extra_repr(self) -> str:
        """Number of dimensions, for the printed model."""
        return f"size={len(self.mean)}"


class UnitLength(nn.Module):
    """Division of each vector by its length: ``[n, size] -> [n, size]``; a vector of zeros stays one."""

    def forward(self, values: Tensor) -> Tensor:
        """Scale ``[n, size]``."""
        return functional.normalize(values, dim=1)


def scaling_of(config: EncoderConfig, table: ModalityTable) -> str:
    """Name of the scaling of a modality: ``standard``, ``l2`` or ``none``.

    Args:
        config: The configuration of the side.
        table: Any modality; only fields with numbers or vectors are scaled.
    """
    if table.name in RESERVED_NAMES:
        return "none"
    if table.kind is ModalityKind.SCALAR:
        return config.normalize_numbers.of(table.name)
    return config.normalize_vectors.of(table.name) if table.kind is ModalityKind.VECTOR else "none"


def make_scaling(config: EncoderConfig, table: ModalityTable, trained: Tensor) -> nn.Module:
    """Make what scales the values of a modality.

    Args:
        config: The configuration of the side.
        table: The modality.
        trained: bool ``[n_entities]``: which entities have training interactions.
    """
    scaling = scaling_of(config, table)
    if scaling == "standard":
        return Standardization(*statistics(table, trained))
    return UnitLength() if scaling == "l2" else nn.Identity()


def statistics(table: ModalityTable, trained: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of each dimension over the training entities that have a value.

    Args:
        table: A modality with numbers or vectors.
        trained: bool ``[n_entities]``.

    Returns:
        float32 ``[size]`` each; the deviation is 0 for a constant dimension, and where no entity has a value.
    """
    entities = (table.available & trained).nonzero().flatten()
    count = max(len(entities), 1)
    total = torch.zeros(table.size, dtype=torch.float64)
    lowest, highest = total + torch.inf, total - torch.inf
    for values in blocks(table, entities):
        total += values.sum(0)
        lowest = torch.minimum(lowest, values.amin(0))
        highest = torch.maximum(highest, values.amax(0))

    mean = total / count
    squares = torch.zeros_like(total)
    for values in blocks(table, entities):
        squares += (values - mean).square().sum(0)

    deviation = (squares / count).sqrt()
    deviation[highest <= lowest] = 0  # rounding leaves a little where all values are the same
    return mean.float(), deviation.float()


def blocks(table: ModalityTable, entities: Tensor) -> Iterator[Tensor]:
    """Values of some entities in float64, ``[m, size]`` at a time.

    Args:
        table: A modality with numbers or vectors.
        entities: int64 ``[n]``.
    """
    for part in entities.split(max(_NUMBERS_A_BLOCK // table.size, 1)) if len(entities) else ():
        yield table.values_of(part).double()
