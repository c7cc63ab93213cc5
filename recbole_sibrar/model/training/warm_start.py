"""Weights of a closed form for the start of a training: factors of EASE, and a ridge regression on content."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from sklearn.utils.extmath import randomized_svd
from torch import Tensor, nn

from recbole_sibrar.config import RecommenderConfig, refuse
from recbole_sibrar.data.modality import ModalityTable
from recbole_sibrar.model.encoder import EntityEncoder
from recbole_sibrar.model.layers import (
    MLP,
    BagLayer,
    CategoryLayer,
    DenseLayer,
    IdLayer,
    InteractionsLayer,
    KernelLayer,
)
from recbole_sibrar.model.training.teacher import LARGEST, as_rows, ease_weights
from recbole_sibrar.names import ID, INTERACTIONS, Side

_SMALLEST = 1e-6
"""Smallest weight of a kernel, against a division by zero."""

PENALTIES = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0)
"""Penalties to choose from."""

_SAMPLE = 1024
"""Number of users whose scores are brought to a standard deviation of 1."""


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
    matrix: Tensor, size: int, settings: RecommenderConfig, seed: int
) -> StartFactors:
    r"""Factor the scores of EASE, and add one dimension for the popularity of items.

    With EASE's weights B and the singular vectors V of X B, the scores are :math:`X B V V^T`. A user's vector is
    :math:`x B V / \sqrt{n_u}`, the ranking of which is the same; the scores of all users then have a similar size. The
    last dimension adds :math:`c (\log(1 + n_i) - mean)`, with the count n_i of an item and c =
    ``warm_start_popularity``.

    Args:
        matrix: float ``[n_users, n_items]`` of zeros and ones; no row or column is empty.
        size: Length k of the embeddings.
        settings: Keys of the closed form.
        seed: Seed of the randomised decomposition.
    """
    weights = ease_weights(matrix, settings.warm_start_l2)
    scores = (matrix @ weights).numpy()
    rank = min(size - 1, *scores.shape)
    right = torch.from_numpy(
        np.ascontiguousarray(randomized_svd(scores, rank, random_state=seed)[2].T)
    ).float()

    user_map = matrix.new_zeros(matrix.shape[1], size)
    items = torch.zeros_like(user_map)
    user_map[:, :rank] = weights @ right
    items[:, :rank] = right
    roots = matrix.sum(1, keepdim=True).sqrt()
    deviation = (matrix[:_SAMPLE] / roots[:_SAMPLE] @ user_map @ items.t()).std().clamp(min=1e-6)
    user_map, items = user_map / deviation.sqrt(), items / deviation.sqrt()

    popularity = matrix.sum(0).log1p()
    constant = matrix.new_zeros(size)
    constant[-1] = settings.warm_start_popularity**0.5
    items[:, -1] = (popularity - popularity.mean()) * settings.warm_start_popularity**0.5
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
    if settings.warm_start == "none":
        return

    for encoder in encoders.values():
        _check_linear(encoder)
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
    factors = start_factors(matrix, encoders["user"].embedding_size, settings, seed)
    targets = {"user": factors.users, "item": factors.items}
    for side, encoder in encoders.items():
        _set_identity(encoder)
        importance = targets["item" if side == "user" else "user"].std(0)
        _set_content(encoder, known[side], targets[side], importance, settings)
    _set_user_map(encoders["user"], known["item"], factors)


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

    layer = _first(encoder, encoder.modalities.index(INTERACTIONS))
    assert isinstance(layer, InteractionsLayer)
    layer.embedding.weight.zero_()
    layer.embedding.weight[items] = factors.user_map.to(layer.bias)
    layer.bias.copy_(factors.user_constant)


def _set_content(
    encoder: EntityEncoder,
    known: Tensor,
    targets: Tensor,
    importance: Tensor,
    settings: RecommenderConfig,
) -> None:
    r"""Fit the projections of an encoder to embeddings of the training entities by kernel ridge regression.

    With the kernels K_m of M fields and their weights w_m, :math:`A = (\sum_m w_m K_m + \lambda I)^{-1} (Y - \bar{y})`.
    The projection of m gives :math:`\bar{y} + M w_m k_m(v, known) A`, so that the mean over the fields is the
    prediction of the sum. The interactions are fitted by themselves, as new entities have none.

    With ``aggregation: sum``, the projection of m gives :math:`w_m k_m(v, known) A`. The constant is left out, as it
    changes no ranking, and a missing field then leaves the others as they are. The interactions are fitted to the rest.
    """
    names = encoder.modalities
    if ID in names:
        layer = encoder.projections[names.index(ID)]
        layer = layer if encoder.is_table else _first(encoder, names.index(ID))
        assert isinstance(layer, IdLayer)
        layer.embedding.weight[known] = targets.to(layer.embedding.weight) * (
            encoder.config.aggregation == "mean"
        )

    content = [m for m, name in enumerate(names) if name not in (ID, INTERACTIONS)]
    groups = [content, [names.index(INTERACTIONS)] if INTERACTIONS in names else []]
    for group in filter(None, groups):
        weights = [settings.warm_start_weights.of(names[m]) for m in group]
        rest = _fit(encoder, group, weights, known, targets, importance, settings.warm_start_ridge)
        if encoder.config.aggregation == "sum":
            targets = rest


def _fit(
    encoder: EntityEncoder,
    group: list[int],
    weights: list[float],
    known: Tensor,
    targets: Tensor,
    importance: Tensor,
    ridge: float | None,
) -> Tensor:
    r"""Fit some projections together, and return what is left of the targets; see :func:`_set_content`.

    Training sees what the closed form predicts of an entity from all others, :math:`y_i - A_i / P_{ii}` with P the
    inverse matrix, and not the fit :math:`y_i - \lambda A_i`: the similarity of a landmark to itself is smaller there.
    """
    mean = targets.mean(0)
    is_sum = encoder.config.aggregation == "sum"
    features = [_features(encoder, m, known) for m in group]
    total = torch.zeros(len(known), len(known))
    for m, own, weight in zip(group, features, weights, strict=True):
        kernel = isinstance(_first(encoder, m), KernelLayer)
        total += weight * (_between(encoder, m, known, own) if kernel else own @ own.t())
    ridge, inverse = regularise(total, targets - mean, importance, ridge)
    solution = (inverse @ (targets - mean).double()).float()
    excess = (1 / inverse.diagonal() - ridge).float()

    n_kernels = sum(isinstance(_first(encoder, m), KernelLayer) for m in group)
    for m, own, weight in zip(group, features, weights, strict=True):
        layer = _first(encoder, m)
        if isinstance(layer, KernelLayer):
            available = encoder.availability[known, m].cpu()
            solved = solution[available]
            layer.own.copy_(1 - excess[available] / max(weight * n_kernels, _SMALLEST))
        else:
            solved = own.t() @ solution
        _set_weights(layer, (1 if is_sum else len(group)) * weight * solved, mean * (not is_sum))
    return ridge * solution


def regularise(
    kernel: Tensor, targets: Tensor, importance: Tensor, ridge: float | None
) -> tuple[float, Tensor]:
    r"""Return the penalty, and the inverse P of the kernel with it.

    None chooses the penalty with the least squared error of the scores when each entity is predicted from all others,
    :math:`A_i / P_{ii}` with A = P Y (Allen's PRESS, 1974).

    Args:
        kernel: float ``[n, n]``.
        targets: float ``[n, k]``.
        importance: float ``[k]``: standard deviation of each dimension on the other side.
        ridge: The penalty; None to choose it.
    """
    values, vectors = torch.linalg.eigh(kernel.double())
    values = values.clamp(min=0)
    rotated = vectors.t() @ (targets * importance).double()

    def error(penalty: float) -> float:
        solution = vectors @ (rotated / (values + penalty)[:, None])
        diagonal = (vectors.square() / (values + penalty)).sum(1)
        return float((solution / diagonal[:, None]).square().sum())

    chosen = ridge or min(PENALTIES, key=error)
    return chosen, vectors / (values + chosen) @ vectors.t()


def _between(encoder: EntityEncoder, modality: int, known: Tensor, features: Tensor) -> Tensor:
    """Compute the similarities of the training entities, ``[n, n]``; 0 where one has no value."""
    available = encoder.availability[known, modality].cpu()
    square = torch.zeros(len(known), len(known))
    square[:, available] = features
    return square


def _features(encoder: EntityEncoder, modality: int, known: Tensor) -> Tensor:
    """Compute the inputs of the linear map of a modality, ``[n, size]``; zeros where an entity has no value."""
    layer = _first(encoder, modality)
    available = encoder.availability[known, modality].cpu()
    rows = known[available]
    if isinstance(layer, KernelLayer):
        values = layer.similarities(rows)
    elif isinstance(layer, DenseLayer):
        values = layer.inputs(rows)
    elif isinstance(layer, CategoryLayer):
        values = nn.functional.one_hot(layer.values[rows], layer.embedding.num_embeddings)
    else:
        assert isinstance(layer, (BagLayer, InteractionsLayer))
        power = 1.0 if layer.bias is None else 0.5
        indices, offsets = layer.indices.long(), layer.offsets.long()
        sizes = offsets.diff().clamp(min=1).float()
        values = (
            as_rows(indices, offsets, layer.embedding.num_embeddings) / sizes.pow(power)[:, None]
        )[rows]

    features = torch.zeros(len(known), values.shape[1])
    features[available] = values.float().cpu()
    return features


def _set_weights(layer: nn.Module, weights: Tensor, mean: Tensor) -> None:
    """Set a linear map ``[size, k]`` and its constant; labels of a bag have the constant in their rows."""
    if isinstance(layer, (DenseLayer, KernelLayer)):
        linear = layer.linear if isinstance(layer, DenseLayer) else layer
        linear.weight.copy_(weights.t())
        linear.bias.copy_(mean)
    elif isinstance(layer, InteractionsLayer) or (
        isinstance(layer, BagLayer) and layer.bias is not None
    ):
        assert layer.bias is not None
        layer.embedding.weight.copy_(weights)
        layer.bias.copy_(mean)
    else:
        assert isinstance(layer, (BagLayer, CategoryLayer))
        layer.embedding.weight.copy_(weights + mean)


def _first(encoder: EntityEncoder, modality: int) -> nn.Module:
    """Only layer of a linear projection."""
    projection = encoder.projections[modality]
    assert isinstance(projection, nn.Sequential)
    layer: nn.Module = projection[0]
    return layer
