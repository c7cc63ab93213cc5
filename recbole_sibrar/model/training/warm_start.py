"""Weights of a closed form for the start of a training: factors of EASE, and a ridge regression on content."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from logging import getLogger

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.utils.extmath import randomized_svd
from torch import Tensor, nn

from recbole_sibrar.config import RecommenderConfig, nearest, refuse
from recbole_sibrar.config.fields import NEW_SHARE
from recbole_sibrar.config.values import WeightByField
from recbole_sibrar.data.modality import ModalityTable
from recbole_sibrar.model.encoder import EntityEncoder
from recbole_sibrar.model.layers import MLP, InteractionsLayer
from recbole_sibrar.model.training.fitting import (
    Penalty,
    content_of,
    first_layer,
    inverse_of,
    kernels_of,
    set_content,
)
from recbole_sibrar.model.training.held_out import ClosedForm, choose_numbers
from recbole_sibrar.model.training.held_out_users import choose_for_users
from recbole_sibrar.model.training.reloading import do_weights_follow
from recbole_sibrar.model.training.teacher import LARGEST, as_rows, ease_weights
from recbole_sibrar.names import ID, INTERACTIONS, Side

_SMALLEST = 1e-4
"""Share of the largest singular value below which a dimension is left out."""

_SAMPLE = 1024
"""Number of users whose scores are brought to a standard deviation of 1."""

_BEFORE = ClosedForm(l2=500.0, ridge=1.0, popularity=0.2, weights=())
"""Numbers before a choice."""


@dataclass(frozen=True)
class StartFactors:
    """Embeddings that the encoders of both sides reproduce at the start."""

    users: Tensor
    """float ``[n_trained_users, k]``."""
    items: Tensor
    """float ``[n_trained_items, k]``."""
    user_map: Tensor
    """float ``[n_items, k]``: a user is the sum of these rows over the interactions, divided by the root of their
    number, plus ``user_constant``."""
    user_constant: Tensor
    """float ``[k]``."""


def start_factors(
    matrix: Tensor, numbers: ClosedForm, left_out: Tensor | None, size: int, seed: int
) -> StartFactors:
    r"""Factor the scores of EASE, and add one dimension for the popularity of items.

    With EASE's weights B, let R be the scores X B less the mean of each user, and R L the predictions of each item from
    the content of the others. Its rows are brought to length 1 by a diagonal D, as every user counts alike, and have
    the singular vectors U. A new item has the embedding predicted of :math:`(D R)^T U`; this is the reduced-rank
    regression (Izenman, 1975) with predictions of left-out items, and keeps more of the scores of new items than the
    singular vectors of X B. A user's vector is :math:`x` times ``user_map`` divided by :math:`\sqrt{n_u}`, so that the
    scores of all users have a similar size. The last dimension adds :math:`c (\log(1 + n_i) - mean)`, with the count
    n_i of an item and the number c for the popularity.

    Args:
        matrix: float ``[n_users, n_items]`` of zeros and ones; no row or column is empty.
        numbers: Numbers of the closed form.
        left_out: L, float ``[n_items, n_items]``: a column has the weights of the other items in the prediction of an
            item; None without content.
        size: Length k of the embeddings.
        seed: Seed of the randomised decomposition.
    """
    weights = ease_weights(matrix, numbers.l2)
    scores = matrix @ weights
    maps = weights - weights.mean(1, keepdim=True)
    if left_out is not None:
        maps = maps @ left_out
    predicted = matrix @ maps
    lengths = predicted.norm(dim=1, keepdim=True).clamp(min=1e-6)

    rank = min(size - 1, *scores.shape)
    unit = (predicted / lengths).numpy()
    left, values, right = randomized_svd(unit, rank, random_state=seed)
    rank = int((values > _SMALLEST * values[0]).sum())
    share = float((values**2).sum() / (unit**2).sum())
    getLogger().info(f"warm_start: {share:.1%} of the closed form's scores fit into {rank} numbers")

    user_map = matrix.new_zeros(matrix.shape[1], size)
    items = torch.zeros_like(user_map)
    user_map[:, :rank] = maps @ torch.from_numpy(right[:rank].T / values[:rank]).float()
    items[:, :rank] = (scores / lengths).t() @ torch.from_numpy(left[:, :rank]).float()
    roots = matrix.sum(1, keepdim=True).sqrt()
    deviation = (matrix[:_SAMPLE] / roots[:_SAMPLE] @ user_map @ items.t()).std().clamp(min=1e-6)
    user_map, items = user_map / deviation.sqrt(), items / deviation.sqrt()

    popularity = matrix.sum(0).log1p()
    constant = matrix.new_zeros(size)
    constant[-1] = numbers.popularity**0.5
    items[:, -1] = (popularity - popularity.mean()) * numbers.popularity**0.5
    return StartFactors(matrix / roots @ user_map + constant, items, user_map, constant)


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
        ConfigError: An encoder is not linear, or the data are too large.
    """
    # The closed form of large data takes minutes, and a checkpoint replaces its weights.
    if settings.warm_start == "none" or do_weights_follow():
        return

    for encoder in encoders.values():
        _check_linear(encoder)
    _check_weights(encoders, settings)
    known = {side: encoder.trained.nonzero().flatten().cpu() for side, encoder in encoders.items()}
    n = {side: len(entities) for side, entities in known.items()}
    if max(n["user"], n["item"]) ** 2 > LARGEST:
        found = f"none for {n['user']} users and {n['item']} items; a matrix has at most {LARGEST} entries"
        refuse("warm_start", settings.warm_start, found)

    assert users.indices is not None
    assert users.offsets is not None
    matrix = as_rows(users.indices, users.offsets, encoders["item"].n_entities)[known["user"]][
        :, known["item"]
    ]
    numbers = _numbers(encoders, known, matrix, settings, seed)
    of_items = numbers["item"]
    inverse = (
        None if of_items is None else _content_inverse(encoders["item"], known["item"], of_items)
    )
    left_out = None if inverse is None else _left_out(inverse)
    leading = of_items or numbers["user"] or _BEFORE
    factors = start_factors(matrix, leading, left_out, encoders["user"].embedding_size, seed)

    targets = {"user": factors.users, "item": factors.items}
    for side, encoder in encoders.items():
        _set_identity(encoder)
        importance = targets["item" if side == "user" else "user"].std(0)
        given = _given_weights(encoder, settings)
        penalty = Penalty(settings.warm_start_ridge, given)
        chosen = numbers[side]
        if chosen is not None and chosen.weights:
            penalty = Penalty(chosen.ridge, {**given, **dict(chosen.weights)})
        set_content(
            encoder,
            known[side],
            targets[side],
            importance,
            penalty,
            inverse if side == "item" else None,
            settings.warm_start_ridge,
        )
    _set_user_map(encoders["user"], known["item"], factors)


