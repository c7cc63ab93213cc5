"""Faster forms of RecBole's collector and of its metric TailPercentage, with equal results."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from recbole.data.interaction import Interaction
from recbole.evaluator import Collector
from torch import Tensor

from recbole_sibrar.evaluator.requirements import check_cutoffs

__all__ = ["Top", "collect_batch", "find_best", "needs_best", "rank_sums", "tail_items"]

# Names of data in the register of RecBole's collector.
_OF_BEST = ("rec.items", "rec.topk")
_OTHER_NEEDS = ("rec.score", "data.label")


class Top(NamedTuple):
    """The best items of each row."""

    values: Tensor
    """float ``[b, k]``: their scores."""
    items: Tensor
    """int64 ``[b, k]``."""


def find_best(scores: Tensor, k: int, empty_places: bool) -> Top:
    """Find the best items of each row.

    Args:
        scores: float ``[b, n_items]``, -inf for items out of the ranking.
        k: Number of items.
        empty_places: True to put item 0 in a place without a candidate; RecBole puts any item
            there.

    Raises:
        ConfigError: There are fewer than k items.

    Example:
        >>> seen = -torch.inf  # item 2 was seen in training
        >>> scores = torch.tensor([[-torch.inf, 0.5, seen, 0.9]])
        >>> find_best(scores, 2, empty_places=True).items
        tensor([[3, 1]])
        >>> find_best(scores, 3, empty_places=True).items
        tensor([[3, 1, 0]])
    """
    # torch.topk's own message about too few items names no key; item 0 is RecBole's padding item.
    check_cutoffs([k], scores.shape[1] - 1)
    values, items = torch.topk(scores, k, dim=-1)
    if empty_places:
        items = items.masked_fill(values == -torch.inf, 0)
    return Top(values, items)


def needs_best(collector: Collector) -> bool:
    """Tell if a metric needs the best items; metrics of labels do not."""
    return any(collector.register.need(name) for name in _OF_BEST)


def collect_batch(
    original: Callable[..., None],
    collector: Collector,
    scores: Tensor,
    interaction: Interaction,
    rows: Tensor,
    items: Tensor,
    top: Top | None,
) -> None:
    """Collect a batch with the numbers of RecBole's ``eval_batch_collect``.

    Args:
        original: RecBole's method, called for scores and labels.
        collector: RecBole's collector.
        scores: float ``[b, n_items]``, -inf for items out of the ranking; float ``[b]`` for metrics
            of labels.
        interaction: RecBole's batch.
        rows: int64 ``[p]``, row of each held-out interaction.
        items: int64 ``[p]``, its item.
        top: The best items; None if no metric needs them.
    """
    needs = collector.register.need
    data = collector.data_struct
    if any(needs(name) for name in _OTHER_NEEDS):
        original(collector, scores, interaction, rows, items)
        return

    # RecBole looks for the best items twice: for the lists, and for the hits below.
    if needs("rec.items") and top is not None:
        data.update_tensor("rec.items", top.items)
    if not needs("rec.topk") and not needs("rec.meanrank"):
        return

    # One number for each pair of row and item: the pairs are sorted, and each counts once. RecBole
    # marks them in a matrix as large as the scores.
    n_rows, n_items = scores.shape
    keys = torch.unique(rows.to(scores.device) * n_items + items.to(scores.device))
    rows = torch.div(keys, n_items, rounding_mode="floor")
    items = keys % n_items

    # RecBole's metrics expect the number of held-out items in a last column.
    counts = torch.bincount(rows, minlength=n_rows)[:, None]
    if needs("rec.topk") and top is not None:
        first_keys = torch.arange(n_rows, device=scores.device)[:, None] * n_items
        hits = torch.isin(first_keys + top.items, keys)
        data.update_tensor("rec.topk", torch.cat((hits.long(), counts), dim=1))

    # For GAUC RecBole sorts all items with their positions; sums of ranks need the scores alone.
    if needs("rec.meanrank"):
        ranks, n_ranked = rank_sums(scores, rows, items)
        columns = (ranks, n_ranked.float(), counts.float())
        data.update_tensor("rec.meanrank", torch.cat(columns, dim=1))


def rank_sums(scores: Tensor, rows: Tensor, items: Tensor) -> tuple[Tensor, Tensor]:
    """Sum up the ranks of held-out items.

    Equal scores share their mean rank. The highest score has rank 1.

    Args:
        scores: float ``[b, n_items]``. The lowest score of a row is not ranked: it is -inf for
            RecBole's padding item.
        rows: int64 ``[p]``, ascending: row of each held-out item.
        items: int64 ``[p]``.

    Returns:
        float ``[b, 1]``, and the number of ranked items of each row, int64 ``[b, 1]``.

    Example:
        >>> scores = torch.tensor([[-torch.inf, 0.9, 0.1, 0.1]])  # ranks of the items: 1, 2.5, 2.5
        >>> rank_sums(scores, torch.tensor([0, 0]), torch.tensor([1, 3]))
        (tensor([[3.5000]]), tensor([[3]]))
    """
    n = scores.shape[1]
    ascending = _sorted(scores)
    # PyTorch warns of values that are not contiguous, and copies them itself.
    lowest = ascending[:, :1].contiguous()
    n_ranked = n - torch.searchsorted(ascending, lowest, right=True)
    sums = scores.new_zeros((len(scores), 1))
    if not len(rows):
        return sums, n_ranked

    counts = torch.bincount(rows, minlength=len(scores))
    first = counts.cumsum(0) - counts
    # Position among the items of its row.
    places = torch.arange(len(rows), device=rows.device) - first[rows]

    # [b, most items of a row]: torch.searchsorted wants equally many values in each row. The zeros
    # behind shorter rows are looked up too, and left out below.
    wanted = scores.new_zeros((len(scores), int(counts.max())))
    wanted[rows, places] = scores[rows, items]

    at_most = torch.searchsorted(ascending, wanted, right=True)
    below = torch.searchsorted(ascending, wanted)
    # Equal scores hold the ascending places below + 1 to at_most; counted from the top, their mean
    # rank is n + 1 - (below + 1 + at_most) / 2.
    ranks = 0.5 * (2 * n + 1 - at_most - below)[rows, places]
    return sums.index_add_(0, rows, ranks.to(sums.dtype)[:, None]), n_ranked


def _sorted(scores: Tensor) -> Tensor:
    """Sort each row in ascending order."""
    # On CPUs NumPy is several times as fast: PyTorch sorts positions too.
    if scores.device.type == "cpu":
        return torch.from_numpy(np.sort(scores.numpy(), axis=1))
    return scores.sort(dim=1).values


def tail_items(
    original: Callable[..., NDArray[Any]],
    metric: object,
    items: NDArray[Any],
    counts: dict[int, int],
) -> Any:
    """Mark recommendations of the long tail like RecBole's ``TailPercentage.get_tail``.

    Args:
        original: RecBole's method, called once with all distinct items.
        metric: RecBole's metric.
        items: int ``[n_users, k]``, the recommendations.
        counts: Number of training interactions of each item.
    """
    # RecBole loops over every recommendation; here it sees each item once.
    known, inverse = np.unique(items, return_inverse=True)
    is_tail = original(metric, known[:, None], counts)

    # The shape of the inverse differs between NumPy 1 and 2.
    return is_tail[inverse.reshape(items.shape), 0]
