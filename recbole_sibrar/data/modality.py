"""Modality tables: the values of one modality of all users or all items, and their availability."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from torch import Tensor

from recbole_sibrar.names import ID, Side


class ModalityKind(Enum):
    """Kind of a modality's values; it decides the projection."""

    CATEGORICAL = "categorical"
    """One category per entity (a ``token`` field)."""
    MULTI_LABEL = "multi-label"
    """A bag of categories per entity (a ``token_seq`` field)."""
    SCALAR = "scalar"
    """One number per entity (a ``float`` field)."""
    VECTOR = "vector"
    """A dense vector per entity (a ``float_seq`` field)."""
    INTERACTIONS = "interactions"
    """The set of the entity's training interactions with the other side."""
    ID = "id"
    """The entity itself, as in matrix factorisation."""


@dataclass(frozen=True)
class ModalityTable:
    """Values and availability of one modality, indexed by entity id (row 0 is padding).

    Kinds with one value per entity have ``values``; kinds with a bag of ids per entity have
    ``indices`` and ``offsets``; ``id`` has neither.
    """

    name: str
    """Name of the modality: a field of the atomic file, ``interactions`` or ``id``."""
    kind: ModalityKind
    """Kind of the values."""
    size: int
    """Length of a vector (1 for a number), or number of possible ids, padding included."""
    available: Tensor
    """bool ``[n_entities]``: True where the entity has a value; always False for the padding
    row."""
    values: Tensor | None = None
    """int64 ``[n_entities]`` for a category, float32 ``[n_entities, size]`` for numbers and
    vectors."""
    rows: Tensor | None = None
    """int64 ``[n_entities]``: each entity's row of ``values``; None if these are in the order of
    the entities."""
    indices: Tensor | None = None
    """int64 ``[nnz]``: the bags of all entities, one after the other."""
    offsets: Tensor | None = None
    """int64 ``[n_entities + 1]``: the bag of entity ``x`` is ``indices[offsets[x]:offsets[x +
    1]]``."""

    def __len__(self) -> int:
        """Count the entities, padding included."""
        return len(self.available)

    def values_of(self, entities: Tensor) -> Tensor:
        """Look up ``values`` of some entities; without a meaning for entities without a value.

        Args:
            entities: int64 ``[n]``.
        """
        assert self.values is not None
        return self.values[entities if self.rows is None else self.rows[entities]]

    def describe(self) -> str:
        """Describe the table in one line: kind, size and share of the entities with a value."""
        share = float(self.available[1:].float().mean()) if len(self) > 1 else 0.0
        return f"{self.name} ({self.kind.value}, size {self.size}, {100 * share:.1f} % available)"


def dense_table(
    name: str,
    kind: ModalityKind,
    values: Tensor,
    available: Tensor,
    size: int,
) -> ModalityTable:
    """Make a table with one value per entity; missing values are set to 0.

    Args:
        name: Name of the modality.
        kind: ``CATEGORICAL``, ``SCALAR`` or ``VECTOR``.
        values: ``[n_entities]`` ids, or ``[n_entities, size]`` numbers.
        available: bool ``[n_entities]``.
        size: Number of categories including padding, or length of the vectors.
    """
    # clones, as both may belong to RecBole's frames
    available = available.clone()
    available[0] = False
    values = values.clone()
    values[~available] = 0
    return ModalityTable(name, kind, size, available, values=values)


def bag_table(name: str, kind: ModalityKind, bags: csr_matrix) -> ModalityTable:
    """Make a table with a bag of ids per entity, available where the bag is not empty.

    Args:
        name: Name of the modality.
        kind: ``MULTI_LABEL`` or ``INTERACTIONS``.
        bags: Sparse ``[n_entities, size]`` with an entry for each id of each bag. Row 0 and column
            0 (padding) have to be empty.

    Raises:
        ValueError: Padding has values.
    """
    # a repeated interaction or label counts once
    bags = csr_matrix(bags)
    bags.sum_duplicates()
    bags.sort_indices()

    counts = np.diff(bags.indptr)
    if counts[0] or (bags.indices == 0).any():
        raise ValueError(
            f"modality '{name}': the padding row and the padding id 0 cannot hold values"
        )

    return ModalityTable(
        name,
        kind,
        bags.shape[1],
        torch.from_numpy(counts > 0),
        indices=torch.from_numpy(bags.indices.astype(np.int64)),
        offsets=torch.from_numpy(bags.indptr.astype(np.int64)),
    )


def id_table(trained: Tensor, n_known: int | None = None) -> ModalityTable:
    """Make the ``id`` modality, available for the entities of training.

    Args:
        trained: bool ``[n_entities]``, True where the entity has a training interaction.
        n_known: Number of entities in the training data, padding included; None for all.
    """
    available = trained.clone()
    available[0] = False
    return ModalityTable(ID, ModalityKind.ID, n_known or len(available), available)


def with_known_labels(table: ModalityTable, trained: Tensor) -> ModalityTable:
    """Drop the categories and labels without a training entity.

    Training cannot learn their embeddings; the initial numbers would be noise in the embedding of a
    new entity. For an entity without another label the value counts as missing.

    Args:
        table: A modality; kinds other than ``CATEGORICAL`` and ``MULTI_LABEL`` stay as they are.
        trained: bool ``[n_entities]``, True where the entity has a training interaction.
    """
    known = torch.zeros(table.size, dtype=torch.bool)

    if table.kind is ModalityKind.CATEGORICAL and table.values is not None:
        known[table.values[table.available & trained]] = True
        available = table.available & known[table.values]
        return dense_table(table.name, table.kind, table.values, available, table.size)

    if table.kind is not ModalityKind.MULTI_LABEL:
        return table
    if table.indices is None or table.offsets is None:
        return table

    # [nnz]: the entity of each label
    owners = torch.arange(len(table)).repeat_interleave(table.offsets.diff())
    known[table.indices[trained[owners]]] = True
    kept = known[table.indices]

    counts = torch.bincount(owners[kept], minlength=len(table))
    offsets = torch.cat([counts.new_zeros(1), counts.cumsum(0)])
    return replace(table, available=counts > 0, indices=table.indices[kept], offsets=offsets)


class TrainingData(Protocol):
    """Training part of our ``MultimodalDataset``, as far as a model reads it."""

    uid_field: str
    iid_field: str
    field2id_token: Mapping[str, NDArray[Any]]
    n_negative_candidates: int
    """Number of items in the pool of negatives."""

    def modality_tables(self, side: Side) -> dict[str, ModalityTable]:
        """Modalities of a side by name."""

    def describe_source(self, side: Side) -> str:
        """File of a side's fields, for messages."""
