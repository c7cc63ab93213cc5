"""Weights of a closed form for the start of a training: factors of EASE, and a ridge regression on content."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from logging import getLogger

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from torch import Tensor, nn

from recbole_sibrar.config import RecommenderConfig, nearest, refuse
from recbole_sibrar.config.values import WeightByField
from recbole_sibrar.data.modality import ModalityTable
from recbole_sibrar.model.encoder import EntityEncoder
from recbole_sibrar.model.layers import MLP, InteractionsLayer
from recbole_sibrar.model.training.factors import (
    StartFactors,
    by_root,
    start_factors,
    training_matrix,
)
from recbole_sibrar.model.training.fitting import (
    Penalty,
    content_of,
    first_layer,
    has_label_weights,
    inverse_of,
    kernels_of,
    set_content,
    set_ids,
    weigh_labels,
)
from recbole_sibrar.model.training.held_out import ClosedForm, choose_numbers
from recbole_sibrar.model.training.reloading import do_weights_follow
from recbole_sibrar.names import ID, INTERACTIONS, Side

MAX_KNOWN = 16_000
"""Known users or items that the closed form has at most; its matrices have their number on both sides."""

_BEFORE = ClosedForm(l2=500.0, ridge=1.0, popularity=0.2, weights=())
"""Numbers before a choice."""


@torch.no_grad()
def start_from_closed_form(
    encoders: Mapping[Side, EntityEncoder],
    users: ModalityTable,
    settings: RecommenderConfig,
    seed: int,
) -> None:
    """Set the weights of both encoders to those of the closed form, if the configuration asks for it.

    Args:
        encoders: Encoder of each side; the branches and projections are linear.
        users: Training interactions of the users.
        settings: Keys of the closed form.
        seed: RecBole's ``seed``.

    Raises:
        ConfigError: An encoder is not linear.
    """
    # The closed form of large data takes minutes, and a checkpoint replaces its weights.
    if settings.warm_start == "none" or do_weights_follow():
        return

    for encoder in encoders.values():
        _check_linear(encoder)
    _check_weights(encoders, settings)
    items, users_of = encoders["item"], encoders["user"]
    matrix = training_matrix(users, items.n_entities)
    known = {
        "user": _drawn(users_of.trained, seed),
        "item": _most_read(items.trained, matrix),
    }
    profiles = by_root(matrix)[:, known["item"].numpy()]
    matrix = matrix[:, known["item"].numpy()]
    # of a large catalogue, some users have none of the items
    with_items = np.flatnonzero(matrix.getnnz(axis=1))
    places = np.flatnonzero(np.isin(with_items, known["user"].numpy()))
    known["user"] = torch.from_numpy(with_items[places])
    matrix, profiles = matrix[with_items], profiles[with_items]

    numbers = _choose(items, known["item"], matrix, settings, seed)
    weigh_labels(items, numbers.rarity)
    inverse = _content_inverse(items, known["item"], numbers)
    left_out = None if inverse is None else _left_out(inverse)
    size = users_of.embedding_size
    factors = start_factors(matrix, numbers, left_out, size, seed, profiles, places)
    del left_out

    targets = {"user": factors.users_of(profiles[places]), "item": factors.items}
    for side, encoder in encoders.items():
        _set_identity(encoder)
        importance = targets["item" if side == "user" else "user"].std(0)
        chosen = dict(numbers.weights) if side == "item" else {}
        own = {**_given_weights(encoder, settings), **chosen}
        is_content = side == "item" and inverse is not None
        penalty = Penalty(numbers.ridge if is_content else settings.warm_start_ridge, own)
        set_content(
            encoder,
            known[side],
            targets[side],
            importance,
            penalty,
            inverse if is_content else None,
            settings.warm_start_ridge,
        )
    _set_user_map(users_of, known["item"], factors)
    set_ids(users_of, torch.from_numpy(with_items), factors.users_of(profiles))
    set_ids(items, known["item"], factors.items)


def constant_loss(model: nn.Module, is_shared: bool) -> Tensor:
    """Return a loss of 0 whose gradient leaves all weights as they are.

    Args:
        model: The model.
        is_shared: True for a training by several processes, which wait for a gradient of each parameter.
    """
    parameters = list(model.parameters())
    if not is_shared:
        # gradients of all, and what an optimiser keeps of them, would take three times the memory of the model
        parameters = [min(parameters, key=Tensor.numel)]
    return torch.stack([parameter.sum() for parameter in parameters]).sum() * 0


def _drawn(trained: Tensor, seed: int) -> Tensor:
    """Draw the known entities that the closed form has, ascending."""
    known = trained.nonzero().flatten().cpu()
    if len(known) <= MAX_KNOWN:
        return known

    chosen = np.random.default_rng(seed).permutation(len(known))[:MAX_KNOWN]
    getLogger().info(f"warm_start: {MAX_KNOWN} of {len(known)} users, drawn at random")
    return known[torch.from_numpy(np.sort(chosen))]


def _most_read(trained: Tensor, matrix: csr_matrix) -> Tensor:
    """Choose the known items with the most interactions, ascending."""
    known = trained.nonzero().flatten().cpu()
    if len(known) <= MAX_KNOWN:
        return known

    counts = torch.from_numpy(matrix.getnnz(axis=0))[known]
    chosen = counts.argsort(descending=True, stable=True)[:MAX_KNOWN]
    share = float(counts[chosen].sum() / counts.sum())
    getLogger().info(
        f"warm_start: the {MAX_KNOWN} of {len(known)} items with the most interactions, "
        f"{share:.1%} of all; others are encoded by their content"
    )
    return known[chosen.sort().values]


def _choose(
    items: EntityEncoder, known: Tensor, matrix: csr_matrix, settings: RecommenderConfig, seed: int
) -> ClosedForm:
    """Read the numbers of the closed form, and choose those that are left open on held-out items."""
    given = {
        "l2": settings.warm_start_l2,
        "ridge": settings.warm_start_ridge,
        "popularity": settings.warm_start_popularity,
        "rarity": settings.warm_start_rarity,
    }
    given_weights = _given_weights(items, settings)
    content = content_of(items)
    weights = {items.modalities[m]: given_weights[items.modalities[m]] for m in content}
    fixed = {name: value for name, value in given.items() if value is not None}
    before = replace(_BEFORE, weights=tuple(weights.items()), **fixed)
    is_open = {name: value is None for name, value in given.items()}
    is_open["weights"] = settings.warm_start_weights is None
    is_open["rarity"] = settings.warm_start_rarity is None and has_label_weights(items)
    if not content or not any(is_open.values()):
        return before

    def kernels_of_some(places: NDArray[np.int64], rarity: float) -> dict[str, NDArray[np.float32]]:
        weigh_labels(items, rarity)
        return dict(kernels_of(items, content, known[torch.from_numpy(places)]))

    chosen = choose_numbers(matrix, kernels_of_some, before, is_open, seed)
    getLogger().info(f"warm_start: {chosen} (open ones chosen on held-out training items)")
    return chosen


def _given_weights(encoder: EntityEncoder, settings: RecommenderConfig) -> dict[str, float]:
    """Return the weight of each modality of an encoder; 1 where it is left open."""
    weights = settings.warm_start_weights or WeightByField()
    return {name: weights.of(name) for name in encoder.modalities}


def _content_inverse(items: EntityEncoder, known: Tensor, numbers: ClosedForm) -> Tensor | None:
    """Invert the kernel of the items' content with its penalty; None without content."""
    content = content_of(items)
    if not content:
        return None
    penalty = Penalty(numbers.ridge, dict(numbers.weights))
    kernel = penalty.kernel(kernels_of(items, content, known), len(known))
    return inverse_of(kernel, numbers.ridge)


