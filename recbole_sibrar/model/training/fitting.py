"""Projections of an encoder, fitted to embeddings by kernel ridge regression on content."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.linalg import LinAlgError, cho_factor, cho_solve
from scipy.linalg.lapack import dpotri
from scipy.sparse import csr_matrix, diags
from torch import Tensor, nn

from recbole_sibrar.model.encoder import EntityEncoder
from recbole_sibrar.model.layers import (
    BagLayer,
    CategoryLayer,
    DenseLayer,
    IdLayer,
    InteractionsLayer,
    KernelLayer,
)
from recbole_sibrar.model.layers.bags import Bags
from recbole_sibrar.model.training.held_out import PENALTIES
from recbole_sibrar.names import ID, INTERACTIONS

_MAX_CHOICE = 3000
"""Entities that a penalty is chosen on: the eigenvectors of a larger kernel take minutes."""


_BLOCK = 1024
"""Rows that are copied at a time."""


@dataclass(frozen=True)
class Penalty:
    """Penalty of a regression on content, and the weights of its fields."""

    ridge: float | None
    """The penalty; None for the one with the least error when an entity is predicted from the others."""
    weights: Mapping[str, float]
    """Name of a field -> its weight; others have 1."""
    factor: float = 1.0
    """Factor of what the content predicts; under ``aggregation: sum``, where the interactions of known entities make up
    for it."""

    def kernel(self, kernels: Iterable[tuple[str, NDArray[np.float32]]], n: int) -> Tensor:
        """Add the weighted similarities of fields, one after the other, to a float64 ``[n, n]``."""
        total = np.zeros((n, n))
        for name, similarities in kernels:
            total += self.weights.get(name, 1.0) * similarities
        return torch.from_numpy(total)


def set_content(
    encoder: EntityEncoder,
    known: Tensor,
    targets: Tensor,
    importance: Tensor,
    numbers: Penalty,
    inverse: Tensor | None = None,
    interactions_ridge: float | None = None,
) -> None:
    r"""Fit the projections of an encoder to embeddings of the training entities by kernel ridge regression.

    With the kernels K_m of M fields and their weights w_m, :math:`A = (\sum_m w_m K_m + \lambda I)^{-1} (Y - \bar{y})`.
    The projection of m gives :math:`\bar{y} + M w_m k_m(v, known) A`, so that the mean over the fields is the
    prediction of the sum. The interactions are fitted by themselves, as new entities have none.

    With ``aggregation: sum``, the projection of m gives :math:`w_m k_m(v, known) A`. The constant is left out, as it
    changes no ranking, and a missing field then leaves the others as they are. The interactions are fitted to the rest.
    A factor of the predictions, :math:`f w_m k_m(v, known) A`, moves new entities alone.

    Args:
        encoder: Encoder with linear projections.
        known: int64 ``[n]``: training entities.
        targets: float ``[n, k]``: their embeddings.
        importance: float ``[k]``: standard deviation of each dimension on the other side.
        numbers: Weights of the fields, and the penalty.
        inverse: float64 ``[n, n]``: inverse of the kernel of the content with the penalty; None to compute it.
        interactions_ridge: Penalty of the regression on the interactions of items; None for the one with the least
            error.
    """
    names = encoder.modalities
    rest = _fit(encoder, content_of(encoder), known, targets, importance, numbers, inverse)
    # the interactions of users give their embeddings exactly, and need no regression
    if INTERACTIONS in names and encoder.config.side == "item":
        is_sum = encoder.config.aggregation == "sum"
        fitted = rest if is_sum else targets
        _fit_interactions(encoder, known, fitted, importance, interactions_ridge)


def set_ids(encoder: EntityEncoder, known: Tensor, targets: Tensor) -> None:
    """Set the free embeddings of some entities, and those of others to the mean.

    Beside other modalities under ``aggregation: sum``, all are 0, as the content has the whole prediction.
    """
    if ID not in encoder.modalities:
        return

    place = encoder.modalities.index(ID)
    layer = encoder.projections[0] if encoder.is_table else first_layer(encoder, place)
    assert isinstance(layer, IdLayer)
    weight = layer.embedding.weight
    weight[1:] = targets.mean(0).to(weight)  # 0 is the padding
    weight[known] = targets.to(weight)
    if encoder.config.aggregation == "sum" and not encoder.is_table:
        weight.zero_()


def content_of(encoder: EntityEncoder) -> list[int]:
    """Return the positions of the fields among the modalities of an encoder."""
    names = encoder.modalities
    return [m for m, name in enumerate(names) if name not in (ID, INTERACTIONS)]


def _fit(
    encoder: EntityEncoder,
    group: Sequence[int],
    known: Tensor,
    targets: Tensor,
    importance: Tensor,
    numbers: Penalty,
    inverse: Tensor | None = None,
) -> Tensor:
    r"""Fit some projections together, and return what is left of the targets; see :func:`set_content`.

    Training sees what the closed form predicts of an entity from all others, :math:`y_i - A_i / P_{ii}` with P the
    inverse matrix, and not the fit :math:`y_i - \lambda A_i`: the similarity of a landmark to itself is smaller there.
    """
    if not group:
        return targets

    mean = targets.mean(0)
    centred = targets - mean
    ridge = numbers.ridge
    if inverse is None:
        kernel = numbers.kernel(kernels_of(encoder, group, known), len(known))
        ridge = ridge or choose_penalty(kernel, centred, importance)
        inverse = inverse_of(kernel, ridge)
    assert ridge is not None
    solution = (inverse @ centred.double()).float()
    excess = (1 / inverse.diagonal() - ridge).float()

    is_sum = encoder.config.aggregation == "sum"
    n_kernels = sum(isinstance(first_layer(encoder, m), KernelLayer) for m in group)
    for m in group:
        layer, weight = first_layer(encoder, m), numbers.weights.get(encoder.modalities[m], 1.0)
        if isinstance(layer, KernelLayer):
            places = layer.place[known].cpu()
            has_value = places >= 0
            # landmarks outside of the fit have no part in the map
            solved = torch.zeros(len(layer.landmarks), solution.shape[1])
            solved[places[has_value]] = solution[has_value]
            # nor has a field without weight in the fit
            if weight > 0:
                own = 1 - excess[has_value] / (weight * n_kernels)
                layer.own[places[has_value]] = own.to(layer.own)
        else:
            solved = torch.from_numpy(_inputs(encoder, m, known).T @ solution.numpy())
        scale = (numbers.factor if is_sum else len(group)) * weight
        _set_weights(layer, scale * solved, mean * (not is_sum))
    rest = ridge * solution
    return rest - (numbers.factor - 1) * (centred - rest)


def _fit_interactions(
    encoder: EntityEncoder,
    known: Tensor,
    targets: Tensor,
    importance: Tensor,
    ridge: float | None,
) -> None:
    """Fit the projection of the interactions by ridge regression, in the smaller of its two forms."""
    modality = encoder.modalities.index(INTERACTIONS)
    inputs = csr_matrix(_inputs(encoder, modality, known))
    mean = targets.mean(0)
    centred = targets - mean
    if ridge is None:
        part = slice(None, None, -(-len(known) // _MAX_CHOICE))
        kernel = torch.from_numpy((inputs[part] @ inputs[part].T).toarray())
        ridge = choose_penalty(kernel, centred[part], importance)

    n, size = inputs.shape
    is_primal = size < n
    products = inputs.T @ inputs if is_primal else inputs @ inputs.T
    square = products.toarray().astype(np.float64)
    square[np.diag_indices_from(square)] += ridge
    factor = cho_factor(square, overwrite_a=True, check_finite=False)
    right = centred.double().numpy()
    if is_primal:
        weights = cho_solve(factor, inputs.T @ right, check_finite=False)
    else:
        weights = inputs.T @ cho_solve(factor, right, check_finite=False)

    is_sum = encoder.config.aggregation == "sum"
    layer = first_layer(encoder, modality)
    _set_weights(layer, torch.from_numpy(weights).float(), mean * (not is_sum))


def kernels_of(
    encoder: EntityEncoder, group: Sequence[int], entities: Tensor
) -> Iterator[tuple[str, NDArray[np.float32]]]:
    """Yield the similarities of training entities in each of some modalities, ``[n, n]``.

    One at a time: of large data, each takes gigabytes.

    Args:
        encoder: Encoder with linear projections.
        group: Positions of modalities.
        entities: int64 ``[n]``: training entities.
    """
    for m in group:
        layer = first_layer(encoder, m)
        if isinstance(layer, KernelLayer):
            yield encoder.modalities[m], _between(layer, entities)
            continue

        inputs = _inputs(encoder, m, entities)
        products = inputs @ inputs.T
        dense = products.toarray() if isinstance(products, csr_matrix) else products
        yield encoder.modalities[m], dense


def choose_penalty(kernel: Tensor, targets: Tensor, importance: Tensor) -> float:
    r"""Choose the penalty with the least squared error of the scores when each entity is predicted from all others.

    The error of an entity is :math:`A_i / P_{ii}` with A = P Y (Allen's PRESS, 1974). At most 3,000 entities decide.

    Args:
        kernel: float ``[n, n]``.
        targets: float ``[n, k]``.
        importance: float ``[k]``: standard deviation of each dimension on the other side.
    """
    part = slice(None, None, -(-len(kernel) // _MAX_CHOICE))
    values, vectors = torch.linalg.eigh(kernel[part, part].double())
    values = values.clamp(min=0)
    rotated = vectors.t() @ (targets[part] * importance).double()

    def error(penalty: float) -> float:
        solution = vectors @ (rotated / (values + penalty)[:, None])
        diagonal = (vectors.square() / (values + penalty)).sum(1)
        return float((solution / diagonal[:, None]).square().sum())

    return min(PENALTIES, key=error)


def inverse_of(kernel: Tensor, ridge: float) -> Tensor:
    """Invert a kernel with a penalty on its diagonal, float64 ``[n, n]``."""
    matrix = kernel.double().numpy().copy()
    matrix[np.diag_indices_from(matrix)] += ridge

    # from the Cholesky factor in place: half the time, and two matrices of this size instead of four
    try:
        factor, _ = cho_factor(matrix, lower=True, overwrite_a=True, check_finite=False)
    except LinAlgError:
        return _inverse_of_rounded(kernel, ridge)

    inverse, _ = dpotri(factor, lower=True, overwrite_c=True)
    _fill_upper(inverse)
    return torch.from_numpy(inverse)


def _fill_upper(matrix: NDArray[np.float64]) -> None:
    """Copy the lower triangle to the upper one, which LAPACK does not fill; in place, a block of rows at a time."""
    for start in range(0, len(matrix), _BLOCK):
        end = start + _BLOCK
        diagonal = matrix[start:end, start:end]
        diagonal[:] = np.tril(diagonal) + np.tril(diagonal, -1).T
        matrix[start:end, end:] = matrix[end:, start:end].T


def _inverse_of_rounded(kernel: Tensor, ridge: float) -> Tensor:
    """Invert a kernel of long vectors: rounding to float32 has made some eigenvalues negative."""
    values, vectors = torch.linalg.eigh(kernel.double())
    inverse: Tensor = vectors / (values.clamp(min=0) + ridge) @ vectors.t()
    return inverse


def _between(layer: KernelLayer, entities: Tensor) -> NDArray[np.float32]:
    """Compute the similarities of training entities, ``[n, n]``; 0 where one has no value."""
    places = layer.place[entities]
    square = np.zeros((len(entities), len(entities)), dtype=np.float32)
    has_value = (places >= 0).cpu().numpy()
    square[np.ix_(has_value, has_value)] = layer.between(places[places >= 0]).cpu().numpy()
    return square


def _inputs(
    encoder: EntityEncoder, modality: int, entities: Tensor
) -> NDArray[np.float32] | csr_matrix:
    """Compute the inputs of the linear map of a modality; zeros where an entity has no value."""
    layer = first_layer(encoder, modality)
    available = encoder.availability[entities, modality].cpu()
    if isinstance(layer, (BagLayer, InteractionsLayer)):
        return _bags(layer)[entities.cpu().numpy()]

    rows = entities[available]
    if isinstance(layer, DenseLayer):
        values = layer.inputs(rows)
    else:
        assert isinstance(layer, CategoryLayer)
        values = nn.functional.one_hot(layer.values[rows], layer.embedding.num_embeddings)

    inputs = np.zeros((len(entities), values.shape[1]), dtype=np.float32)
    inputs[available.numpy()] = values.float().cpu().numpy()
    return inputs


def _bags(layer: BagLayer | InteractionsLayer) -> csr_matrix:
    """Write the bags of all entities as rows of weights: of length 1, or of ones divided by their number."""
    held: Bags | BagLayer
    held = layer.bags().cpu().in_order() if isinstance(layer, InteractionsLayer) else layer
    indices, offsets = held.indices.cpu().numpy(), held.offsets.cpu().numpy()
    values = np.ones(len(indices), dtype=np.float32)
    if isinstance(layer, BagLayer) and layer.bias is not None:
        values = layer.label_weights.cpu().numpy()[indices]

    shape = (len(offsets) - 1, layer.embedding.num_embeddings)
    bags = csr_matrix((values, indices, offsets), shape=shape)
    squares = np.asarray(bags.multiply(bags).sum(1)).ravel()
    sizes = np.diff(offsets) if layer.bias is None else np.sqrt(squares)
    return csr_matrix(diags(1 / np.maximum(sizes, 1e-6).astype(np.float32)) @ bags)


def weigh_labels(encoder: EntityEncoder, rarity: float) -> None:
    r"""Give rare labels larger weights, :math:`\log((n + 1) / (n_l + 1))^r` for a label of n_l of n training entities.

    This is the inverse document frequency (Sparck Jones, 1972). Labels count in fields with ``label_pooling: root``.

    Args:
        encoder: Encoder with linear projections.
        rarity: The power r; 0 for equal weights.
    """
    trained = encoder.trained.cpu().numpy()
    for layer in _weighted_bags(encoder):
        owners = np.repeat(np.arange(len(trained)), np.diff(layer.offsets.cpu().numpy()))
        labels = layer.indices.cpu().numpy()[trained[owners]]
        counts = np.bincount(labels, minlength=len(layer.label_weights))
        weights = np.log((trained.sum() + 1) / (counts + 1)) ** rarity
        layer.label_weights.copy_(torch.from_numpy(weights))


def has_label_weights(encoder: EntityEncoder) -> bool:
    """Tell whether an encoder has fields of labels with weights."""
    return any(True for _ in _weighted_bags(encoder))


def _weighted_bags(encoder: EntityEncoder) -> Iterator[BagLayer]:
    """Yield the layers of the fields of labels with weights."""
    for m in content_of(encoder):
        layer = first_layer(encoder, m)
        if isinstance(layer, BagLayer) and layer.bias is not None:
            yield layer


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


def first_layer(encoder: EntityEncoder, modality: int) -> nn.Module:
    """Return the only layer of a linear projection."""
    projection = encoder.projections[modality]
    assert isinstance(projection, nn.Sequential)
    layer: nn.Module = projection[0]
    return layer
