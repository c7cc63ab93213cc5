"""Hiding of a share of the values of a modality."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from hashlib import blake2b

import numpy as np
import torch
from torch import Tensor

from recbole_sibrar.data.modality import ModalityTable


def hide_values(
    table: ModalityTable, rate: float, tokens: Sequence[str], seed: int
) -> ModalityTable:
    """Hide the values of a random share of the entities.

    Each entity draws a number between 0 and 1 from its original id, the name of the modality and
    the seed. A higher rate therefore hides the values of a lower one and more, and other models
    hide the same.

    Args:
        table: The modality.
        rate: Share of the entities.
        tokens: Original id of each entity.
        seed: RecBole's ``seed``.
    """
    # From original ids, as internal ones depend on the order of the file and on filters.
    drawn = np.array([_draw(f"{seed}\t{table.name}\t{token}") for token in tokens])
    kept = torch.from_numpy(drawn >= rate)
    return with_available(table, table.available & kept)


def _draw(text: str) -> float:
    """Draw a number from 0 to below 1 that depends on a text alone."""
    # Python's own hash of a text differs from process to process.
    digest = blake2b(text.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64


def with_available(table: ModalityTable, available: Tensor) -> ModalityTable:
    """Return a table with fewer available values.

    Args:
        table: The modality.
        available: bool ``[n_entities]``; True only where the table has a value.
    """
    if table.indices is None or table.offsets is None:
        return replace(table, available=available)

    sizes = table.offsets.diff()
    kept = available.repeat_interleave(sizes)
    offsets = torch.cat([sizes.new_zeros(1), (sizes * available).cumsum(0)])
    return replace(table, available=available, indices=table.indices[kept], offsets=offsets)
