"""Branches of an encoder, and the aggregation of their embeddings."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from recbole_sibrar.config import EncoderConfig, refuse
from recbole_sibrar.model.layers import MLP
from recbole_sibrar.model.layers.gathering import gather_and_average, gather_rows, mean_weights


def make_branches(config: EncoderConfig, n_modalities: int, single_branch: bool) -> nn.ModuleList:
    """Make one branch for all modalities (SiBraR), or one for each (MuBraR, [B] section 3).

    With ``branch_budget: total`` the hidden layers of all branches are narrowed by the same factor:
    to the largest widths with no more parameters, in all branches together, than in the single one.

    Args:
        config: Configuration of the side.
        n_modalities: Number of modalities.
        single_branch: One branch for all modalities.

    Raises:
        ConfigError: The budget is to be divided, but there is a single branch, or the hidden layers
            cannot be narrowed enough.
    """
    if single_branch and config.branch_budget == "total":
        refuse("branch_budget", "total", "per_modality for a model whose modalities share a branch")

    n = 1 if single_branch else n_modalities
    hidden = config.branch_hidden_sizes
    if n > 1 and config.branch_budget == "total":
        hidden = narrowed_sizes(config, n)
    return nn.ModuleList(_branch(config, hidden) for _ in range(n))


def narrowed_sizes(config: EncoderConfig, n: int) -> tuple[int, ...]:
    """Narrow the hidden layers until ``n`` branches together are as large as one.

    Raises:
        ConfigError: There are no such sizes.
    """
    sizes = config.branch_hidden_sizes
    budget = n_parameters(config, sizes)
    widest = max(sizes, default=0)

    # From the widest down: the first that fits is the largest.
    for width in range(widest, 0, -1):
        narrowed = tuple(max(1, round(size * width / widest)) for size in sizes)
        if n * n_parameters(config, narrowed) <= budget:
            return narrowed

    return refuse(
        "branch_budget",
        "total",
        f"per_modality where branch_hidden_sizes, here {list(sizes)}, cannot be narrowed so far "
        f"that {n} branches have the {budget} parameters of one",
    )


def n_parameters(config: EncoderConfig, hidden: Sequence[int]) -> int:
    """Count the parameters of a branch with hidden layers of some sizes."""
    with torch.device("meta"):  # allocates nothing
        branch = _branch(config, hidden)
    return sum(parameter.numel() for parameter in branch.parameters())


def _branch(config: EncoderConfig, hidden: Sequence[int]) -> MLP:
    return make_network(config, (config.modality_size, *hidden, config.embedding_size))


def make_network(config: EncoderConfig, sizes: Sequence[int]) -> MLP:
    """Make a network with the layers of a branch.

    Args:
        config: Configuration of the side, for everything but the sizes.
        sizes: Size of the input, of the hidden layers and of the output.
    """
    return MLP(
        sizes,
        config.dropout_prob,
        config.activation,
        config.output_activation,
        config.batch_norm,
    )


def aggregate(views: Sequence[Tensor], mask: Tensor, how: str = "mean") -> Tensor:
    """Aggregate the embeddings of an entity's available modalities ([A] equation 1).

    Args:
        views: For each of ``m`` modalities float ``[n, k]``; rows outside the mask can be anything
            finite.
        mask: bool ``[n, m]``; a row of False is aggregated to zeros.
        how: ``mean``, ``sum`` or ``max``.

    Returns:
        float ``[n, k]``.

    Example:
        >>> views = [torch.tensor([[1.0, 6.0]]), torch.tensor([[3.0, 2.0]])]
        >>> mask = torch.tensor([[True, True]])
        >>> aggregate(views, mask).tolist(), aggregate(views, mask, "max").tolist()
        ([[2.0, 4.0]], [[3.0, 6.0]])
    """
    return _maximum(views, mask) if how == "max" else _weighted(views, mask, how == "mean")


def _weighted(views: Sequence[Tensor], mask: Tensor, is_mean: bool) -> Tensor:
    dtype = views[0].dtype
    weights = mean_weights(mask, dtype) if is_mean else mask.to(dtype)  # [n, m]
    total = views[0] * weights[:, :1]
    for column, view in enumerate(views[1:], start=1):
        total = torch.addcmul(total, view, weights[:, column, None])
    return total


def _maximum(views: Sequence[Tensor], mask: Tensor) -> Tensor:
    lowest = torch.finfo(views[0].dtype).min
    masked: list[Tensor] = []
    for column, view in enumerate(views):
        masked.append(view.masked_fill(~mask[:, column, None], lowest))

    largest = torch.stack(masked, dim=1).amax(1)
    return largest.masked_fill(~mask.any(1, keepdim=True), 0)


def gather_views(encoded: Tensor, positions: Tensor) -> list[Tensor]:
    """Gather a view ``[n, k]`` for each column of ``positions`` ``[n, m]``."""
    columns = positions.t().contiguous()
    return [gather_rows(encoded, column) for column in columns]


def gather_aggregate(
    encoded: Tensor, positions: Tensor, mask: Tensor, how: str
) -> tuple[Tensor, Sequence[Tensor]]:
    """Gather the views of occurrences, and aggregate those of the mask; see :func:`aggregate`."""
    if how == "mean":
        return gather_and_average(encoded, positions, mask)

    # Only the mean has a gradient of its own, with fewer copies.
    views = gather_views(encoded, positions)
    return aggregate(views, mask, how), views
