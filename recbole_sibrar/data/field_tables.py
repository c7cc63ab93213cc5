"""Modality tables of the columns of RecBole's frames."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from recbole.utils import FeatureType
from scipy.sparse import csr_matrix

from recbole_sibrar.data.loading.matrices import bags, shared_matrix, stacked
from recbole_sibrar.data.loading.served import Column, Sequences, VectorRows
from recbole_sibrar.data.modality import ModalityKind, ModalityTable, bag_table, dense_table
from recbole_sibrar.errors import DataError
from recbole_sibrar.names import INTERACTIONS, Side

if TYPE_CHECKING:
    from recbole_sibrar.data.dataset import MultimodalDataset


def available_values(column: pd.Series[Any], kind: FeatureType) -> NDArray[np.bool_]:
    """Find the rows with a value, before RecBole fills the others.

    Args:
        column: A column of a frame with numbered ids and labels.
        kind: RecBole's type of the field.

    Returns:
        bool ``[n]``.
    """
    # NaN: an entity without a line in the file; an empty array or 0: a line with an empty cell
    if kind in (FeatureType.TOKEN_SEQ, FeatureType.FLOAT_SEQ):
        available = column.map(lambda row: isinstance(row, np.ndarray) and len(row) > 0)
    elif kind is FeatureType.TOKEN:
        available = column.fillna(0) != 0
    else:
        available = column.notna()
    return np.asarray(available, dtype=bool)


def field_table(
    dataset: MultimodalDataset,
    name: str,
    column: pd.Series[Any],
    available: NDArray[np.bool_],
) -> ModalityTable:
    """Make the modality of a field.

    Args:
        dataset: The data set.
        name: Name of the field.
        column: Its values in the order of the entities, row 0 for padding.
        available: bool ``[n_entities]``: entities with a value.

    Raises:
        DataError: RecBole has treated a ``float_seq`` as a number.
    """
    kind = dataset.field2type[name]
    mask = torch.tensor(available)
    if kind is FeatureType.TOKEN:
        values = torch.tensor(column.to_numpy(np.int64))
        n_labels = dataset.n_labels(name)
        # a label new since the training of a checkpoint has a higher number: a missing value
        known = mask & (values < n_labels)
        return dense_table(name, ModalityKind.CATEGORICAL, values, known, n_labels)

    if kind is FeatureType.TOKEN_SEQ:
        # [n_entities, n_labels], without the columns of new labels
        all_labels = bags(list(column), dataset.num(name))
        known_labels = all_labels[:, : dataset.n_labels(name)]
        return bag_table(name, ModalityKind.MULTI_LABEL, known_labels)

    if name in dataset.config["numerical_features"]:
        return _numerical_table(dataset, name, column, mask)

    if kind is FeatureType.FLOAT:
        # the model refuses infinite numbers, with the name of the field
        with np.errstate(over="ignore"):
            numbers = torch.from_numpy(column.to_numpy(np.float32)[:, None])
        return dense_table(name, ModalityKind.SCALAR, numbers, mask, 1)

    return _vector_table(name, list(column), mask, dataset.field2seqlen[name])


def _numerical_table(
    dataset: MultimodalDataset,
    name: str,
    column: pd.Series[Any],
    mask: torch.Tensor,
) -> ModalityTable:
    """Make the modality of a field of RecBole's ``numerical_features``.

    RecBole turns such a field into pairs: (value, 1), or (1, bucket) if it is discretised.
    """
    if dataset.field2type[name] is not FeatureType.FLOAT:
        raise DataError(
            f"numerical_features: '{name}' is a float_seq, only float fields can be listed there"
        )

    pairs = torch.tensor(column.to_list(), dtype=torch.float32)
    if name in (dataset.config["discretization"] or ()):
        buckets = pairs[:, 1].long()
        n_buckets = dataset.field2bucketnum[name]
        return dense_table(name, ModalityKind.CATEGORICAL, buckets, mask, n_buckets)
    return dense_table(name, ModalityKind.SCALAR, pairs[:, :1], mask, 1)


def _vector_table(name: str, vectors: list[Any], mask: torch.Tensor, size: int) -> ModalityTable:
    """Make the modality of vectors; it shares the matrix of the file if it can."""
    shared = shared_matrix(vectors, size)
    if shared is None:
        values = torch.from_numpy(stacked(vectors, size))
        return dense_table(name, ModalityKind.VECTOR, values, mask, size)

    # without dense_table, which would copy the matrix
    mask[0] = False
    matrix, rows = shared
    return ModalityTable(
        name,
        ModalityKind.VECTOR,
        size,
        mask,
        values=torch.from_numpy(matrix),
        rows=torch.from_numpy(rows),
    )


def served_column(
    kind: FeatureType,
    column: pd.Series[Any],
    table: ModalityTable,
    entities: NDArray[np.int64],
) -> Column:
    """Make the column of RecBole's own data set.

    Args:
        kind: RecBole's type of the field.
        column: Its values, in the order of the file.
        table: The field's modality; its vectors are shared.
        entities: int64 ``[len(column)]``: the entity of each row.
    """
    if kind is FeatureType.TOKEN:
        return torch.tensor(column.to_numpy(np.int64))
    if kind is FeatureType.TOKEN_SEQ:
        return Sequences.of(list(column))
    if kind is FeatureType.FLOAT:
        return torch.tensor(column.to_list(), dtype=torch.float32)

    assert table.values is not None
    entity_rows = torch.tensor(entities)
    value_rows = entity_rows if table.rows is None else table.rows[entity_rows]
    return VectorRows(table.values, value_rows, table.available[entity_rows])


def interactions_table(dataset: MultimodalDataset, side: Side) -> ModalityTable:
    """Make the modality ``interactions`` of one side from the interactions of a data set.

    Args:
        dataset: The data set.
        side: ``user`` or ``item``. Entities new since the training of a checkpoint have none.
    """
    other: Side = "item" if side == "user" else "user"
    rows = np.asarray(dataset.inter_feat[dataset.id_field(side)])
    columns = np.asarray(dataset.inter_feat[dataset.id_field(other)])

    known = (rows < dataset.n_known(side)) & (columns < dataset.n_known(other))
    # without copies where all are known: the rows of large data are gigabytes
    if not known.all():
        rows, columns = rows[known], columns[known]
    ones = np.ones(len(rows), dtype=np.int8)
    shape = (dataset.num(dataset.id_field(side)), dataset.n_known(other))
    matrix = csr_matrix((ones, (rows, columns)), shape=shape)
    return bag_table(INTERACTIONS, ModalityKind.INTERACTIONS, matrix)
