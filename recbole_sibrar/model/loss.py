"""Losses as pure functions of scores and embeddings."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional


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
    return (torch.logsumexp(torch.cat([positive[:, None], corrected], dim=1), dim=1) - positive).mean()


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
    logits = first @ second.transpose(1, 2) / temperature  # [sets, size, size]
    lowest = torch.finfo(logits.dtype).min
    logits = logits.masked_fill(~valid[:, None, :] | ~valid[:, :, None], lowest)
    diagonal = logits.diagonal(dim1=1, dim2=2)  # [sets, size]
    terms = logits.logsumexp(dim=2) + logits.logsumexp(dim=1) - 2 * diagonal
    return terms.masked_fill(~valid, 0).sum() / valid.sum().clamp(min=1)
