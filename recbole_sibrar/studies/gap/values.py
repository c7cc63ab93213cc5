"""Values of single items behind the measures of the modality gap."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import digamma
from torch import Tensor
from torch.nn import functional

CUTOFFS = (1, 10)
"""Lengths of the lists of cross-modal retrieval."""

TIE = 1e-6
"""Cosines that differ by less are a tie.

The same vector, encoded in another batch, differs in its last bits.
"""

_BLOCK = 1 << 24
"""Cells of a block of distances: 64 MiB in float32."""


def values_of_queries(
    x: Tensor, y: Tensor, queries: Tensor, within: bool
) -> dict[str, NDArray[Any]]:
    """Compute the values of each query; the measures are their means.

    Args:
        x: float ``[n, k]``, one modality.
        y: float ``[n, k]``, the other modality of the same items.
        queries: int64 ``[q]``, the items to compare with all.
        within: True for equal ``x`` and ``y``: there is nothing to retrieve.
    """
    unit_x = functional.normalize(x, dim=1)
    unit_y = functional.normalize(y, dim=1)

    values = _cosine_values(unit_x, unit_y, queries, not within)
    values["euclidean_different"] = _euclidean_different(x, y, queries)

    if not within:
        back = _cosine_values(unit_y, unit_x, queries, True)
        # Either modality of a query among those of the other items.
        values["cosine_different"] = (values["cosine_different"] + back["cosine_different"]) / 2
        for name, numbers in back.items():
            if name.startswith(("recall", "mrr")):
                values[f"{name}_reverse"] = numbers
        values["cosine_same"] = _numbers(_cosine_distance(unit_x[queries], unit_y[queries]))
        values["euclidean_same"] = _numbers((x[queries] - y[queries]).norm(dim=1))
    return values


def _numbers(values: Tensor) -> NDArray[Any]:
    return values.double().cpu().numpy()


def _cosine_distance(x: Tensor, y: Tensor) -> Tensor:
    """``[q]``, between rows of unit length (or of zeros); exactly 0 for equal ones."""
    # Not 1 - cos, which rounding keeps from 0: |x - y|^2 = 2 - 2 cos at unit length.
    zeros = (x == 0).all(1) | (y == 0).all(1)
    return ((x - y).square().sum(1) / 2).masked_fill(zeros, 1)


def _products(x: Tensor, y: Tensor, queries: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield blocks of queries ``[b]`` and their dot products with all items ``[b, n]``."""
    for block in torch.split(queries, max(1, _BLOCK // len(y))):
        yield block, x[block] @ y.t()


def _cosine_values(
    x: Tensor, y: Tensor, queries: Tensor, retrieval: bool
) -> dict[str, NDArray[Any]]:
    """Compute the values of each query from its cosines to all items; rows have unit length."""
    parts: list[dict[str, NDArray[Any]]] = []
    others = len(y) - 1
    for block, cosines in _products(x, y, queries):
        own = cosines.gather(1, block[:, None])  # [b, 1]
        values = {"cosine_different": 1 - _numbers((cosines.sum(1) - own[:, 0]) / others)}
        if retrieval:
            # of the same type: several times as fast to sum as truth values
            flags = torch.empty_like(cosines)
            better = _numbers(torch.gt(cosines, own + TIE, out=flags).sum(1))
            not_worse = _numbers(torch.gt(cosines, own - TIE, out=flags).sum(1))
            values |= _retrieval(better, not_worse - better)

        # exp(-2 d^2), as d^2 = 2 - 2 cos
        kernels = cosines.sub_(1).mul_(4).exp_()  # [b, n]
        own_kernels = kernels.gather(1, block[:, None])[:, 0]
        values["kernel"] = _numbers((kernels.sum(1) - own_kernels) / others)
        parts.append(values)

    joined = {}
    for name in parts[0]:
        joined[name] = np.concatenate([part[name] for part in parts])
    return joined


def _retrieval(better: NDArray[Any], tied: NDArray[Any]) -> dict[str, NDArray[Any]]:
    """Return expected recall and reciprocal rank of the right item, with ties broken at random.

    Args:
        better: ``[q]``, number of nearer items.
        tied: ``[q]``, number of equally near items, itself included.
    """
    # The rank is uniform over better + 1 ... better + tied; digamma sums up the reciprocals.
    found = {}
    for k in CUTOFFS:
        found[f"recall@{k}"] = ((k - better) / tied).clip(0, 1)
    found["mrr"] = (digamma(better + tied + 1) - digamma(better + 1)) / tied
    return found


def _euclidean_different(x: Tensor, y: Tensor, queries: Tensor) -> NDArray[Any]:
    """Mean distance of each query to the other items, ``[q]``."""
    # Far from the origin, differences of squares would lose their digits.
    centre = (x.mean(0) + y.mean(0)) / 2
    x, y = x - centre, y - centre
    squares_x = x.square().sum(1)
    squares_y = y.square().sum(1)

    parts = []
    for block, products in _products(x, y, queries):
        # |x - y|^2 = |x|^2 - 2 x y + |y|^2; rounding can bring it below 0.
        squares = products.mul_(-2).add_(squares_x[block, None]).add_(squares_y)
        distances = squares.clamp_(min=0).sqrt_()  # [b, n]
        own = distances.gather(1, block[:, None])[:, 0]
        parts.append((distances.sum(1) - own) / (len(y) - 1))
    return _numbers(torch.cat(parts))
