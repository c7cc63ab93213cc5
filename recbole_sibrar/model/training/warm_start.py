"""Weights of a closed form for the start of a training: factors of EASE, and a ridge regression on content."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from logging import getLogger

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from torch import Tensor, nn

from recbole_sibrar.config import RecommenderConfig, listed, refuse
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
from recbole_sibrar.model.training.held_out import PENALTIES, ClosedForm, choose_numbers
from recbole_sibrar.model.training.held_out_users import choose_for_users, user_weights
from recbole_sibrar.model.training.reloading import do_weights_follow
from recbole_sibrar.names import ID, INTERACTIONS, Side

MAX_KNOWN = 16_000
"""Known users or items that the closed form has at most; its matrices have their number on both sides."""

_MANY = 0.25
"""Share of new entities on the second side, relative to that on the first, from which on it has a choice of its own."""

_OF_FIELDS = 0.02
"""Factor of what the fields of users predict: a known user has a taste of its own. No factor changes the ranking of a
new user."""

_BEFORE = ClosedForm(l2=500.0, ridge=1.0, popularity=0.2, weights=())
"""Numbers before a choice."""


def make_start(
    encoders: Mapping[Side, EntityEncoder],
    users: ModalityTable,
    settings: RecommenderConfig,
    seed: int,
) -> Callable[[], None]:
    """Make the function that sets the first weights; see :func:`start_from_closed_form`.

    Without a closed form it does nothing, and does not keep the interactions in memory.
    """
    if settings.warm_start == "none":
        return _keep_weights
    return partial(start_from_closed_form, encoders, users, settings, seed)


def _keep_weights() -> None:
    """Leave the weights as they are."""


@torch.no_grad()
def start_from_closed_form(
    encoders: Mapping[Side, EntityEncoder],
    users: ModalityTable,
    settings: RecommenderConfig,
    seed: int,
) -> None:
    """Set the weights of both encoders to those of the closed form.

    Args:
        encoders: Encoder of each side; the branches and projections are linear.
        users: Training interactions of the users.
        settings: Keys of the closed form.
        seed: RecBole's ``seed``.

    Raises:
        ConfigError: An encoder is not linear.
    """
    # The closed form of large data takes minutes, and a checkpoint replaces its weights.
    if do_weights_follow():
        return

    for encoder in encoders.values():
        _check_linear(encoder)
    _check_weights(encoders, settings)
    _check_factor(encoders["item"], settings)
    items, users_of = encoders["item"], encoders["user"]
    matrix = training_matrix(users, items.n_entities)
    known: dict[Side, Tensor] = {
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

    matrices: dict[Side, csr_matrix] = {"user": matrix[places], "item": matrix}
    numbers = _numbers(encoders, known, matrices, settings, seed)
    of_items = numbers["item"]
    weigh_labels(items, of_items.rarity if of_items else settings.warm_start_rarity or 0.0)
    inverse = None if of_items is None else _content_inverse(items, known["item"], of_items)
    left_out = None if inverse is None else _left_out(inverse)
    leading = of_items or numbers["user"] or _BEFORE
    size = users_of.embedding_size
    factors = start_factors(matrix, leading, left_out, size, seed, profiles, places)
    del left_out

    targets = {"user": factors.users_of(profiles[places]), "item": factors.items}
    importance = {"user": targets["item"].std(0), "item": targets["user"].std(0)}
    weights = user_weights(np.diff(profiles[places].indptr))
    targets["user"][:, :-1] *= torch.from_numpy(weights)[:, None]
    if INTERACTIONS in users_of.modalities:
        targets["user"] *= _OF_FIELDS
    ridge = _exact_ridge(settings, of_items)
    for side, encoder in encoders.items():
        _set_identity(encoder)
        given = _given_weights(encoder, settings)
        penalty = Penalty(ridge if side == "item" else settings.warm_start_ridge, given)
        chosen = numbers[side]
        if chosen is not None and chosen.weights:
            penalty = Penalty(chosen.ridge, {**given, **dict(chosen.weights)})
        if side == "item":
            penalty = replace(penalty, factor=settings.warm_start_new_items)
        set_content(
            encoder,
            known[side],
            targets[side],
            importance[side],
            penalty,
            inverse if side == "item" else None,
            ridge,
        )
    _set_user_map(users_of, known["item"], factors)
    set_ids(users_of, torch.from_numpy(with_items), factors.users_of(profiles))
    set_ids(items, known["item"], factors.items)


def _exact_ridge(settings: RecommenderConfig, of_items: ClosedForm | None) -> float | None:
    """Return the penalty of the regressions of items without numbers of their own; None to choose it.

    Where new users get known items, nothing is predicted of other items: the best fit is the best model. With a factor
    of new items, the interactions of known ones have to make up for it.
    """
    if settings.warm_start_ridge is not None:
        return settings.warm_start_ridge
    if of_items is not None and settings.warm_start_new_items == 1:
        return None
    return min(PENALTIES)


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


def _numbers(
    encoders: Mapping[Side, EntityEncoder],
    known: Mapping[Side, Tensor],
    matrices: Mapping[Side, csr_matrix],
    settings: RecommenderConfig,
    seed: int,
) -> dict[Side, ClosedForm | None]:
    """Choose the numbers of both sides; None for a side whose regression chooses its penalty by itself.

    The side with the larger share of new entities chooses the penalty of EASE and the weight of the popularity, for
    both: lists of new users and lists of new items need others.
    """
    shares: dict[Side, float] = {}
    for side, encoder in encoders.items():
        n = encoder.n_entities - 1  # without the padding
        shares[side] = 1 - int(encoder.trained.sum()) / n if content_of(encoder) else 0.0

    first: Side = "user" if shares["user"] > shares["item"] else "item"
    second: Side = "item" if first == "user" else "user"
    found: dict[Side, ClosedForm | None] = {second: None}
    leading = _choose(encoders[first], known[first], matrices[first], settings, seed)
    found[first] = leading
    # a few entities without interactions are no reason for a choice
    if shares[second] > _MANY * shares[first]:
        found[second] = _choose(
            encoders[second], known[second], matrices[second], settings, seed, leading
        )
    return found


def _choose(
    encoder: EntityEncoder,
    known: Tensor,
    matrix: csr_matrix,
    settings: RecommenderConfig,
    seed: int,
    leading: ClosedForm | None = None,
) -> ClosedForm:
    """Read the numbers of the closed form, and choose those that are left open on held-out entities of a side.

    Args:
        encoder: Encoder of the side.
        known: Training entities of the side.
        matrix: float ``[n_users, n_items]``, with the training entities of the side alone.
        settings: Keys of the closed form.
        seed: RecBole's ``seed``.
        leading: Numbers of the other side, which settle those that are common to both; None for none.
    """
    given = {
        "l2": settings.warm_start_l2,
        "ridge": settings.warm_start_ridge,
        "popularity": settings.warm_start_popularity,
        "rarity": settings.warm_start_rarity,
    }
    if leading is not None:
        given |= {"l2": leading.l2, "popularity": leading.popularity}
    given_weights = _given_weights(encoder, settings)
    content = content_of(encoder)
    weights = {encoder.modalities[m]: given_weights[encoder.modalities[m]] for m in content}
    fixed = {name: value for name, value in given.items() if value is not None}
    before = replace(_BEFORE, weights=tuple(weights.items()), **fixed)
    is_open = {name: value is None for name, value in given.items()}
    is_open["weights"] = settings.warm_start_weights is None
    # the labels of users all count alike
    has_rare = encoder.config.side == "item" and has_label_weights(encoder)
    is_open["rarity"] = settings.warm_start_rarity is None and has_rare
    if not content or not any(is_open.values()):
        return before

    def kernels_of_some(places: NDArray[np.int64], rarity: float) -> dict[str, NDArray[np.float32]]:
        if has_rare:
            weigh_labels(encoder, rarity)
        return dict(kernels_of(encoder, content, known[torch.from_numpy(places)]))

    side = encoder.config.side
    choose = choose_numbers if side == "item" else choose_for_users
    chosen = choose(matrix, kernels_of_some, before, is_open, seed)
    getLogger().info(f"warm_start: {chosen} (open ones chosen on held-out training {side}s)")
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
            known = listed(dict.fromkeys(allowed), name)
            refuse("warm_start_weights", name, f"any of {known}")

    rarity = settings.warm_start_rarity
    if rarity and not has_label_weights(encoders["item"]):
        refuse(
            "warm_start_rarity", rarity, "0 without token_seq fields and item_label_pooling: root"
        )


def _check_factor(items: EntityEncoder, settings: RecommenderConfig) -> None:
    """Refuse a factor of new items that the interactions of known ones cannot make up for."""
    aggregation = items.config.aggregation
    if settings.warm_start_new_items != 1 and aggregation != "sum":
        found = f"1 with item_aggregation: {aggregation}; others need item_aggregation: sum"
        refuse("warm_start_new_items", settings.warm_start_new_items, found)


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
    # as large as the mean with the fields, which are small, divides them
    n = 1 + len(content_of(encoder))
    layer.embedding.weight[items] = n * factors.user_map.to(layer.bias)
    layer.bias.copy_(n * factors.user_constant)