def _left_out(inverse: Tensor) -> NDArray[np.float32]:
    r"""Compute the weights of the others in the prediction of each item, :math:`-P_{ji} / P_{ii}` for the inverse P."""
    weights = (-inverse / inverse.diagonal()).float()
    return weights.fill_diagonal_(0).numpy()


def _check_weights(encoders: Mapping[Side, EntityEncoder], settings: RecommenderConfig) -> None:
    """Refuse weights of what is no modality of either side."""
    allowed = [name for encoder in encoders.values() for name in encoder.modalities if name != ID]
    for name in settings.warm_start_weights.fields if settings.warm_start_weights else ():
        if name not in allowed:
            listed = ", ".join(dict.fromkeys(allowed))
            refuse("warm_start_weights", name, f"any of {listed}{nearest(name, allowed)}")

    rarity = settings.warm_start_rarity
    if rarity and not has_label_weights(encoders["item"]):
        refuse(
            "warm_start_rarity", rarity, "0 without token_seq fields and item_label_pooling: root"
        )


def _check_linear(encoder: EntityEncoder) -> None:
    """Refuse encoders that cannot stand for a closed form."""
    config = encoder.config
    if encoder.is_table:
        return

    needed = {
        "modality_size": (config.modality_size, config.embedding_size),
        "projection_hidden_sizes": (list(config.projection_hidden_sizes), []),
        "branch_hidden_sizes": (list(config.branch_hidden_sizes), []),
        "projection_activation": (config.projection_activation, "none"),
        "normalize_branch_input": (config.normalize_branch_input, False),
        "normalize_interactions": (config.normalize_interactions, True),
        "batch_norm": (config.batch_norm, "none"),
        "output_activation": (config.output_activation, False),
    }
    if config.side == "user" or config.aggregation == "max":
        needed["aggregation"] = (config.aggregation, "mean")
    for key, (found, allowed) in needed.items():
        if found != allowed:
            refuse(
                f"{key} ({config.side} side)",
                found,
                f"{allowed} with warm_start: ease, which needs linear layers",
            )


def _set_identity(encoder: EntityEncoder) -> None:
    """Let each branch return its input."""
    for branch in encoder.branches:
        assert isinstance(branch, MLP)
        linear = branch[-1]
        assert isinstance(linear, nn.Linear)
        nn.init.eye_(linear.weight)
        nn.init.zeros_(linear.bias)


def _set_user_map(encoder: EntityEncoder, items: Tensor, factors: StartFactors) -> None:
    """Let the interactions of a user give the factors exactly."""
    if INTERACTIONS not in encoder.modalities:
        return

    layer = first_layer(encoder, encoder.modalities.index(INTERACTIONS))
    assert isinstance(layer, InteractionsLayer)
    layer.embedding.weight.zero_()
    layer.embedding.weight[items] = factors.user_map.to(layer.bias)
    layer.bias.copy_(factors.user_constant)
