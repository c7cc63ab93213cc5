"""Values for the entities without one: zeros, the mean, or those of similar entities."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from torch import Tensor

from recbole_sibrar.config.values import ByField
from recbole_sibrar.data.modality import ModalityKind, ModalityTable, bag_table, dense_table
from recbole_sibrar.model.baselines.features import content_blocks, most_similar
from recbole_sibrar.model.baselines.regression import ContentKernel

N_NEIGHBORS = 10
"""Number of similar entities to take a missing value from."""

_ALMOST_HALF = 0.5 - 1e-9
"""Half, less the rounding of a share: 49 times 1/98 is below 0.5."""

_SIMILARITIES = 1 << 24
"""Similarities to keep at a time, 128 MB: those of a few entities to all others."""


def impute_values(
    tables: Mapping[str, ModalityTable], name: str, way: str, trained: Tensor
) -> ModalityTable:
    """Fill in the missing values of a modality.

    ``zero`` gives zeros, or a label of its own. ``mean`` gives the mean of the training entities,
    their most frequent category, or the labels of at least half of them. ``neighbors`` gives the
    same of the 10 training entities with the most similar content in the other fields; entities
    without content get the mean.

    Args:
        tables: All fields of a side.
        name: Name of the modality.
        way: ``zero``, ``mean`` or ``neighbors``.
        trained: bool ``[n_entities]``: True for entities with training interactions.
    """
    # Means and neighbours are of training entities alone, as the statistics of scaling are.
    table = tables[name]
    missing = np.flatnonzero(~table.available.numpy())[1:]  # without the padding
    known = np.flatnonzero((table.available & trained).numpy())
    if not len(missing) or not len(known):
        return table
    if way == "zero":
        return _with_zeros(table, missing)

    # A row without weights stands for the mean of all.
    weights = csr_matrix((len(missing), len(known)))
    if way == "neighbors":
        others = {other: value for other, value in tables.items() if other != name}
        weights = _neighbor_weights(others, missing, known, trained)
    return _with_means(table, missing, known, weights)


def _with_zeros(table: ModalityTable, missing: NDArray[np.int64]) -> ModalityTable:
    """Fill in zeros, or a label of their own."""
    if table.kind in (ModalityKind.SCALAR, ModalityKind.VECTOR):
        return _with_values(table, missing, np.zeros((len(missing), table.size)))
    # The new label has the next number.
    labels = [np.array([table.size])] * len(missing)
    return _with_labels(replace(table, size=table.size + 1), missing, labels)


def _neighbor_weights(
    others: Mapping[str, ModalityTable],
    missing: NDArray[np.int64],
    known: NDArray[np.int64],
    trained: Tensor,
) -> csr_matrix:
    """Weigh the most similar known entities alike, ``[n_missing, n_known]``.

    A missing entity without content has no weights.
    """
    blocks = tuple(content_blocks(others, list(others), trained, ByField("none")))
    kernel = ContentKernel(blocks, (1.0,) * len(blocks))
    k = min(N_NEIGHBORS, len(known))
    n_rows = max(_SIMILARITIES // len(known), 1)
    rows: list[NDArray[np.int64]] = []
    columns: list[NDArray[np.int64]] = []

    for start in range(0, len(missing), n_rows):
        similarities = kernel.between(missing[start : start + n_rows], known)
        has_content = np.flatnonzero(similarities.any(axis=1))
        nearest = most_similar(similarities[has_content], k)
        rows.append(np.repeat(start + has_content, k))
        columns.append(nearest.ravel())

    places = (np.concatenate(rows), np.concatenate(columns))
    return csr_matrix((np.full(len(places[0]), 1 / k), places), shape=(len(missing), len(known)))


def _with_means(
    table: ModalityTable, missing: NDArray[np.int64], known: NDArray[np.int64], weights: csr_matrix
) -> ModalityTable:
    """Fill in weighted means of the known values, or their most frequent labels."""
    has_weights = np.diff(weights.indptr) > 0
    if table.kind in (ModalityKind.SCALAR, ModalityKind.VECTOR):
        values = table.values_of(torch.from_numpy(known)).double().numpy()
        filled = np.asarray(weights @ values)
        filled[~has_weights] = values.mean(axis=0)
        return _with_values(table, missing, filled)

    matrix = _label_matrix(table)[known]
    shares = weights @ matrix  # [n_missing, n_labels]
    of_all = _frequent(np.asarray(matrix.mean(axis=0)).ravel(), table.kind)

    # Row by row: dense, the shares of many labels would fill the memory.
    labels: list[NDArray[np.int64]] = []
    for row, has_own in enumerate(has_weights):
        own = _frequent(shares[[row]].toarray()[0], table.kind) if has_own else of_all
        labels.append(own)
    return _with_labels(table, missing, labels)


def _frequent(shares: NDArray[np.float64], kind: ModalityKind) -> NDArray[np.int64]:
    """Return the labels with a share of at least a half, or the most frequent one."""
    if kind is ModalityKind.MULTI_LABEL:
        frequent = np.flatnonzero(shares > _ALMOST_HALF)
        if len(frequent):
            return frequent

    # A category is one label.
    most_frequent: NDArray[np.int64] = shares.argmax(keepdims=True)
    return most_frequent


def _label_matrix(table: ModalityTable) -> csr_matrix:
    """Labels of all entities as zeros and ones, ``[n_entities, n_labels]``."""
    shape = (len(table), table.size)
    if table.values is not None:
        entities = np.flatnonzero(table.available.numpy())
        columns = table.values.numpy()[entities]
        ones = np.ones(len(entities))
        return csr_matrix((ones, (entities, columns)), shape=shape)

    # Bags of labels are the arrays of a CSR matrix already.
    assert table.indices is not None
    assert table.offsets is not None
    ones = np.ones(len(table.indices))
    return csr_matrix((ones, table.indices.numpy(), table.offsets.numpy()), shape=shape)


def _with_values(
    table: ModalityTable, missing: NDArray[np.int64], filled: NDArray[np.float64]
) -> ModalityTable:
    """Return a table with values for all entities."""
    values = table.values_of(torch.arange(len(table))).clone()
    values[missing] = torch.from_numpy(np.asarray(filled)).to(values.dtype)
    available = torch.ones(len(table), dtype=torch.bool)
    return dense_table(table.name, table.kind, values, available, table.size)


def _with_labels(
    table: ModalityTable, missing: NDArray[np.int64], labels: list[NDArray[np.int64]]
) -> ModalityTable:
    """Return a table with labels for all entities."""
    if table.values is not None:
        values = table.values.clone()
        values[missing] = torch.from_numpy(np.concatenate(labels))
        available = torch.ones(len(table), dtype=torch.bool)
        return dense_table(table.name, table.kind, values, available, table.size)

    sizes = [len(own) for own in labels]
    places = (np.repeat(missing, sizes), np.concatenate(labels))
    ones = np.ones(len(places[0]))
    added = csr_matrix((ones, places), shape=(len(table), table.size))
    return bag_table(table.name, table.kind, _label_matrix(table) + added)
