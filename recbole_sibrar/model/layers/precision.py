"""Precision of the matrix products of the encoders in training."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional

from recbole_sibrar.model.layers.cpu import capabilities, has_faster_products

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


_BLOCK = {"auto": 128, "medium": 512}
"""Rows of a product by oneDNN are a multiple of this; the rest is computed by itself.

A CPU generates the code of such a product for its number of rows, which takes longer than a small
product itself. Distinct cells are counted anew in each step, and would need it each time.
"""

_FEWEST = 1 << 23
"""Multiplications of a product from which on oneDNN saves more time than its calls take."""


class _Product(torch.autograd.Function):
    """``functional.linear`` with all three products by oneDNN.

    With y = x W^T + b and the gradient g of y, those of x, W and b are g W, g^T x and the sum of
    the rows of g.
    """

    @staticmethod
    def forward(ctx: Any, rows: Tensor, weight: Tensor, bias: Tensor, block: int) -> Tensor:
        ctx.save_for_backward(rows, weight)
        ctx.whole = whole = len(rows) - len(rows) % block
        result = rows.new_empty((len(rows), len(weight)))
        with products_in("medium"):
            torch.mm(rows[:whole], weight.t(), out=result[:whole]).add_(bias)
        torch.addmm(bias, rows[whole:], weight.t(), out=result[whole:])
        return result

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        rows, weight = ctx.saved_tensors
        (gradient,) = gradients
        whole = ctx.whole
        by_rows: Tensor | None = None
        if ctx.needs_input_grad[0]:  # vectors of the data have none
            by_rows = torch.empty_like(rows)
            torch.mm(gradient[whole:], weight, out=by_rows[whole:])

        with products_in("medium"):
            by_weight = gradient[:whole].t() @ rows[:whole]
            if by_rows is not None:
                torch.mm(gradient[:whole], weight, out=by_rows[:whole])
        by_weight.addmm_(gradient[whole:].t(), rows[whole:])
        return by_rows, by_weight, gradient.sum(0), None


_product: Callable[[Tensor, Tensor, Tensor, int], Tensor] = _Product.apply


@cache
def _float32_is_faster() -> bool:
    return torch.backends.mkldnn.is_available() and has_faster_products(capabilities())


def _block(precision: str, device: str) -> int:
    """Rows of a block of a product by oneDNN; 0 for a product by torch's choice."""
    # Autocast has a type of its own.
    if precision == "highest" or torch.is_autocast_enabled(device):
        return 0
    # On a GPU the setting that means oneDNN here would round the factors.
    if precision == "auto" and not (device == "cpu" and _float32_is_faster()):
        return 0
    return _BLOCK[precision]


def linear(rows: Tensor, weight: Tensor, bias: Tensor, precision: str) -> Tensor:
    """Compute ``functional.linear``, and its gradients, in a precision.

    Args:
        rows: float ``[n, in]``.
        weight: float ``[out, in]``.
        bias: float ``[out]``.
        precision: ``auto`` (float32, by the faster library), ``highest`` (by torch's choice) or
            ``medium`` (the precision of that name in torch).
    """
    block = _block(precision, rows.device.type)
    if not block or len(rows) < block or len(rows) * weight.numel() < _FEWEST:
        return functional.linear(rows, weight, bias)
    return _product(rows, weight, bias, block)


class Precise(nn.Module):
    """Layer whose products can have a precision of their own in training."""

    precision: str = "highest"
    """Precision of :func:`linear`."""

    def linear(self, rows: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        """Compute :func:`linear` in the precision of the layer; inference keeps all digits."""
        return linear(rows, weight, bias, self.precision if self.training else "highest")


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
    """Set the precision of :func:`linear` for all layers of a module that can have one.

    Example:
        >>> layer = Linear(3, 2)
        >>> set_precision(layer, "auto")
        >>> layer.precision
        'auto'
    """
    for layer in module.modules():
        if isinstance(layer, Precise):
            layer.precision = precision
