"""RecBole's dataset with the side information kept in modality tables instead of joined frames."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import pandas as pd
import torch
from recbole.data.dataset import Dataset
from recbole.utils import FeatureSource, FeatureType
from scipy.sparse import csr_matrix

from recbole_sibrar.data.atomic import DataError, read_header
from recbole_sibrar.data.cache import read_frame
from recbole_sibrar.data.loading import register_fields, selected, text_format, uses_cache
from recbole_sibrar.data.modality import (
    ID,
    INTERACTIONS,
    RESERVED_NAMES,
    ModalityKind,
    ModalityTable,
    Side,
    bag_table,
    dense_table,
    id_table,
)
from recbole_sibrar.data.recording import recorder_of


class MultimodalDataset(Dataset):
    """A RecBole dataset that also carries a :class:`ModalityTable` for each user and item field.

    Filtering, remapping of ids, missing values, normalisation and splits are RecBole's. Only then do the
    values of the user and item fields move into tables indexed by entity id, so that a batch holds ids and
    nothing else: RecBole's own dataset copies every field into every row of every batch.

    Args:
        config: RecBole's ``Config``.

    Raises:
        DataError: A file that the configuration asks for is missing, or its content is not what its
            header promises.
    """

    field_tables: dict[Side, dict[str, ModalityTable]]
    """For each side the tables of its fields, in the order of the file's columns."""
    is_cold_start = False
    """Whether this is a part of a cold-start split, in which training draws its negatives from its own items."""

    @property
    def n_negative_candidates(self) -> int:
        """Number of items that the negatives of training are drawn from."""
        return len(torch.unique(self.inter_feat[self.iid_field])) if self.is_cold_start else self.item_num - 1

    def _load_feat(self, filepath: str, source: FeatureSource | str) -> pd.DataFrame | None:
        """Read ``.user`` and ``.item`` with checks that name the line; everything else is RecBole's."""
        if source not in (FeatureSource.USER, FeatureSource.ITEM):
            return super()._load_feat(filepath, source)
        assert isinstance(source, FeatureSource)
        load, unload = self._get_load_and_unload_col(source)
        if load == set():
            return None
        written = text_format(self.config)
        present = read_header(filepath, written.separator, written.encoding)
        self._check_columns(filepath, source, {field.name for field in present}, load, unload)
        fields = selected(present, load, unload)
        if not fields:
            return None
        frame = read_frame(filepath, fields, written, use_cache=uses_cache(self.config))
        id_field = self.uid_field if source is FeatureSource.USER else self.iid_field
        for field in fields:
            if field.name in self.field2source and field.name != id_field:
                other = self.field2source[field.name].value.removesuffix("_id")
                raise DataError(
                    f"{filepath}: field '{field.name}' is also in the .{other} file; "
                    "rename one of them, or list it in unload_col"
                )
        register_fields(self, frame, fields, source)
        return frame

    def _check_columns(
        self, path: str, source: FeatureSource, present: set[str], load: set[str] | None, unload: set[str] | None
    ) -> None:
        """Check that the columns that are asked for exist, and that the one of the ids is among them."""
        for key in ("load_col", "unload_col"):
            listed = (self.config[key] or {}).get(source.value)
            if isinstance(listed, str) and listed != "*":
                raise DataError(
                    f"{key}: found '{listed}' for {source.value}, allowed is a list of fields, such as [{listed}]"
                )
        missing = sorted(((load or set()) | (unload or set())) - present)
        if missing:
            raise DataError(
                f"load_col/unload_col: {path} has no field '{missing[0]}'; its fields are {', '.join(sorted(present))}"
            )
        id_field = self.uid_field if source is FeatureSource.USER else self.iid_field
        if id_field not in present:
            raise DataError(f"{path} has no field '{id_field}', which says whose values a line holds")
        if id_field in (unload or ()) or (load is not None and id_field not in load):
            key, found = ("load_col", load) if load is not None else ("unload_col", unload)
            raise DataError(
                f"{key}: found {sorted(found or ())} for {source.value}, but '{id_field}' has to be loaded, "
                f"which says whose values a line of {path} holds"
            )

    def _load_data(self, token: str, dataset_path: str) -> None:
        load_col = self.config["load_col"]
        if load_col is not None and not load_col.get("inter"):
            raise DataError(
                f"load_col: found {load_col}, allowed is a list for 'inter' as well, "
                f"with at least {self.uid_field} and {self.iid_field}"
            )
        super()._load_data(token, dataset_path)

    def _load_user_or_item_feat(
        self, token: str, dataset_path: str, source: FeatureSource, field_name: str
    ) -> pd.DataFrame | None:
        load_col = self.config["load_col"]
        wanted = load_col.get(source.value) if load_col else None
        path = self.feature_file(source.value)
        if wanted and wanted != "*" and not os.path.isfile(path):
            raise DataError(
                f"load_col asks for {source.value} fields {list(wanted)}, but the file {path} does not exist; "
                f"add the file or leave '{source.value}' out of load_col"
            )
        return super()._load_user_or_item_feat(token, dataset_path, source, field_name)

    def feature_file(self, side: Side) -> str:
        """Path of the atomic file that holds the fields of one side."""
        return os.path.normpath(os.path.join(self.dataset_path, f"{self.dataset_name}.{side}"))

    def describe_source(self, side: Side) -> str:
        """Where the fields of one side come from, or why there are none, for messages."""
        path = self.feature_file(side)
        if not os.path.isfile(path):
            return f"the file {path} does not exist"
        load_col = self.config["load_col"]
        loaded = load_col is None or side in load_col
        return f"fields of {path}" if loaded else f"load_col has no '{side}', so {path} is not read"

    def _data_processing(self) -> None:
        super()._data_processing()
        unused = self.config["unused_col"] or {}
        self.field_tables = {"user": {}, "item": {}}
        for side, tables in self.field_tables.items():
            frame = getattr(self, f"{side}_feat")
            columns = [] if frame is None else list(frame.columns)
            ignored = set(unused.get(side) or ())
            if ignored - set(columns):
                self.logger.warning(f"unused_col: no {side} field is named {sorted(ignored - set(columns))}")
            id_field = self._id_field(side)
            for name in columns:
                if name != id_field and name not in ignored:
                    tables[name] = self._field_table(name, frame[name], self._available[name])
            if frame is not None:
                setattr(self, f"{side}_feat", frame[[id_field]].copy())
        del self._available

    def _drop_unused_col(self) -> None:
        """Drop unused columns of the interactions; those of users and items never became tables."""
        for name in (self.config["unused_col"] or {}).get("inter", ()):
            if name in self.inter_feat:
                self._del_col(self.inter_feat, name)

    def _fill_nan(self) -> None:
        """Note which values are missing before RecBole fills them."""
        self._available: dict[str, np.ndarray] = {}
        for side in ("user", "item"):
            frame = getattr(self, f"{side}_feat")
            for name in [] if frame is None else frame.columns:
                kind = self.field2type[name]
                if kind in (FeatureType.TOKEN_SEQ, FeatureType.FLOAT_SEQ):
                    self._available[name] = frame[name].map(lambda row: isinstance(row, np.ndarray) and len(row) > 0)
                elif kind is FeatureType.TOKEN:
                    self._available[name] = frame[name].fillna(0) != 0
                else:
                    self._available[name] = frame[name].notna()
                self._available[name] = np.asarray(self._available[name], dtype=bool)
        super()._fill_nan()

    def _id_field(self, side: Side) -> str:
        return self.uid_field if side == "user" else self.iid_field

    def _field_table(self, name: str, column: pd.Series, available: np.ndarray) -> ModalityTable:
        kind = self.field2type[name]
        if name in RESERVED_NAMES:
            raise DataError(
                f"{self.dataset_path}: a user or item field cannot be named '{name}', which is the name of a modality "
                "that every dataset has; rename the field or list it in unload_col"
            )
        if kind is FeatureType.TOKEN:
            values, n = torch.from_numpy(column.to_numpy(np.int64)), self._n_labels(name)
            known = torch.from_numpy(available) & (values < n)
            return dense_table(name, ModalityKind.CATEGORICAL, values, known, n)
        if kind is FeatureType.TOKEN_SEQ:
            bags = _bags(list(column), self.num(name))
            return bag_table(name, ModalityKind.MULTI_LABEL, bags[:, : self._n_labels(name)])
        if name in self.config["numerical_features"]:
            return self._numerical_table(name, column, available)
        mask = torch.from_numpy(available)
        if kind is FeatureType.FLOAT:
            numbers = torch.from_numpy(column.to_numpy(np.float32)[:, None])
            return dense_table(name, ModalityKind.SCALAR, numbers, mask, 1)
        size = self.field2seqlen[name]
        shared = _shared_matrix(list(column), size)
        if shared is None:
            matrix = torch.from_numpy(_matrix(list(column), size))
            return dense_table(name, ModalityKind.VECTOR, matrix, mask, size)
        mask[0] = False
        values, rows = (torch.from_numpy(array) for array in shared)
        return ModalityTable(name, ModalityKind.VECTOR, size, mask, values=values, rows=rows)

    def _numerical_table(self, name: str, column: pd.Series, available: np.ndarray) -> ModalityTable:
        """A field that RecBole's ``numerical_features`` turned into pairs (value, 1), or (1, bucket) if discretised."""
        if self.field2type[name] is not FeatureType.FLOAT:
            raise DataError(f"numerical_features: '{name}' is a float_seq, only float fields can be listed there")
        pairs = torch.tensor(column.to_list(), dtype=torch.float32)
        mask = torch.from_numpy(available)
        if name in (self.config["discretization"] or ()):
            buckets = pairs[:, 1].long()
            return dense_table(name, ModalityKind.CATEGORICAL, buckets, mask, self.field2bucketnum[name])
        return dense_table(name, ModalityKind.SCALAR, pairs[:, :1], mask, 1)

    def n_known(self, side: Side) -> int:
        """Number of users or items that training knows, padding included.

        With a configuration that was read from a checkpoint, new ones have higher numbers.
        """
        return self._n_labels(self._id_field(side))

    def _n_labels(self, name: str) -> int:
        """Number of ids or labels that training knows, padding included; a new label counts as missing."""
        known = recorder_of(self).n_known(name)
        return self.num(name) if known is None else known

    def modality_tables(self, side: Side) -> dict[str, ModalityTable]:
        """All modalities of one side, ``interactions`` first, then the loaded fields, then ``id``.

        ``interactions`` and ``id`` describe the interactions of THIS dataset: ask the training part of a
        split, as RecBole does when it builds a model, and no held-out interaction can be seen. Users and items that
        the training of a checkpoint did not know have neither.

        Args:
            side: ``user`` or ``item``.

        Returns:
            Name of the modality -> its table.
        """
        other: Side = "item" if side == "user" else "user"
        rows, columns = (np.asarray(self.inter_feat[self._id_field(x)]) for x in (side, other))
        known = (rows < self.n_known(side)) & (columns < self.n_known(other))
        shape = (self.num(self._id_field(side)), self.n_known(other))
        ones = np.ones(int(known.sum()), dtype=np.float32)
        interactions = bag_table(
            INTERACTIONS, ModalityKind.INTERACTIONS, csr_matrix((ones, (rows[known], columns[known])), shape=shape)
        )
        return {
            INTERACTIONS: interactions,
            **self.field_tables[side],
            ID: id_table(interactions.available, self.n_known(side)),
        }

    def join(self, df: Any) -> Any:
        """Join the fields of users and items to a batch, which is to say nothing but the ids that it has."""
        return df

    def __str__(self) -> str:
        lines = [super().__str__()]
        for side, tables in self.field_tables.items():
            lines += [f"{side} field: {table.describe()}" for table in tables.values()]
        return "\n".join(lines)


