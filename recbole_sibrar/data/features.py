"""Fields of users and items for an evaluation, read from the files whatever a model loads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from sklearn.preprocessing import normalize

from recbole_sibrar.config import nearest
from recbole_sibrar.data.atomic import Field, names_of
from recbole_sibrar.data.loading.feature_files import id_field, id_names
from recbole_sibrar.data.loading.frames import atomic_file, uses_cache
from recbole_sibrar.errors import DataError
from recbole_sibrar.names import Side
from recbole_sibrar.protocols import DatasetLike


@dataclass(frozen=True)
class FieldValues:
    """The values of one field, indexed by internal entity id (row 0 is padding)."""

    name: str
    """Name of the field."""
    type: str
    """Its type in the atomic file."""
    matrix: NDArray[np.floating[Any]] | csr_matrix
    """float ``[n_entities, size]``: vectors, or for ``token`` and ``token_seq`` 1 where the entity
    has the value."""
    available: NDArray[np.bool_]
    """bool ``[n_entities]``: True where the entity has a value."""
    labels: tuple[str, ...]
    """Label of each column for ``token`` and ``token_seq``, sorted; empty for numbers."""

    def having(self, column: int) -> NDArray[np.bool_]:
        """Find the entities with the label of a column of ``matrix``, bool ``[n_entities]``."""
        found = np.zeros(len(self.available), dtype=bool)
        found[self.matrix[:, [column]].nonzero()[0]] = True
        return found

    @cached_property
    def directions(self) -> tuple[NDArray[np.floating[Any]] | csr_matrix, NDArray[np.bool_]]:
        """Rows of ``matrix`` at unit length, and bool ``[n_entities]``: True for nonzero rows."""
        unit = normalize(self.matrix)

        # a sparse matrix sums to a matrix of one column, a dense one to an array
        lengths = np.asarray(abs(unit).sum(axis=1)).ravel()  # [n_entities]
        return unit, self.available & (lengths > 0)


@dataclass(frozen=True)
class Numbers:
    """A number of each user or item, indexed by internal entity id (row 0 is padding)."""

    values: NDArray[np.float64]
    """float64 ``[n_entities]``, 0 where there is none."""
    available: NDArray[np.bool_]
    """bool ``[n_entities]``: True where the entity has a number."""
    in_file: NDArray[np.float64]
    """float64 ``[m]``: the numbers of all lines of the file, those of filtered entities
    included."""


def feature_path(dataset: DatasetLike, side: Side) -> Path:
    """Path of the data set's ``.user`` or ``.item`` file."""
    return Path(dataset.dataset_path) / f"{dataset.dataset_name}.{side}"


def field_types(dataset: DatasetLike, side: Side) -> dict[str, str]:
    """List the fields of the ``.user`` or ``.item`` file with their types, without the ids.

    The list is empty if there is no file.
    """
    path = feature_path(dataset, side)
    if not path.is_file():
        return {}

    header = atomic_file(dataset.config, path).header
    types = {field.name: field.type for field in header}
    types.pop(id_field(dataset, side), None)
    return types


def read_field(
    dataset: DatasetLike,
    side: Side,
    name: str,
    types: tuple[str, ...],
    key: str,
) -> FieldValues:
    """Read a field of users or items from their file, or from an additional file.

    The values are those of the file, without RecBole's normalisation.

    Args:
        dataset: A RecBole ``Dataset``.
        side: ``user`` or ``item``.
        name: The field.
        types: The allowed field types.
        key: The configuration key of the field, for messages.

    Raises:
        DataError: There is no such file or field, or it has another type.
    """
    # RecBole's models seldom load these files: the frames of the data set have no such field.
    field, cells, entities = _read_column(dataset, side, name, types, key)
    # lines of filtered entities have the number 0
    known = entities > 0
    n_entities = dataset.num(id_field(dataset, side))
    return _values(field, list(cells[known]), entities[known], n_entities)


def read_numbers(dataset: DatasetLike, side: Side, name: str, key: str) -> Numbers:
    """Read a field of numbers: a ``float`` field, or a ``token`` field with numbers alone.

    Args:
        dataset: A RecBole ``Dataset``.
        side: ``user`` or ``item``.
        name: The field.
        key: The configuration key of the field, for messages.

    Raises:
        DataError: There is no such file or field, or a value is no number.
    """
    field, cells, entities = _read_column(dataset, side, name, ("float", "token"), key)
    found = pd.to_numeric(cells, errors="coerce").to_numpy(np.float64)
    wrong = cells[cells.notna().to_numpy() & np.isnan(found)]
    if field.type == "token" and len(wrong):
        path = feature_path(dataset, side)
        raise DataError(
            f"{key}: bins: found '{wrong.iloc[0]}' in the field '{name}' of {path}, allowed are "
            "numbers"
        )

    # a line of a filtered entity counts for in_file, and for nothing else
    finite = np.isfinite(found)
    known = finite & (entities > 0)
    values = np.zeros(dataset.num(id_field(dataset, side)))
    values[entities[known]] = found[known]
    available = np.zeros(len(values), dtype=bool)
    available[entities[known]] = True
    return Numbers(values, available, found[finite])


