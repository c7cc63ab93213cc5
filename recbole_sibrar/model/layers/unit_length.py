"""Rows divided by their lengths, with a gradient in fewer passes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

__all__ = ["unit_length"]

_SHORTEST = 1e-12
"""Smallest divisor, that of ``torch.nn.functional.normalize``."""


class _UnitLength(torch.autograd.Function):
    """``torch.nn.functional.normalize``, to the last digit of results and gradients.

    Automatic differentiation goes over the rows about twice as often, which are among the largest tensors of a step.
    """

    @staticmethod
    def forward(ctx: Any, rows: Tensor) -> Tensor:
        length = torch.linalg.vector_norm(rows, dim=1, keepdim=True)
        divisor = length.clamp_min(_SHORTEST)
        divided: Tensor = rows / divisor
        ctx.save_for_backward(divided, length, divisor)
        ctx.dtype = rows.dtype
        return divided

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        divided, length, divisor = ctx.saved_tensors
        (gradient,) = gradients

        # The gradient of x / |x| is (g - y (y g)) / |x|, in the order of operations of automatic differentiation.
        along = (divided / divisor).mul_(gradient).sum(1, keepdim=True).neg_()
        along = torch.where(length >= _SHORTEST, along, 0)
        by_row: Tensor = (gradient / divisor).add_(divided * along)
        return by_row.to(ctx.dtype)


unit_length: Callable[[Tensor], Tensor] = _UnitLength.apply
"""Divide each row of float ``[n, k]`` by its length; a row of zeros stays one."""
