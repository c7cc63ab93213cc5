"""Description of a side for a portable model: its fields, labels, scales and display columns."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import torch
from numpy.typing import NDArray
from torch import nn

from recbole_sibrar.data.atomic import Field
from recbole_sibrar.data.dataset import MultimodalDataset
from recbole_sibrar.data.loading.frames import atomic_file
from recbole_sibrar.data.modality import ModalityKind, ModalityTable, with_known_labels
from recbole_sibrar.data.record.recording import recorder_of
from recbole_sibrar.errors import nearest, refuse
from recbole_sibrar.model.encoder import EntityEncoder
from recbole_sibrar.model.layers import Standardization, scaling_of
from recbole_sibrar.names import ID, RESERVED_NAMES, Side
from recbole_sibrar.protocols import DatasetLike
from recbole_sibrar.serving.bundle.manifest import BucketSpec, FieldSpec

__all__ = ["check_display", "display_table", "field_specs", "unused_fields", "vocabularies"]

_LABELLED = (ModalityKind.CATEGORICAL, ModalityKind.MULTI_LABEL)
"""Kinds of modalities with labels."""


def field_specs(dataset: MultimodalDataset, encoder: EntityEncoder) -> tuple[FieldSpec, ...]:
    """Describe the fields that an encoder reads.

    Args:
        dataset: Training part of the data set.
        encoder: Encoder of the side.
    """
    tables = dataset.modality_tables(encoder.config.side)
    names = [name for name in encoder.modalities if name not in RESERVED_NAMES]
    return tuple(_field_spec(dataset, encoder, tables[name]) for name in names)


def _field_spec(
    dataset: MultimodalDataset, encoder: EntityEncoder, table: ModalityTable
) -> FieldSpec:
    name = table.name
    recorder = recorder_of(dataset)
    scaling = _scaling_layer(encoder, name)
    is_standard = isinstance(scaling, Standardization)
    return FieldSpec(
        name,
        dataset.field2type[name].value,
        table.size,
        range=recorder.ranges.get(name),
        buckets=_bucket_spec(dataset, name),
        limit=(dataset.config["seq_len"] or {}).get(name),
        scaling=scaling_of(encoder.config, table),
        mean=tuple(scaling.mean.tolist()) if is_standard else (),
        deviation=tuple(scaling.deviation.tolist()) if is_standard else (),
    )


def _scaling_layer(encoder: EntityEncoder, name: str) -> Any:
    """Scaling of a field in front of its projection; None without one."""
    projection = encoder.projections[encoder.modalities.index(name)]
    first = projection[0] if isinstance(projection, nn.Sequential) else projection
    return getattr(first, "scaling", None)


def _bucket_spec(dataset: MultimodalDataset, name: str) -> BucketSpec | None:
    held = recorder_of(dataset).buckets.get(name)
    if held is None:
        return None
    asked = dataset.config["discretization"][name]
    return BucketSpec(
        asked["method"],
        int(asked.get("bucket") or 0),
        tuple(map(float, held.bounds)),
        int(held.count),
    )


def vocabularies(
    dataset: MultimodalDataset, encoder: EntityEncoder
) -> dict[str, tuple[pa.Array, NDArray[np.int64]]]:
    """Collect the labels of each field that training knew; the others count as missing.

    Args:
        dataset: Training part of the data set.
        encoder: Encoder of the side.

    Returns:
        Field -> its labels, and their numbers.
    """
    tables = dataset.modality_tables(encoder.config.side)
    # Entities with interactions in the training part.
    trained = tables[ID].available

    found: dict[str, tuple[pa.Array, NDArray[np.int64]]] = {}
    for name in encoder.modalities:
        table = tables[name]
        if name in RESERVED_NAMES or table.kind not in _LABELLED:
            continue

        numbers = _known_labels(with_known_labels(table, trained))
        is_bucket = dataset.field2type[name].value.startswith("float")
        if is_bucket:
            # A bucket may have the number 0, and RecBole has no names for buckets.
            labels = numbers
        else:
            # RecBole's label 0 is the padding.
            numbers = numbers[numbers > 0]
            labels = np.asarray(dataset.field2id_token[name])[numbers]
        found[name] = pa.array([str(label) for label in labels], pa.string()), numbers
    return found


def _known_labels(table: ModalityTable) -> NDArray[np.int64]:
    """Numbers of the labels in a table, ascending."""
    held = table.indices
    if held is None:
        assert table.values is not None
        held = table.values[table.available]
    labels: NDArray[np.int64] = torch.unique(held).numpy().astype(np.int64)
    return labels


def headers(dataset: DatasetLike, side: Side) -> Mapping[str, Field]:
    """Fields of a side's atomic file; none if there is no file."""
    path = os.path.join(dataset.dataset_path, f"{dataset.dataset_name}.{side}")
    if not os.path.isfile(path):
        return {}
    return {field.name: field for field in atomic_file(dataset.config, path).header}


def unused_fields(
    dataset: DatasetLike, side: Side, used: Sequence[str], id_field: str
) -> tuple[str, ...]:
    """List the fields of the atomic file that the encoder does not read."""
    read = {*used, id_field}
    return tuple(name for name in headers(dataset, side) if name not in read)


def check_display(dataset: DatasetLike, names: Sequence[str]) -> None:
    """Check the names of display columns.

    Raises:
        ConfigError: A name is no field of the files of users and items.
    """
    known = list(dict.fromkeys([*headers(dataset, "user"), *headers(dataset, "item")]))
    for name in names:
        if name not in known:
            allowed = f"fields of the .user and .item files: {', '.join(known) or 'there are none'}"
            refuse("--display", name, f"{allowed}{nearest(name, known)}")


def display_table(
    dataset: DatasetLike, side: Side, names: Sequence[str], tokens: Sequence[str]
) -> pa.Table:
    """Read display columns as they are in the atomic file, also those that the model does not use.

    Args:
        dataset: The data set.
        side: ``user`` or ``item``.
        names: The columns; those of the other side are left out.
        tokens: Ids, in the order of the rows to return.
    """
    known = headers(dataset, side)
    id_field = dataset.uid_field if side == "user" else dataset.iid_field
    chosen = [name for name in dict.fromkeys(names) if name in known and name != id_field]
    if not chosen:
        return pa.table({})

    # From the file: RecBole's own frame holds numbers of labels, and only the loaded columns.
    path = os.path.join(dataset.dataset_path, f"{dataset.dataset_name}.{side}")
    frame = atomic_file(dataset.config, path).read([known[name] for name in (id_field, *chosen)])
    by_id = frame.drop_duplicates(id_field).set_index(id_field).reindex(list(tokens))

    columns = {}
    for name in chosen:
        columns[name] = _display_column(by_id[name], known[name].type)
    return pa.table(columns)


def _display_column(column: pd.Series[Any], kind: str) -> pa.Array:
    if not kind.endswith("seq"):
        return pa.array(column, from_pandas=True)

    # An id without a row has NaN instead of an array.
    cells: list[list[Any] | None] = []
    for cell in column:
        is_filled = isinstance(cell, np.ndarray) and len(cell) > 0
        cells.append(list(cell) if is_filled else None)
    return pa.array(cells, pa.list_(pa.string() if kind == "token_seq" else pa.float32()))