def _numbers(
    encoders: Mapping[Side, EntityEncoder],
    known: Mapping[Side, Tensor],
    matrix: Tensor,
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
        shares[side] = 1 - len(known[side]) / n if content_of(encoder) else 0.0

    first: Side = "user" if shares["user"] > shares["item"] else "item"
    second: Side = "item" if first == "user" else "user"
    found: dict[Side, ClosedForm | None] = {second: None}
    leading = _choose(encoders[first], known[first], matrix, settings, seed)
    found[first] = leading
    # without new entities, there is nothing to choose for
    if shares[second] > NEW_SHARE * shares[first]:
        found[second] = _choose(encoders[second], known[second], matrix, settings, seed, leading)
    return found


def _choose(
    encoder: EntityEncoder,
    known: Tensor,
    matrix: Tensor,
    settings: RecommenderConfig,
    seed: int,
    leading: ClosedForm | None = None,
) -> ClosedForm:
    """Read the numbers of the closed form, and choose those that are left open on held-out entities of a side.

    Args:
        encoder: Encoder of the side.
        known: Training entities of the side.
        matrix: float ``[n_users, n_items]``.
        settings: Keys of the closed form.
        seed: RecBole's ``seed``.
        leading: Numbers of the other side, which settle those that are common to both; None for none.
    """
    given = {
        "l2": settings.warm_start_l2,
        "ridge": settings.warm_start_ridge,
        "popularity": settings.warm_start_popularity,
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
    if not content or not any(is_open.values()):
        return before

    def kernels_of_some(places: NDArray[np.int64]) -> dict[str, NDArray[np.float32]]:
        return dict(kernels_of(encoder, content, known[torch.from_numpy(places)]))

    side = encoder.config.side
    choose = choose_numbers if side == "item" else choose_for_users
    chosen = choose(matrix.numpy(), kernels_of_some, before, is_open, seed)
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


def _left_out(inverse: Tensor) -> Tensor:
    r"""Compute the weights of the others in the prediction of each item, :math:`-P_{ji} / P_{ii}` for the inverse P."""
    weights = (-inverse / inverse.diagonal()).float()
    return weights.fill_diagonal_(0)


def _check_weights(encoders: Mapping[Side, EntityEncoder], settings: RecommenderConfig) -> None:
    """Refuse weights of what is no modality of either side."""
    allowed = [name for encoder in encoders.values() for name in encoder.modalities if name != ID]
    for name in settings.warm_start_weights.fields if settings.warm_start_weights else ():
        if name not in allowed:
            listed = ", ".join(dict.fromkeys(allowed))
            refuse("warm_start_weights", name, f"any of {listed}{nearest(name, allowed)}")


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
