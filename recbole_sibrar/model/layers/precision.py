"""Precision of the matrix products of the encoders in training."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional

__all__ = ["Linear", "Precise", "linear", "products_in", "set_precision"]


@contextmanager
def products_in(precision: str) -> Iterator[None]:
    """Compute float32 products in a precision of torch within a ``with`` block.

    Example:
        >>> with products_in("medium"):
        ...     torch.get_float32_matmul_precision()
        'medium'
    """
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision(precision)
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


_ROWS = 512
"""Rows of a product are a multiple of this; the rest is computed by itself, in float32."""


def _whole(n: int) -> int:
    """Round a number of rows down.

    A CPU generates the code of a bfloat16 product for its number of rows, which takes longer than a
    small product itself. Distinct cells are counted anew in each step, and would need it each time.
    """
    return n - n % _ROWS


class _Product(torch.autograd.Function):
    """``functional.linear`` with all three products in a precision of torch.

    With y = x W^T + b and the gradient g of y, those of x, W and b are g W, g^T x and the sum of
    the rows of g.
    """

    @staticmethod
    def forward(ctx: Any, rows: Tensor, weight: Tensor, bias: Tensor, precision: str) -> Tensor:
        ctx.save_for_backward(rows, weight)
        ctx.precision = precision
        whole = _whole(len(rows))
        result = rows.new_empty((len(rows), len(weight)))
        with products_in(precision):
            torch.addmm(bias, rows[:whole], weight.t(), out=result[:whole])
        torch.addmm(bias, rows[whole:], weight.t(), out=result[whole:])
        return result

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        rows, weight = ctx.saved_tensors
        (gradient,) = gradients
        whole = _whole(len(rows))
        by_rows: Tensor | None = None
        if ctx.needs_input_grad[0]:  # vectors of the data have none
            by_rows = torch.empty_like(rows)
            torch.mm(gradient[whole:], weight, out=by_rows[whole:])

        with products_in(ctx.precision):
            by_weight = gradient[:whole].t() @ rows[:whole]
            if by_rows is not None:
                torch.mm(gradient[:whole], weight, out=by_rows[:whole])
        by_weight.addmm_(gradient[whole:].t(), rows[whole:])
        return by_rows, by_weight, gradient.sum(0), None


_product: Callable[[Tensor, Tensor, Tensor, str], Tensor] = _Product.apply


def linear(rows: Tensor, weight: Tensor, bias: Tensor, precision: str | None) -> Tensor:
    """Compute ``functional.linear``, and its gradients, in a precision.

    Args:
        rows: float ``[n, in]``.
        weight: float ``[out, in]``.
        bias: float ``[out]``.
        precision: A precision of ``torch.set_float32_matmul_precision``; None for the current one.
    """
    # Autocast has a type of its own.
    if precision is None or torch.is_autocast_enabled(rows.device.type):
        return functional.linear(rows, weight, bias)
    return _product(rows, weight, bias, precision)


class Precise(nn.Module):
    """Layer whose products can have a precision of their own in training."""

    precision: str | None = None
    """A precision of ``torch.set_float32_matmul_precision``; None for the current one."""

    def linear(self, rows: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        """Compute :func:`linear` in the precision of the layer; inference keeps all digits."""
        return linear(rows, weight, bias, self.precision if self.training else None)


class Linear(Precise, nn.Linear):
    """Linear layer whose products can have a precision of their own in training.

    Example:
        >>> layer = Linear(3, 2)
        >>> set_precision(layer, "medium")
        >>> layer(torch.zeros(4, 3)).shape
        torch.Size([4, 2])
    """

    def forward(self, input: Tensor) -> Tensor:
        """Map ``[n, in]`` to ``[n, out]``."""
        return self.linear(input, self.weight, self.bias)


def set_precision(module: nn.Module, precision: str) -> None:
    """Set the precision of all layers of a module that can have one; ``highest`` changes none.

    Example:
        >>> layer = Linear(3, 2)
        >>> set_precision(layer, "highest")
        >>> layer.precision is None
        True
    """
    for layer in module.modules():
        if isinstance(layer, Precise) and precision != "highest":
            layer.precision = precision
