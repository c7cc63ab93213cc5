"""Missing values: hide them for an evaluation, and fill in embeddings for entities without any."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from recbole_sibrar.parallel.synchronization import Ranks

if TYPE_CHECKING:
    from recbole_sibrar.model.encoder import EntityEncoder


@contextmanager
def hide_cells(encoder: EntityEncoder, hidden: Tensor) -> Iterator[None]:
    """Encode as if cells were missing, within a ``with`` block ([A], missing modalities).

    An entity with nothing left gets the mean of the training entities' embeddings with nothing
    hidden: a deployed model knows that mean from its training.

    Args:
        encoder: Encoder of the side.
        hidden: bool ``[n_entities, n_modalities]``, columns in the order of ``encoder.modalities``.

    Raises:
        ValueError: ``hidden`` has another shape or type.

    Example:
        >>> from recbole_sibrar.model import SiBraR
        >>> from recbole_sibrar.model.example import ExampleData
        >>> data = ExampleData()
        >>> encoder = SiBraR(data.config("SiBraR"), data).encoder_of("item")
        >>> hidden = torch.zeros_like(encoder.availability)
        >>> hidden[1] = True  # everything of item 1
        >>> with hide_cells(encoder, hidden):
        ...     encoder.encode(torch.tensor([1, 2]))[1].tolist()
        [False, True]
    """
    available, stand_in = encoder.availability, encoder.stand_in
    if hidden.shape != available.shape or hidden.dtype != torch.bool:
        raise ValueError(
            f"hidden {encoder.config.side} cells: found {hidden.dtype} {list(hidden.shape)}, "
            f"allowed is torch.bool {list(available.shape)}"
        )

    # Before anything is hidden: the mean is that of all values.
    encoder.stand_in = encoder.encode_mean()
    encoder.availability = available & ~hidden.to(available.device)
    try:
        yield
    finally:
        encoder.availability, encoder.stand_in = available, stand_in


def fill_missing(embeddings: Tensor, has_any: Tensor, ranks: Ranks | None = None) -> Tensor:
    """Give occurrences without any modality the mean of the batch's others, as a constant.

    Args:
        embeddings: float ``[b, k]``.
        has_any: bool ``[b]``: False for occurrences without any modality.
        ranks: Processes that share the batch; None for a single one.

    Example:
        >>> embeddings = torch.tensor([[1.0], [3.0], [0.0]])
        >>> fill_missing(embeddings, torch.tensor([True, True, False])).flatten().tolist()
        [1.0, 3.0, 2.0]
    """
    missing = ~has_any
    # All ranks have to take part in the sum, also those without a missing one.
    if ranks is None and not bool(missing.any()):
        return embeddings

    # Sum and number in one vector, so that the ranks exchange one message.
    known = embeddings.detach()[~missing]
    sums = torch.cat([known.sum(0), embeddings.new_tensor([len(known)])])
    if ranks is not None:
        sums = ranks.total(sums)

    # A constant, as the embeddings were detached: nothing is learnt from missing values.
    mean = sums[:-1] / sums[-1].clamp(min=1)
    return torch.where(missing[:, None], mean, embeddings)


def mean_of_rows(embeddings: Tensor, chosen: Tensor) -> Tensor:
    """Compute the mean of some rows, ``[k]``; zeros without any.

    Args:
        embeddings: float ``[n, k]``.
        chosen: bool ``[n]``.

    Example:
        >>> embeddings = torch.tensor([[1.0, 0.0], [3.0, 4.0], [9.0, 9.0]])
        >>> mean_of_rows(embeddings, torch.tensor([True, True, False])).tolist()
        [2.0, 2.0]
    """
    if not bool(chosen.any()):
        return embeddings.new_zeros(embeddings.shape[1])

    # Some columns at a time: all rows once more may not fit the memory. torch sums up to 64 columns
    # together, so that the digits are those of one mean.
    parts = torch.split(embeddings, 64, dim=1)
    return torch.cat([part[chosen].mean(0) for part in parts])
