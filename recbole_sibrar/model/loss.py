"""Losses as pure functions of scores and embeddings."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx
from torch.nn import functional

from recbole_sibrar.model.encoder import Encoded, EntityEncoder
from recbole_sibrar.model.layers.gathering import gather_rows
from recbole_sibrar.parallel.synchronization import Ranks

_SMALLEST_EXPONENT = -40
"""Terms below e to this power of the largest vanish beside it in float32."""


def bpr_loss(positive: Tensor, negative: Tensor) -> Tensor:
    """Compute the loss of Bayesian personalised ranking (Rendle et al., UAI 2009).

    -log sigmoid(y_pos - y_neg), mean over all negatives.

    Args:
        positive: Scores of the positives, ``[batch]``.
        negative: Scores of their negatives, ``[batch, n]``.

    Example:
        >>> round(bpr_loss(torch.tensor([1.0]), torch.tensor([[1.0]])).item(), 4)
        0.6931
    """
    return functional.softplus(negative - positive[:, None]).mean()


def bce_loss(positive: Tensor, negative: Tensor) -> Tensor:
    """Compute the binary cross-entropy of the sigmoid of the scores, mean over all of them.

    Args:
        positive: Scores of the positives, ``[batch]``.
        negative: Scores of their negatives, ``[batch, n]``.

    Example:
        >>> round(bce_loss(torch.tensor([0.0]), torch.tensor([[0.0, 0.0]])).item(), 4)
        0.6931
    """
    terms = functional.softplus(-positive).sum() + functional.softplus(negative).sum()
    return terms / (positive.numel() + negative.numel())


def sampled_softmax_loss(positive: Tensor, negative: Tensor, n_items: int) -> Tensor:
    """Compute the sampled softmax with the log-correction for uniform negatives.

    Mean over the positives of -y_pos + log(exp(y_pos) + sum over negatives of exp(y_neg +
    ln(n_items / n)))

    Args:
        positive: Scores of the positives, ``[batch]``.
        negative: Scores of their negatives, ``[batch, n]``.
        n_items: Number of items that negatives are drawn from.

    Example:
        >>> negatives = torch.tensor([[0.0, 0.0]])  # each stands for two of four items
        >>> loss = sampled_softmax_loss(torch.tensor([0.0]), negatives, 4)
        >>> math.isclose(loss.item(), math.log(5), rel_tol=1e-6)
        True
    """
    # Each negative stands for n_items / n items.
    corrected = negative + math.log(n_items / negative.shape[1])
    candidates = torch.cat([positive[:, None], corrected], dim=1)  # [batch, 1 + n]
    return (log_sum_exp(candidates, dim=1) - positive).mean()


def present_parts(parts: Sequence[Tensor | None]) -> tuple[Tensor, ...] | Tensor:
    """Select the parts of a loss that there are; a single one comes by itself, as RecBole wants it.

    Example:
        >>> present_parts([torch.tensor(1.0), None])
        tensor(1.)
        >>> present_parts([torch.tensor(1.0), None, torch.tensor(2.0)])
        (tensor(1.), tensor(2.))
    """
    # RecBole sums up a tuple, and logs each of its parts.
    losses = tuple(part for part in parts if part is not None)
    return losses if len(losses) > 1 else losses[0]


def log_sum_exp(values: Tensor, dim: int) -> Tensor:
    """Compute ``values.logsumexp(dim)`` without the terms that vanish beside the largest one.

    Terms below e^-40 of the largest count as e^-40 and have no gradient. On CPUs the exponentials
    of very negative numbers, and products with their denormal results, take many times as long as
    others. The contrastive loss is full of them.

    Args:
        values: float, finite.
        dim: Dimension of the sum.

    Example:
        >>> round(log_sum_exp(torch.tensor([0.0, 0.0, -1e6]), 0).item(), 4) == round(math.log(2), 4)
        True
    """
    # Detached: the largest cancels, and so does its gradient.
    largest = values.detach().amax(dim, keepdim=True)
    terms = (values - largest).clamp(min=_SMALLEST_EXPONENT).exp()
    return terms.sum(dim).log() + largest.squeeze(dim)


def info_nce_loss(first: Tensor, second: Tensor, valid: Tensor, temperature: float) -> Tensor:
    """Compute the symmetric InfoNCE loss over sets of entities ([A] equation 3).

    For each set, logits = first second^T / temperature. The loss is the cross-entropy of their rows
    plus that of their columns against the diagonal; the mean is over all valid entities of all
    sets.

    Args:
        first: One view of each entity, ``[sets, size, k]``.
        second: The other view, same shape.
        valid: bool ``[sets, size]``; entities that are False are no candidates and contribute
            nothing.
        temperature: Divisor of the logits.

    Returns:
        A number; 0 if no entity is valid.

    Example:
        >>> views = torch.ones(1, 2, 3)  # two entities with equal views cannot be told apart
        >>> valid = torch.ones(1, 2, dtype=torch.bool)
        >>> round(info_nce_loss(views, views, valid, 0.1).item(), 4) == round(2 * math.log(2), 4)
        True
    """
    return _info_nce(first, second, valid, temperature)


def contrastive_loss(
    first: Tensor,
    second: Tensor,
    valid: Tensor,
    entities: Tensor,
    size: int | None,
    temperature: float,
    ranks: Ranks | None = None,
) -> Tensor:
    """Contrastive loss of one side of a batch ([A] equation 3).

    Args:
        first: One view of each occurrence, ``[b, k]``.
        second: The other view, same shape.
        valid: bool ``[b]``: True for occurrences with two views.
        entities: int64 ``[b]``, the entity of each occurrence.
        size: Consecutive occurrences per set (a positive item and its negatives); None for one set
            of all distinct entities.
        temperature: Divisor of the logits.
        ranks: Processes that share the batch; None for a single one.

    Example:
        >>> views = torch.eye(2).repeat(2, 1)  # entities 4 and 7, twice
        >>> entities = torch.tensor([4, 7, 4, 7])
        >>> valid = torch.ones(4, dtype=torch.bool)
        >>> in_sets = contrastive_loss(views, views, valid, entities, 2, 1.0)  # two sets of two
        >>> torch.allclose(in_sets, contrastive_loss(views, views, valid, entities, None, 1.0))
        True
    """
    if size is None:
        first, second = distinct_pairs(first, second, entities, valid, ranks)
        if not len(first):
            # With a gradient, which the other processes wait for.
            return (first.sum() + second.sum()) * 0

        all_valid = torch.ones((1, len(first)), dtype=torch.bool, device=first.device)
        return info_nce_loss(first[None], second[None], all_valid, temperature)

    # The mean of a process counts by its share of all valid occurrences.
    sets = (-1, size, first.shape[1])
    loss = info_nce_loss(first.view(sets), second.view(sets), valid.view(-1, size), temperature)
    return loss if ranks is None else loss * ranks.share(valid.sum())


def weighted_contrast(
    encoder: EntityEncoder, encoded: Encoded, entities: Tensor, n_candidates: int | None = None
) -> Tensor | None:
    """Compute the weighted contrastive loss of one side of a batch; None without one.

    Args:
        encoder: Encoder of the side.
        encoded: The occurrences of the batch.
        entities: int64 ``[b]``, the entity of each occurrence.
        n_candidates: Entities per sample: the positive and its negatives. None for a sample of
            one entity (the user): the sets of ``contrastive_scope: sample`` would be trivial, and
            the batch is the set.
    """
    first, second, valid = encoded.first, encoded.second, encoded.valid
    if first is None or second is None or valid is None:
        return None

    # A set is a positive with its negatives, or the distinct entities of the batch.
    settings = encoder.config
    size = n_candidates if settings.contrastive_scope == "sample" else None
    loss = contrastive_loss(
        first, second, valid, entities, size, settings.temperature, encoder.ranks
    )
    return settings.contrastive_weight * loss


def distinct_pairs(
    first: Tensor, second: Tensor, entities: Tensor, valid: Tensor, ranks: Ranks | None = None
) -> tuple[Tensor, Tensor]:
    """Choose the two views of each distinct entity of a batch, over all processes.

    Args:
        first: float ``[b, k]``, one view of each occurrence.
        second: float ``[b, k]``, the other view.
        entities: int64 ``[b]``.
        valid: bool ``[b]``: True for occurrences with two views.
        ranks: Processes that share the batch; None for a single one.

    Example:
        >>> views = torch.tensor([[1.0], [2.0], [3.0]])
        >>> entities = torch.tensor([5, 5, 2])
        >>> valid = torch.tensor([False, True, True])
        >>> chosen, _ = distinct_pairs(views, -views, entities, valid)
        >>> chosen.flatten().tolist()  # of entities 2 and 5
        [3.0, 2.0]
    """
    chosen = first_occurrences(entities, valid)
    first = gather_rows(first, chosen)
    second = gather_rows(second, chosen)
    if ranks is None:
        return first, second

    # Two processes may have an entity each, which counts once.
    entities = ranks.gather(entities[chosen])
    chosen = first_occurrences(entities, torch.ones_like(entities, dtype=torch.bool))
    return gather_rows(ranks.gather(first), chosen), gather_rows(ranks.gather(second), chosen)


def first_occurrences(entities: Tensor, valid: Tensor) -> Tensor:
    """Find the position of the first valid occurrence of each distinct entity.

    Example:
        >>> valid = torch.tensor([True, False, True, True])
        >>> first_occurrences(torch.tensor([7, 3, 7, 3]), valid).tolist()
        [3, 0]
    """
    # The first, not any: which views of an entity are compared must not depend on threads.
    positions = torch.arange(len(entities), device=entities.device)[valid]
    distinct, inverse = torch.unique(entities[valid], return_inverse=True)
    first = torch.full((len(distinct),), len(entities), device=entities.device)
    return first.scatter_reduce(0, inverse, positions, reduce="amin")


class _InfoNCEContext(FunctionCtx):
    """Values that the forward pass leaves to the backward pass."""

    saved_tensors: tuple[Tensor, ...]


class _InfoNCE(torch.autograd.Function):
    """The symmetric loss with its gradient in closed form.

    The gradient is the softmax of rows plus the softmax of columns minus 2 I. Automatic
    differentiation goes through every intermediate ``[sets, size, size]`` again and takes twice as
    long.
    """

    @staticmethod
    def forward(
        ctx: _InfoNCEContext, first: Tensor, second: Tensor, valid: Tensor, temperature: float
    ) -> Tensor:
        # Plain dot products, as in [A]: the views are not brought to length 1.
        logits = (first @ second.transpose(1, 2)).div_(temperature)  # [sets, size, size]
        pairs = _valid_pairs(valid)
        if pairs is not None:
            logits.masked_fill_(~pairs, torch.finfo(logits.dtype).min)

        rows, gradient = _soft_max(logits, 2)
        columns, share = _soft_max(logits, 1)
        n_valid = valid.sum().clamp(min=1)
        terms = rows + columns - 2 * logits.diagonal(dim1=1, dim2=2)  # [sets, size]

        # In place, as these are the largest tensors of a step.
        gradient += share
        gradient.diagonal(dim1=1, dim2=2).sub_(2)
        if pairs is not None:
            gradient.mul_(pairs)
            terms = terms.masked_fill(~valid, 0)

        gradient.div_(temperature * n_valid)
        ctx.save_for_backward(first, second, gradient)
        return terms.sum() / n_valid

    @staticmethod
    def backward(ctx: _InfoNCEContext, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        first, second, by_logit = ctx.saved_tensors
        by_logit = by_logit * gradients[0]
        return by_logit @ second, by_logit.transpose(1, 2) @ first, None, None


_info_nce: Callable[[Tensor, Tensor, Tensor, float], Tensor] = _InfoNCE.apply


def _valid_pairs(valid: Tensor) -> Tensor | None:
    """Pairs of valid entities, bool ``[sets, size, size]``; None where all are valid."""
    # A GPU would have to wait for the answer, which takes longer than a mask.
    if valid.device.type == "cpu" and bool(valid.all()):
        return None
    return valid[:, :, None] & valid[:, None, :]


def _soft_max(values: Tensor, dim: int) -> tuple[Tensor, Tensor]:
    """:func:`log_sum_exp` and its gradient, the softmax."""
    largest = values.amax(dim, keepdim=True)
    terms = (values - largest).clamp_(min=_SMALLEST_EXPONENT).exp_()
    total = terms.sum(dim, keepdim=True)

    log_of_sum = (total.log() + largest).squeeze(dim)
    return log_of_sum, terms.div_(total)
