"""Fields of users and items as an evaluation needs them: as the file has them, whatever a model loads."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.sparse import csr_matrix
from sklearn.preprocessing import normalize

from recbole_sibrar.config import nearest
from recbole_sibrar.data.atomic import Field
from recbole_sibrar.data.loading.feature_files import id_names
from recbole_sibrar.data.loading.frames import atomic_file, uses_cache
from recbole_sibrar.errors import DataError
from recbole_sibrar.names import Side


@dataclass(frozen=True)
class FieldValues:
    """The values of one field, indexed by internal entity id (row 0 is padding)."""

    name: str
    """Name of the field."""
    type: str
    """Its type in the atomic file."""
    matrix: np.ndarray | csr_matrix
    """float ``[n_entities, size]``: vectors, or for ``token`` and ``token_seq`` 1 where the entity has the value."""
    available: np.ndarray
    """bool ``[n_entities]``: which entities have a value."""
    labels: tuple[str, ...]
    """What the columns mean for ``token`` and ``token_seq``, sorted; empty for numbers."""

    def having(self, column: int) -> np.ndarray:
        """bool ``[n_entities]``: which entities have the value of a column of ``matrix``."""
        found = np.zeros(len(self.available), dtype=bool)
        found[self.matrix[:, [column]].nonzero()[0]] = True
        return found

    @cached_property
    def directions(self) -> tuple[np.ndarray | csr_matrix, np.ndarray]:
        """The rows of ``matrix`` at unit length, and bool ``[n_entities]``: which have a direction, being not zero."""
        unit = normalize(self.matrix)
        lengths = np.asarray(abs(unit).sum(axis=1)).ravel()
        return unit, self.available & (lengths > 0)


@dataclass(frozen=True)
class Numbers:
    """A number of each user or item, indexed by internal entity id (row 0 is padding)."""

    values: np.ndarray
    """float64 ``[n_entities]``, 0 where there is none."""
    available: np.ndarray
    """bool ``[n_entities]``: which entities have a number."""
    in_file: np.ndarray
    """float64 ``[m]``: the numbers of all lines of the file, also of entities that the data set has left out."""


def feature_path(dataset: Any, side: Side) -> Path:
    """Path of the data set's ``.user`` or ``.item`` file."""
    return Path(dataset.dataset_path) / f"{dataset.dataset_name}.{side}"


def field_types(dataset: Any, side: Side) -> dict[str, str]:
    """Fields of the ``.user`` or ``.item`` file and their types, without the ids; none where there is no file."""
    path = feature_path(dataset, side)
    if not path.is_file():
        return {}
    header = atomic_file(dataset.config, path).header
    return {field.name: field.type for field in header if field.name != _id_field(dataset, side)}


def read_field(dataset: Any, side: Side, name: str, types: tuple[str, ...], key: str) -> FieldValues:
    """Read a field of the data set's ``.user`` or ``.item`` file, or of an additional file of users or items.

    A model of RecBole seldom loads these files; that all models of a comparison are measured in the same way, the field
    is read from the file itself, without any normalisation.

    Args:
        dataset: A RecBole ``Dataset``.
        side: ``user`` or ``item``.
        name: The field.
        types: The field types that are allowed.
        key: The configuration key that asks for it, for messages.

    Raises:
        DataError: There is no such file or field, or it has another type.
    """
    field, cells, entities = _read_column(dataset, side, name, types, key)
    known = entities > 0
    return _values(field, list(cells[known]), entities[known], dataset.num(_id_field(dataset, side)))


def read_numbers(dataset: Any, side: Side, name: str, key: str) -> Numbers:
    """Read a field of numbers: a ``float`` field, or a ``token`` field of which every value is a number.

    Args:
        dataset: A RecBole ``Dataset``.
        side: ``user`` or ``item``.
        name: The field.
        key: The configuration key that asks for it, for messages.

    Raises:
        DataError: There is no such file or field, or a value is no number.
    """
    field, cells, entities = _read_column(dataset, side, name, ("float", "token"), key)
    found = pd.to_numeric(cells, errors="coerce").to_numpy(np.float64)
    wrong = cells[cells.notna().to_numpy() & np.isnan(found)]
    if field.type == "token" and len(wrong):
        path = feature_path(dataset, side)
        raise DataError(f"{key}: bins: found '{wrong.iloc[0]}' in the field '{name}' of {path}, allowed are numbers")

    finite = np.isfinite(found)
    known = finite & (entities > 0)
    values = np.zeros(dataset.num(_id_field(dataset, side)))
    values[entities[known]] = found[known]
    available = np.zeros(len(values), dtype=bool)
    available[entities[known]] = True
    return Numbers(values, available, found[finite])


