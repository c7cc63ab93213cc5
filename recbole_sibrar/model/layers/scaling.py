"""Scaling of numbers and vectors before their projection, by statistics of training."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional

from recbole_sibrar.config import EncoderConfig
from recbole_sibrar.data.modality import ModalityKind, ModalityTable
from recbole_sibrar.names import RESERVED_NAMES

_NUMBERS_A_BLOCK = 1 << 22
"""Numbers of a modality to copy at a time; it may be mapped from a file larger than memory."""


class Standardization(nn.Module):
    """Standardise each dimension: ``[n, size] -> [n, size]``, (x - mean) / standard deviation.

    A constant dimension of the training data becomes 0. The statistics are buffers of the
    ``state_dict``: a checkpoint keeps those of its training, also when the data files have changed.

    Args:
        mean: float ``[size]``.
        deviation: float ``[size]``; 0 where the dimension is constant.

    Example:
        >>> scaling = Standardization(torch.tensor([2.0, 5.0]), torch.tensor([0.5, 0.0]))
        >>> scaling(torch.tensor([[3.0, 9.0]])).tolist()
        [[2.0, 0.0]]
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, mean: Tensor, deviation: Tensor) -> None:
        super().__init__()
        self.register_buffer("mean", mean)
        self.register_buffer("deviation", deviation)

    def forward(self, values: Tensor) -> Tensor:
        """Scale ``[n, size]``."""
        varies = self.deviation > 0
        scaled = (values - self.mean) / torch.where(varies, self.deviation, 1)
        # A new entity may differ where training had one value: nothing was learnt about that.
        return scaled * varies

    def extra_repr(self) -> str:
        """Give the number of dimensions, for the printed model."""
        return f"size={len(self.mean)}"


class UnitLength(nn.Module):
    """Divide each vector by its length: ``[n, size] -> [n, size]``; a vector of zeros stays one.

    Example:
        >>> lengths = UnitLength()(torch.tensor([[3.0, 4.0], [0.0, 0.0]])).norm(dim=1)
        >>> [round(length, 4) for length in lengths.tolist()]
        [1.0, 0.0]
    """

    def forward(self, values: Tensor) -> Tensor:
        """Scale ``[n, size]``."""
        return functional.normalize(values, dim=1)


def scaling_of(config: EncoderConfig, table: ModalityTable) -> str:
    """Return the scaling of a modality: ``standard``, ``l2`` or ``none``.

    Args:
        config: Configuration of the side.
        table: Any modality; only fields with numbers or vectors are scaled.
    """
    if table.name in RESERVED_NAMES:
        return "none"
    if table.kind is ModalityKind.SCALAR:
        return config.normalize_numbers.of(table.name)
    if table.kind is ModalityKind.VECTOR:
        return config.normalize_vectors.of(table.name)
    return "none"


def make_scaling(config: EncoderConfig, table: ModalityTable, trained: Tensor) -> nn.Module:
    """Make the layer that scales the values of a modality.

    Args:
        config: Configuration of the side.
        table: The modality.
        trained: bool ``[n_entities]``: True for entities with training interactions.
    """
    scaling = scaling_of(config, table)
    if scaling == "standard":
        return Standardization(*statistics(table, trained))
    return UnitLength() if scaling == "l2" else nn.Identity()


def statistics(table: ModalityTable, trained: Tensor) -> tuple[Tensor, Tensor]:
    """Compute mean and standard deviation of each dimension over training entities.

    Args:
        table: A modality with numbers or vectors.
        trained: bool ``[n_entities]``: True for entities with training interactions.

    Returns:
        float32 ``[size]`` each, over the entities with a value; the deviation is 0 for a constant
        dimension, and without such an entity.

    Example:
        >>> from recbole_sibrar.data.modality import dense_table
        >>> available = torch.tensor([False, True, True, True])  # entity 3 is new
        >>> years = torch.tensor([[0.0], [1.0], [3.0], [9.0]])
        >>> table = dense_table("year", ModalityKind.SCALAR, years, available, 1)
        >>> statistics(table, torch.tensor([False, True, True, False]))
        (tensor([2.]), tensor([1.]))
    """
    # Of training entities alone: held-out ones must not take part in the scaling.
    entities = (table.available & trained).nonzero().flatten()
    count = max(len(entities), 1)
    total = torch.zeros(table.size, dtype=torch.float64)
    lowest = total + torch.inf
    highest = total - torch.inf
    for values in blocks(table, entities):
        total += values.sum(0)
        lowest = torch.minimum(lowest, values.amin(0))
        highest = torch.maximum(highest, values.amax(0))

    # Two passes: the mean of squares minus the squared mean would cancel.
    mean = total / count
    squares = torch.zeros_like(total)
    for values in blocks(table, entities):
        squares += (values - mean).square().sum(0)

    deviation = (squares / count).sqrt()
    deviation[highest <= lowest] = 0  # rounding leaves a little where all values are the same
    return mean.float(), deviation.float()


def blocks(table: ModalityTable, entities: Tensor) -> Iterator[Tensor]:
    """Read the values of some entities in float64, ``[m, size]`` at a time.

    Args:
        table: A modality with numbers or vectors.
        entities: int64 ``[n]``.
    """
    if not len(entities):
        return

    rows = max(_NUMBERS_A_BLOCK // table.size, 1)
    for part in torch.split(entities, rows):
        yield table.values_of(part).double()
