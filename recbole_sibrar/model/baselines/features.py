"""Content of users or items as rows of unit length, one matrix for each modality."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, diags

from recbole_sibrar.config.values import ByField
from recbole_sibrar.data.modality import ModalityKind, ModalityTable, with_known_labels
from recbole_sibrar.model.layers import soft_bins
from recbole_sibrar.model.layers.scaling import statistics


@dataclass(frozen=True)
class ContentBlock:
    """Rows of one modality: length 1 where it is available, zeros where it is missing.

    Example:
        >>> block = ContentBlock("text", np.array([[0, 0], [1, 0], [0.6, 0.8]], dtype=np.float32))
        >>> block.cosines(np.array([1]), np.array([0, 1, 2])).round(4).tolist()
        [[0.0, 1.0, 0.6]]
    """

    name: str
    """Name of the modality."""
    rows: NDArray[np.float32] | csr_matrix
    """float32 ``[n_entities, size]``."""

    def cosines(self, first: NDArray[np.int64], second: NDArray[np.int64]) -> NDArray[np.float64]:
        """Compute the cosine of each pair of entities, ``[len(first), len(second)]``."""
        # Rows have length 1, or 0 where the value is missing: the cosine with it is 0.
        product = self.rows[first] @ self.rows[second].T
        dense = product.toarray() if isinstance(product, csr_matrix) else product
        return np.asarray(dense, dtype=np.float64)


def content_blocks(
    tables: Mapping[str, ModalityTable],
    names: Sequence[str],
    trained: torch.Tensor,
    scaling: ByField,
) -> list[ContentBlock]:
    """Make the blocks of some modalities.

    Args:
        tables: Modalities of a side.
        names: Names of the modalities to use.
        trained: bool ``[n_entities]``: entities with training interactions. Statistics and known
            labels are theirs.
        scaling: Scaling of each vector before its length becomes 1: ``standard`` or none.

    Example:
        >>> from recbole_sibrar.model.example import ExampleData
        >>> tables = ExampleData().modality_tables("item")
        >>> (block,) = content_blocks(tables, ["text"], tables["id"].available, ByField("none"))
        >>> np.linalg.norm(block.rows, axis=1).round(4).tolist()
        [0.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0]
    """
    blocks: list[ContentBlock] = []
    for name in names:
        rows = _unit_rows(tables[name], trained, scaling.of(name))
        blocks.append(ContentBlock(name, rows))
    return blocks


def _unit_rows(
    table: ModalityTable, trained: torch.Tensor, scaling: str
) -> NDArray[np.float32] | csr_matrix:
    # Labels that no training entity has tell nothing about interactions.
    table = with_known_labels(table, trained)
    available = table.available.numpy()
    if table.kind is ModalityKind.CATEGORICAL:
        return _one_hot(table, available)
    if table.kind is ModalityKind.MULTI_LABEL:
        return _bags(table)

    values = table.values_of(torch.arange(len(table))).double().numpy()
    if table.kind is ModalityKind.SCALAR or scaling == "standard":
        mean, deviation = statistics(table, trained)
        spread = deviation.double().numpy()
        # A dimension that is constant in training becomes 0.
        varies = spread > 0
        values = (values - mean.double().numpy()) * varies / np.where(varies, spread, 1)
    if table.kind is ModalityKind.SCALAR:
        values = soft_bins(torch.from_numpy(values[:, 0])).numpy()
    # not a product with the mask: the rows of missing vectors are NaN where they come from a file
    return _scaled_to_one(np.where(available[:, None], values, 0))


def _one_hot(table: ModalityTable, available: NDArray[np.bool_]) -> csr_matrix:
    assert table.values is not None
    entities = available.nonzero()[0]
    ones = np.ones(len(entities), dtype=np.float32)
    labels = table.values.numpy()[entities]
    return csr_matrix((ones, (entities, labels)), shape=(len(table), table.size))


def _bags(table: ModalityTable) -> csr_matrix:
    assert table.indices is not None
    assert table.offsets is not None
    ones = np.ones(len(table.indices), dtype=np.float32)
    arrays = (ones, table.indices.numpy(), table.offsets.numpy())
    bags = csr_matrix(arrays, shape=(len(table), table.size))
    # A row of n ones has the length root of n.
    counts = np.maximum(np.diff(bags.indptr), 1)
    return csr_matrix(diags(1 / np.sqrt(counts)) @ bags, dtype=np.float32)


def _scaled_to_one(values: NDArray[np.float64]) -> NDArray[np.float32]:
    lengths = np.linalg.norm(values, axis=1, keepdims=True)
    return np.asarray(values / np.where(lengths > 0, lengths, 1), dtype=np.float32)


def most_similar(similarities: NDArray[np.floating[Any]], k: int) -> NDArray[np.int64]:
    """Find the k largest similarities of each row; of equal ones, those of the first columns.

    Args:
        similarities: ``[n, m]``, with m of at least k.
        k: Number of columns to find.

    Returns:
        int64 ``[n, k]``: columns, ascending.

    Example:
        >>> most_similar(np.array([[0.5, 0.9, 0.5, 0.5]]), 2).tolist()
        [[0, 1]]
    """
    # A partition alone would choose among equal ones as the processor likes.
    least = np.partition(similarities, -k, axis=1)[:, [-k]]
    above = similarities > least
    equal = similarities == least
    n_open = k - above.sum(axis=1, keepdims=True)
    chosen = above | (equal & (equal.cumsum(axis=1) <= n_open))
    return np.asarray(chosen.nonzero()[1].reshape(len(similarities), k))
