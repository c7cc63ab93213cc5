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
            Positions of the modalities, int64 ``[b, n]``, and bool ``[b, n]``: False where an entity has fewer.

        Example:
            >>> sampler = ModalitySampler()
            >>> columns, drawn = sampler.draw(torch.tensor([[True, False, True], [False, True, False]]), 2, first=2)
            >>> columns[0].tolist(), drawn.tolist()
            ([2, 0], [[True, True], [True, False]])
        """
        # the largest of independent uniform numbers are a uniform draw without replacement
        priority = torch.rand(available.shape, device=available.device)
        if first >= 0:
            priority[:, first] = 2

        n_drawn = min(n, available.shape[1])
        largest = priority.masked_fill(~available, -1).topk(n_drawn, dim=1)
        columns = largest.indices
        drawn = largest.values >= 0

        if self.counts is not None:
            self.counts.index_add_(0, columns.flatten(), drawn.flatten().long())
        return columns, drawn