def _read_column(
    dataset: DatasetLike,
    side: Side,
    name: str,
    types: tuple[str, ...],
    key: str,
) -> tuple[Field, pd.Series[Any], NDArray[np.int64]]:
    """Read a field, its cells and the internal id of each line; 0 outside the data set."""
    path = _file_with(dataset, side, name)
    if not path.is_file():
        raise DataError(f"{key}: found '{name}', but the file {path} of the field does not exist")

    file = atomic_file(dataset.config, path)
    fields = {field.name: field for field in file.header}
    names = id_names(dataset, side)
    id_field = next((field for field in names if field in fields), None)

    usable = names_of(file.header, *types)
    if id_field in usable:
        # ids are tokens too, but no property of an entity
        usable.remove(id_field)
    if name not in usable:
        fault = "is not there"
        if name in fields:
            fault = f"is of type {fields[name].type} there"
        raise DataError(
            f"{key}: found '{name}', which {fault}; allowed are the fields of {path} of type "
            f"{' or '.join(types)}: {', '.join(usable) or 'none'}{nearest(name, usable)}"
        )
    if id_field is None:
        raise DataError(f"{path} has no field '{names[0]}' for the id of each line")

    # the reader takes columns in the order of the file
    columns = [field for field in file.header if field.name in (name, id_field)]
    frame = file.read(columns, dtype=np.float32, use_cache=uses_cache(dataset.config))
    # int64 [n_lines]
    ids = dataset.field2token_id[names[0]]
    entities = np.array([ids.get(token, 0) for token in frame[id_field]], dtype=np.int64)
    return fields[name], frame[name], entities


def _file_with(dataset: DatasetLike, side: Side, name: str) -> Path:
    """Find the file with a field; the file of the side if there is none."""
    folder = Path(dataset.dataset_path)
    suffixes = [side, *(dataset.config["additional_feat_suffix"] or ())]
    paths = [folder / f"{dataset.dataset_name}.{suffix}" for suffix in suffixes]
    for path in paths:
        header = atomic_file(dataset.config, path).header if path.is_file() else []
        names = names_of(header)
        if name in names and not set(names).isdisjoint(id_names(dataset, side)):
            return path
    return paths[0]


def _values(field: Field, cells: list[Any], entities: NDArray[np.int64], n: int) -> FieldValues:
    """Sort values by internal id."""
    if field.type == "token_seq":
        return _labels(field, cells, entities, n)
    if field.type == "token":
        # an empty cell is NaN, a float
        bags = [[cell] if isinstance(cell, str) else [] for cell in cells]
        return _labels(field, bags, entities, n)
    return _vectors(field, cells, entities, n)


def _labels(
    field: Field,
    bags: Sequence[Sequence[str]],
    entities: NDArray[np.int64],
    n: int,
) -> FieldValues:
    """Make a matrix with 1 for each label of each entity."""
    sizes = [len(bag) for bag in bags]
    rows = np.repeat(entities, sizes)
    values = np.array(list(chain.from_iterable(bags)), dtype=object)
    columns, labels = pd.factorize(values, sort=True)

    ones = np.ones(len(rows), dtype=np.float64)
    matrix = csr_matrix((ones, (rows, columns)), shape=(n, len(labels)))
    # SciPy adds the entries of one place up, but a repeated label counts once
    matrix.data[:] = 1

    available = np.zeros(n, dtype=bool)
    available[rows] = True
    return FieldValues(field.name, field.type, matrix, available, tuple(labels))


def _vectors(field: Field, cells: list[Any], entities: NDArray[np.int64], n: int) -> FieldValues:
    """Make a matrix of numbers or vectors, 0 where there is none."""
    # a number of a float field becomes a vector of length 1
    vectors = [np.atleast_1d(np.asarray(cell, dtype=np.float32)) for cell in cells]
    size = max(map(len, vectors), default=0)
    dense = np.zeros((n, size), dtype=np.float32)
    available = np.zeros(n, dtype=bool)

    for entity, vector in zip(entities, vectors, strict=True):
        if len(vector) and np.isfinite(vector).all():
            dense[entity] = vector
            available[entity] = True
    return FieldValues(field.name, field.type, dense, available, ())
