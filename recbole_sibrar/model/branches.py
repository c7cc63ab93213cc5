"""The branch that all modalities share, or one for each of them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from recbole_sibrar.config import EncoderConfig, refuse
from recbole_sibrar.model.layers import MLP


def make_branches(config: EncoderConfig, n_modalities: int, single_branch: bool) -> nn.ModuleList:
    """One branch for all modalities (SiBraR), or one of the same shape for each (MuBraR, [B] section 3).

    With ``branch_budget: total`` the hidden layers of all branches are narrowed by the same factor, to the widest at
    which the branches together have no more parameters than the single one.

    Args:
        config: The configuration of the side.
        n_modalities: Number of modalities.
        single_branch: Whether they share a branch.

    Raises:
        ConfigError: The budget is to be divided, but there is a single branch, or the hidden layers cannot be narrowed
            enough.
    """
    if single_branch and config.branch_budget == "total":
        refuse("branch_budget", "total", "per_modality for a model whose modalities share a branch")
    n = 1 if single_branch else n_modalities
    hidden = tuple(config.branch_hidden_sizes)
    if n > 1 and config.branch_budget == "total":
        hidden = narrowed_sizes(config, n)
    return nn.ModuleList(_branch(config, hidden) for _ in range(n))


def narrowed_sizes(config: EncoderConfig, n: int) -> tuple[int, ...]:
    """Sizes of the hidden layers with which ``n`` branches together are as large as one with the configured sizes.

    Raises:
        ConfigError: There are no such sizes.
    """
    sizes = config.branch_hidden_sizes
    budget = n_parameters(config, sizes)
    widest = max(sizes, default=0)
    for width in range(widest, 0, -1):
        narrowed = tuple(max(1, round(size * width / widest)) for size in sizes)
        if n * n_parameters(config, narrowed) <= budget:
            return narrowed
    return refuse(
        "branch_budget",
        "total",
        f"per_modality where branch_hidden_sizes, here {list(sizes)}, cannot be narrowed so far that {n} branches have "
        f"the {budget} parameters of one",
    )


def n_parameters(config: EncoderConfig, hidden: Sequence[int]) -> int:
    """Number of parameters of a branch with hidden layers of some sizes."""
    with torch.device("meta"):
        return sum(parameter.numel() for parameter in _branch(config, hidden).parameters())


def _branch(config: EncoderConfig, hidden: Sequence[int]) -> MLP:
    return MLP(
        (config.modality_size, *hidden, config.embedding_size),
        config.dropout_prob,
        config.activation,
        config.output_activation,
        config.batch_norm,
    )
