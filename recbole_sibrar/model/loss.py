"""Losses as pure functions of scores and embeddings."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

_SMALLEST_EXPONENT = -40
"""Terms below e to this power of the largest cannot be seen beside it in float32."""


def bpr_loss(positive: Tensor, negative: Tensor) -> Tensor:
    """Bayesian personalised ranking (Rendle et al., UAI 2009): -log sigmoid(y_pos - y_neg), mean over all negatives.

    Args:
        positive: Scores of the positives, ``[batch]``.
        negative: Scores of their negatives, ``[batch, n]``.

    Example:
        >>> round(bpr_loss(torch.tensor([1.0]), torch.tensor([[1.0]])).item(), 4)
        0.6931
    """
    return functional.softplus(negative - positive[:, None]).mean()


def bce_loss(positive: Tensor, negative: Tensor) -> Tensor:
    """Binary cross-entropy of the sigmoid of the scores, mean over positives and negatives.

    Args:
        positive: Scores of the positives, ``[batch]``.
        negative: Scores of their negatives, ``[batch, n]``.
    """
    terms = functional.softplus(-positive).sum() + functional.softplus(negative).sum()
    return terms / (positive.numel() + negative.numel())


def sampled_softmax_loss(positive: Tensor, negative: Tensor, n_items: int) -> Tensor:
    """Sampled softmax with the log-correction for uniform negatives, mean over the positives.

    -y_pos + log(exp(y_pos) + sum over negatives of exp(y_neg + ln(n_items / n)))

    Args:
        positive: Scores of the positives, ``[batch]``.
        negative: Scores of their negatives, ``[batch, n]``.
        n_items: Number of items that negatives are drawn from.
    """
    corrected = negative + math.log(n_items / negative.shape[1])
    return (log_sum_exp(torch.cat([positive[:, None], corrected], dim=1), dim=1) - positive).mean()


def log_sum_exp(values: Tensor, dim: int) -> Tensor:
    """``values.logsumexp(dim)`` without the terms that float32 cannot see beside the largest one.

    Terms below e^-40 of the largest count as e^-40 and have no gradient. On CPUs the exponentials of very negative
    numbers, and products with the denormal numbers that they give, take many times as long as others, and the
    contrastive loss is full of them.

    Args:
        values: float, finite.
        dim: The dimension that is summed.
    """
    largest = values.detach().amax(dim, keepdim=True)
    return (values - largest).clamp(min=_SMALLEST_EXPONENT).exp().sum(dim).log() + largest.squeeze(dim)


def info_nce_loss(first: Tensor, second: Tensor, valid: Tensor, temperature: float) -> Tensor:
    """Symmetric InfoNCE over sets of entities ([A] equation 3; logits are plain dot products).

    For each set, logits = first second^T / temperature and the loss is the cross-entropy of its rows plus that
    of its columns against the diagonal. The mean is over all valid entities of all sets.

    Args:
        first: One view of each entity, ``[sets, size, k]``.
        second: The other view, same shape.
        valid: bool ``[sets, size]``; entities that are False are no candidates and contribute nothing.
        temperature: Divisor of the logits.

    Returns:
        A number; 0 if no entity is valid.
    """
    return _InfoNCE.apply(first, second, valid, temperature)


class _InfoNCE(torch.autograd.Function):
    """The symmetric loss with its gradient in closed form, softmax of rows plus softmax of columns minus 2 I.

    Automatic differentiation goes through every intermediate ``[sets, size, size]`` again and takes twice as long.
    """

    @staticmethod
    def forward(ctx: Any, first: Tensor, second: Tensor, valid: Tensor, temperature: float) -> Tensor:
        pairs = valid[:, :, None] & valid[:, None, :]
        logits = (first @ second.transpose(1, 2)).div_(temperature)  # [sets, size, size]
        logits.masked_fill_(~pairs, torch.finfo(logits.dtype).min)
        rows, gradient = _soft_max(logits, 2)
        columns, share = _soft_max(logits, 1)
        n_valid = valid.sum().clamp(min=1)
        terms = rows + columns - 2 * logits.diagonal(dim1=1, dim2=2)  # [sets, size]
        gradient += share
        gradient.diagonal(dim1=1, dim2=2).sub_(2)
        ctx.save_for_backward(first, second, gradient.mul_(pairs).div_(temperature * n_valid))
        return terms.masked_fill(~valid, 0).sum() / n_valid

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        first, second, by_logit = ctx.saved_tensors
        by_logit = by_logit * gradients[0]
        return by_logit @ second, by_logit.transpose(1, 2) @ first, None, None


def _soft_max(values: Tensor, dim: int) -> tuple[Tensor, Tensor]:
    """:func:`log_sum_exp` and its gradient, the softmax."""
    largest = values.amax(dim, keepdim=True)
    terms = (values - largest).clamp_(min=_SMALLEST_EXPONENT).exp_()
    total = terms.sum(dim, keepdim=True)
    return (total.log() + largest).squeeze(dim), terms.div_(total)
