"""One modality of all users or all items: its values and who has them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum

import numpy as np
import torch
from scipy.sparse import csr_matrix
from torch import Tensor

from recbole_sibrar.names import ID


class ModalityKind(Enum):
    """How the values of a modality look, which decides its projection."""

    CATEGORICAL = "categorical"
    """One category per entity (a ``token`` field)."""
    MULTI_LABEL = "multi-label"
    """A bag of categories per entity (a ``token_seq`` field)."""
    SCALAR = "scalar"
    """One number per entity (a ``float`` field)."""
    VECTOR = "vector"
    """A dense vector per entity (a ``float_seq`` field)."""
    INTERACTIONS = "interactions"
    """The set of entities of the other side that the entity interacted with in training."""
    ID = "id"
    """The entity itself, as in matrix factorisation."""


@dataclass(frozen=True)
class ModalityTable:
    """Values and availability of one modality, indexed by entity id (row 0 is padding).

    Exactly one of the two forms of values is present: ``values`` for the kinds with one value per
    entity, ``indices`` and ``offsets`` for the kinds with a bag of ids per entity, and neither for ``id``.
    """

    name: str
    """Name of the modality: a field of the atomic file, ``interactions`` or ``id``."""
    kind: ModalityKind
    """What the values are."""
    size: int
    """Length of a vector (1 for a number), or the number of ids an index can have, padding included."""
    available: Tensor
    """bool ``[n_entities]``: which entities have a value; always False for the padding row."""
    values: Tensor | None = None
    """int64 ``[n_entities]`` for a category, float32 ``[n_entities, size]`` for numbers and vectors."""
    rows: Tensor | None = None
    """int64 ``[n_entities]``: which row of ``values`` is whose, where they are not in the order of the entities."""
    indices: Tensor | None = None
    """int64 ``[nnz]``: the bags of all entities, one after the other."""
    offsets: Tensor | None = None
    """int64 ``[n_entities + 1]``: the bag of entity ``x`` is ``indices[offsets[x]:offsets[x + 1]]``."""

    def __len__(self) -> int:
        """Number of entities, padding included."""
        return len(self.available)

    def values_of(self, entities: Tensor) -> Tensor:
        """``values`` of some entities, which mean nothing for those that have none.

        Args:
            entities: int64 ``[n]``.
        """
        assert self.values is not None
        return self.values[entities if self.rows is None else self.rows[entities]]

    def describe(self) -> str:
        """One line for the log: kind, size and share of entities (without padding) that have a value."""
        share = float(self.available[1:].float().mean()) if len(self) > 1 else 0.0
        return f"{self.name} ({self.kind.value}, size {self.size}, {100 * share:.1f} % available)"


def dense_table(name: str, kind: ModalityKind, values: Tensor, available: Tensor, size: int) -> ModalityTable:
    """A table with one value per entity; values of entities that have none are set to 0.

    Args:
        name: Name of the modality.
        kind: ``CATEGORICAL``, ``SCALAR`` or ``VECTOR``.
        values: ``[n_entities]`` ids, or ``[n_entities, size]`` numbers.
        available: bool ``[n_entities]``.
        size: Number of categories including padding, or length of the vectors.
    """
    available = available.clone()
    available[0] = False
    values = values.clone()
    values[~available] = 0
    return ModalityTable(name, kind, size, available, values=values)


def bag_table(name: str, kind: ModalityKind, bags: csr_matrix) -> ModalityTable:
    """A table with a bag of ids per entity, available where the bag is not empty.

    Args:
        name: Name of the modality.
        kind: ``MULTI_LABEL`` or ``INTERACTIONS``.
        bags: Sparse ``[n_entities, size]``; a stored entry means that the id of the column is in the
            bag. Row 0 and column 0 (padding) have to be empty.
    """
    bags = csr_matrix(bags)
    bags.sum_duplicates()
    bags.sort_indices()
    counts = np.diff(bags.indptr)
    if counts[0] or (bags.indices == 0).any():
        raise ValueError(f"modality '{name}': the padding row and the padding id 0 cannot hold values")
    return ModalityTable(
        name,
        kind,
        bags.shape[1],
        torch.from_numpy(counts > 0),
        indices=torch.from_numpy(bags.indices.astype(np.int64)),
        offsets=torch.from_numpy(bags.indptr.astype(np.int64)),
    )


def id_table(trained: Tensor, n_known: int | None = None) -> ModalityTable:
    """The ``id`` modality, available for the entities that training has seen.

    Args:
        trained: bool ``[n_entities]``, True where the entity has a training interaction.
        n_known: Number of entities in the data of training, padding included; None for all.
    """
    available = trained.clone()
    available[0] = False
    return ModalityTable(ID, ModalityKind.ID, n_known or len(available), available)


def with_known_labels(table: ModalityTable, trained: Tensor) -> ModalityTable:
    """A table without the categories and labels that no training entity has.

    Training cannot learn their embeddings; what they were initialised with would be noise in the embedding of a new
    entity. An entity that has no other label of the modality counts as one whose value is missing.

    Args:
        table: A modality; only ``CATEGORICAL`` and ``MULTI_LABEL`` ones are changed.
        trained: bool ``[n_entities]``, True where the entity has a training interaction.
    """
    known = torch.zeros(table.size, dtype=torch.bool)
    if table.kind is ModalityKind.CATEGORICAL and table.values is not None:
        known[table.values[table.available & trained]] = True
        return dense_table(table.name, table.kind, table.values, table.available & known[table.values], table.size)
    if table.kind is not ModalityKind.MULTI_LABEL or table.indices is None or table.offsets is None:
        return table
    owners = torch.arange(len(table)).repeat_interleave(table.offsets.diff())
    known[table.indices[trained[owners]]] = True
    kept = known[table.indices]
    counts = torch.bincount(owners[kept], minlength=len(table))
    offsets = torch.cat([counts.new_zeros(1), counts.cumsum(0)])
    return replace(table, available=counts > 0, indices=table.indices[kept], offsets=offsets)
