"""Modality sampling: random choice of the modalities that a training step encodes."""

from __future__ import annotations

import torch
from torch import Tensor


class ModalitySampler:
    """Draw available modalities for the occurrences of entities ([A] section 3.2).

    Attributes:
        counts: int64 ``[n_modalities]``, increased by each draw; None while nobody counts.
    """

    counts: Tensor | None

    def __init__(self) -> None:
        self.counts = None

    def draw(self, available: Tensor, n: int, first: int = -1) -> tuple[Tensor, Tensor]:
        """Draw distinct available modalities uniformly, anew for each occurrence.

        Args:
            available: bool ``[b, n_modalities]``, a row for each occurrence.
            n: Number of modalities to draw.
            first: Modality that always comes first where it is available; -1 for none.

        Returns:
            Positions of the modalities, int64 ``[b, n]``, and bool ``[b, n]``: False where an
            entity has fewer.

        Example:
            >>> sampler = ModalitySampler()
            >>> available = torch.tensor([[True, False, True], [False, True, False]])
            >>> columns, drawn = sampler.draw(available, 2, first=2)
            >>> columns[0].tolist(), drawn.tolist()
            ([2, 0], [[True, True], [True, False]])
        """
        # The largest of independent uniform numbers are a uniform draw without replacement.
        priority = torch.rand(available.shape, device=available.device)
        if first >= 0:
            priority[:, first] = 2  # above all others, which are below 1

        n_drawn = min(n, available.shape[1])
        largest = priority.masked_fill(~available, -1).topk(n_drawn, dim=1)
        columns = largest.indices
        drawn = largest.values >= 0

        if self.counts is not None:
            self.counts.index_add_(0, columns.flatten(), drawn.flatten().long())
        return columns, drawn


def keep_any_number(drawn: Tensor) -> Tensor:
    """Keep the first 1, 2, ..., or all of the drawn modalities, each number equally likely.

    Args:
        drawn: bool ``[b, m]``, from :meth:`ModalitySampler.draw`; True comes before False in a row.

    Returns:
        bool ``[b, m]``; a row of False stays one.

    Example:
        >>> keep_any_number(torch.tensor([[True, False, False], [False, False, False]])).tolist()
        [[True, False, False], [False, False, False]]
    """
    n_drawn = drawn.sum(1, keepdim=True)
    # [b, 1], from 1 to n_drawn. torch.randint knows one upper bound for all rows only.
    n_kept = (torch.rand(n_drawn.shape, device=drawn.device) * n_drawn).long() + 1
    positions = torch.arange(drawn.shape[1], device=drawn.device)
    return drawn & (positions < n_kept)