def _bags(rows: list[np.ndarray], size: int) -> csr_matrix:
    """Bags of ids as a sparse matrix ``[n_entities, size]``."""
    lengths = [len(row) for row in rows]
    indices = np.concatenate([*rows, np.array([], dtype=np.int64)]).astype(np.int64)
    pointers = np.concatenate([[0], np.cumsum(lengths)])
    return csr_matrix((np.ones(len(indices), dtype=np.float32), indices, pointers), shape=(len(rows), size))


def _shared_matrix(rows: list[Any], dimension: int) -> tuple[np.ndarray, np.ndarray] | None:
    """The matrix that all vectors are rows of, which may be mapped from a file, and which row is whose.

    Returns:
        float32 ``[n_rows, dimension]`` and int64 ``[n_entities]``, 0 for an empty vector; None where there is no such
        matrix, or most of it is not needed.
    """
    bases = {id(row.base): row.base for row in rows if len(row)}
    base = next(iter(bases.values()), None)
    if len(bases) != 1 or not isinstance(base, np.ndarray) or base.dtype != np.float32 or base.ndim != 2:
        return None
    if base.shape[1] != dimension or not base.flags.c_contiguous or len(base) > 2 * len(rows):
        return None
    start = base.ctypes.data
    positions = [(row.ctypes.data - start) // base.strides[0] if len(row) else 0 for row in rows]
    return base, np.array(positions, dtype=np.int64)


def _matrix(rows: list[Any], dimension: int) -> np.ndarray:
    """Vectors as one matrix ``[n_entities, dimension]``, zeros where a row is empty."""
    matrix = np.zeros((len(rows), dimension), dtype=np.float32)
    for i, row in enumerate(rows):
        if len(row):
            matrix[i] = row
    return matrix