def _id_field(dataset: Any, side: Side) -> str:
    return dataset.uid_field if side == "user" else dataset.iid_field


def _read_column(
    dataset: Any, side: Side, name: str, types: tuple[str, ...], key: str
) -> tuple[Field, pd.Series, np.ndarray]:
    """A field, its cells, and the internal id of each line, 0 for an entity that the data set has left out."""
    path = _file_with(dataset, side, name)
    if not path.is_file():
        raise DataError(f"{key}: found '{name}', but the file {path}, which would hold the field, does not exist")
    file = atomic_file(dataset.config, path)
    fields = {field.name: field for field in file.header}
    names = id_names(dataset, side)
    id_field = next((field for field in names if field in fields), None)
    usable = [field.name for field in fields.values() if field.type in types and field.name != id_field]
    if name not in usable:
        what = f"is of type {fields[name].type} there" if name in fields else "is not there"
        raise DataError(
            f"{key}: found '{name}', which {what}; allowed are the fields of {path} of type {' or '.join(types)}: "
            f"{', '.join(usable) or 'none'}{nearest(name, usable)}"
        )
    if id_field is None:
        raise DataError(f"{path} has no field '{names[0]}', which says whose values a line holds")

    columns = [field for field in fields.values() if field.name in (name, id_field)]
    frame = file.read(columns, dtype=np.float32, use_cache=uses_cache(dataset.config))
    ids = dataset.field2token_id[names[0]]
    entities = np.array([ids.get(token, 0) for token in frame[id_field]], dtype=np.int64)
    return fields[name], frame[name], entities


def _file_with(dataset: Any, side: Side, name: str) -> Path:
    """The file that has a field; that of the side where none has it."""
    folder = Path(dataset.dataset_path)
    suffixes = [side, *(dataset.config["additional_feat_suffix"] or ())]
    paths = [folder / f"{dataset.dataset_name}.{suffix}" for suffix in suffixes]
    for path in paths:
        header = atomic_file(dataset.config, path).header if path.is_file() else []
        names = {field.name for field in header}
        if name in names and names & set(id_names(dataset, side)):
            return path
    return paths[0]


def _values(field: Field, cells: list[Any], entities: np.ndarray, n: int) -> FieldValues:
    """Values in the order of the internal ids."""
    available = np.zeros(n, dtype=bool)
    if field.type in ("token", "token_seq"):
        bags = [list(cell) if field.type == "token_seq" else [cell] * isinstance(cell, str) for cell in cells]
        labels = tuple(sorted({value for bag in bags for value in bag}))
        column = {label: j for j, label in enumerate(labels)}
        rows = np.repeat(entities, [len(bag) for bag in bags])
        columns = np.array([column[value] for bag in bags for value in bag], dtype=np.int64)
        matrix = csr_matrix((np.ones(len(rows), dtype=np.float64), (rows, columns)), shape=(n, len(labels)))
        matrix.data[:] = 1
        available[rows] = True
        return FieldValues(field.name, field.type, matrix, available, labels)
    vectors = [np.atleast_1d(np.asarray(cell, dtype=np.float32)) for cell in cells]
    present = np.array([len(vector) > 0 and bool(np.isfinite(vector).all()) for vector in vectors], dtype=bool)
    size = max((len(vector) for vector in vectors), default=0)
    dense = np.zeros((n, size), dtype=np.float32)
    available[entities[present]] = True
    for entity, vector in zip(entities[present], (v for v, p in zip(vectors, present, strict=True) if p), strict=True):
        dense[entity] = vector
    return FieldValues(field.name, field.type, dense, available, ())
