"""RecBole's dataset with the side information kept in modality tables instead of joined frames."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd
import torch
from recbole.data.dataset import Dataset
from recbole.utils import FeatureSource, FeatureType
from scipy.sparse import csr_matrix

from recbole_sibrar.data.atomic import Field, read_header
from recbole_sibrar.data.atomic.cache import read_frame
from recbole_sibrar.data.held_out import Evaluated, Pool
from recbole_sibrar.data.loading.feature_files import (
    FeatureFile,
    align,
    check_columns,
    check_new,
    check_weights,
    filter_by_inter_num,
    find_owner,
    weight_matrix,
)
from recbole_sibrar.data.loading.frames import check_frame, register_fields, selected, text_format, uses_cache
from recbole_sibrar.data.loading.ids import without_missing_ids
from recbole_sibrar.data.loading.matrices import bags, shared_matrix, stacked
from recbole_sibrar.data.loading.needed import has_own_load_col
from recbole_sibrar.data.loading.served import Column, Sequences, ServedFields, VectorRows
from recbole_sibrar.data.modality import ModalityKind, ModalityTable, bag_table, dense_table, id_table
from recbole_sibrar.data.record.recording import recorder_of
from recbole_sibrar.errors import DataError, refuse
from recbole_sibrar.names import ID, INTERACTIONS, RESERVED_NAMES, Side


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
    feature_files: dict[str, FeatureFile]
    """The additional files of users or items, by their suffixes."""
    served: dict[str, ServedFields]
    """For ``user``, ``item`` and each additional file its fields as RecBole has them, made when they are asked for."""
    negative_pool: Pool = "all"
    """Items that training draws its negatives from."""
    evaluated: Mapping[Side, Evaluated] = MappingProxyType({})
    """For a part of a split, how many entities of each side are evaluated, and how many of them are new."""

    @property
    def n_negative_candidates(self) -> int:
        """Number of items that the negatives of training are drawn from."""
        if self.negative_pool == "all":
            return self.item_num - 1
        return len(torch.unique(self.inter_feat[self.iid_field]))

    def _get_field_from_config(self) -> None:
        super()._get_field_from_config()
        self.feature_files = {}
        for key, name in (("USER_ID_FIELD", self.uid_field), ("ITEM_ID_FIELD", self.iid_field)):
            if name is None:
                refuse(key, None, "the name of a field of the interactions")

    def _get_load_and_unload_col(self, source: FeatureSource | str) -> tuple[set[str] | None, set[str] | None]:
        """Unless the user has chosen columns, load those of additional files, and the time for ``rm_dup_inter``."""
        load, unload = super()._get_load_and_unload_col(source)
        if not has_own_load_col(self.config):
            if load == set() and source in (self.config["additional_feat_suffix"] or ()):
                load = None
            elif load and source is FeatureSource.INTERACTION and self.config["rm_dup_inter"] is not None:
                load = {*load, self.time_field}
        return load, unload

    def _load_feat(self, filepath: str, source: FeatureSource | str) -> pd.DataFrame | None:
        """Read ``.user``, ``.item`` and additional files with checks that name the line; the others are RecBole's."""
        if source not in (FeatureSource.USER, FeatureSource.ITEM, *(self.config["additional_feat_suffix"] or ())):
            return super()._load_feat(filepath, source)
        load, unload = self._get_load_and_unload_col(source)
        suffix = source.value if isinstance(source, FeatureSource) else source
        if load == set():
            if source == suffix:
                self.logger.warning(f"load_col has no '{suffix}', so {filepath} is not read")
            return None
        written = text_format(self.config)
        present = read_header(filepath, written.separator, written.encoding)
        file = self._describe_file(filepath, source, present)
        if file is None:
            self.logger.warning(
                f"{filepath}: found the fields {', '.join(field.name for field in present)}, none of which has ids of "
                "users or items (alias_of_user_id, alias_of_item_id); the file is not used"
            )
            return None
        check_columns(self, file, {field.name for field in present}, load, unload)
        fields = selected(present, load, unload)
        frame = read_frame(filepath, fields, written, use_cache=uses_cache(self.config))
        if file.id_field != file.header_field:
            frame = frame.rename(columns={file.header_field: file.id_field})
            fields = [replace(field, name=str(name)) for field, name in zip(fields, frame.columns, strict=True)]
        check_new(self, filepath, source, fields)
        register_fields(self, frame, fields, source)
        check_frame(self, filepath, frame, file.side, file.id_field)
        frame = without_missing_ids(filepath, file.id_field, frame, written)
        if source == suffix:
            self.feature_files[suffix] = file
            frame = frame.drop_duplicates(file.id_field, ignore_index=True)
        return frame

    def _describe_file(self, path: str, source: FeatureSource | str, header: list[Field]) -> FeatureFile | None:
        if not isinstance(source, FeatureSource):
            return find_owner(self, path, source, header)
        side: Side = "user" if source is FeatureSource.USER else "item"
        return FeatureFile(side, path, side, self._id_field(side), self._id_field(side))

    def _load_user_or_item_feat(
        self, token: str, dataset_path: str, source: FeatureSource, field_name: str
    ) -> pd.DataFrame | None:
        load_col = self.config["load_col"]
        wanted = load_col.get(source.value) if load_col else None
        path = self.feature_file(source.value)
        if os.path.isdir(path):
            raise DataError(f"{path}: found a folder, allowed is a file with the fields of the {source.value}s")
        if wanted and wanted != "*" and not os.path.isfile(path):
            raise DataError(
                f"load_col asks for {source.value} fields {list(wanted)}, but the file {path} does not exist; "
                f"add the file or leave '{source.value}' out of load_col"
            )
        return super()._load_user_or_item_feat(token, dataset_path, source, field_name)

    def _set_alias(self, alias_name: str, default_value: list[str]) -> None:
        files = self.feature_files.values()
        own = [file.id_field for file in files if f"{file.side}_id" == alias_name]
        super()._set_alias(alias_name, [*default_value, *own])

    def fields(self, ftype: Any = None, source: Any = None) -> list[str]:
        """Names of fields, those of additional files among them, which RecBole would neither number nor normalise.

        Args:
            ftype: Types of the fields; None for all.
            source: Where they come from; None for everywhere.
        """
        return super().fields(ftype, [*FeatureSource, *self.feature_files] if source is None else source)

    def _load_additional_feat(self, token: str, dataset_path: str) -> None:
        super()._load_additional_feat(token, dataset_path)
        check_weights(self)

    def feature_file(self, side: Side) -> str:
        """Path of the atomic file that holds the fields of one side."""
        return os.path.normpath(os.path.join(self.dataset_path, f"{self.dataset_name}.{side}"))

    def describe_source(self, side: Side) -> str:
        """Where the fields of one side come from, or why there are none, for messages."""
        path, load_col = self.feature_file(side), self.config["load_col"]
        others = [os.path.normpath(file.path) for file in self.feature_files.values() if file.side == side]
        is_loaded = load_col is None or side in load_col
        if others:
            return f"fields of {' and '.join([path, *others] if is_loaded and os.path.isfile(path) else others)}"
        if not os.path.isfile(path):
            return f"the file {path} does not exist"
        return f"fields of {path}" if is_loaded else f"load_col has no '{side}', so {path} is not read"

    def files_with_fields(self) -> list[FeatureFile]:
        """The files of users and items that were loaded."""
        sides = [FeatureFile(side, self.feature_file(side), side, name, name) for side, name in self._id_fields()]
        files = [*sides, *self.feature_files.values()]
        return [file for file in files if getattr(self, f"{file.suffix}_feat") is not None]

    def _data_processing(self) -> None:
        super()._data_processing()
        self.field_tables = {"user": {}, "item": {}}
        self.served = {}
        for file in self.files_with_fields():
            frame = getattr(self, f"{file.suffix}_feat")
            entities = frame[file.id_field].to_numpy(np.int64)
            columns: dict[str, Column] = {}
            for name in self._used_columns(file, frame):
                if name == file.id_field:
                    columns[name] = torch.from_numpy(entities)
                else:
                    table = self._table_of(file, name, frame[name], entities)
                    self.field_tables[file.side][name] = table
                    columns[name] = self._served_column(frame[name], table, entities)
            self.served[file.suffix] = ServedFields(columns)
        del self._available

    def _used_columns(self, file: FeatureFile, frame: pd.DataFrame) -> list[str]:
        """Names of a frame's columns without those of ``unused_col``."""
        ignored = set((self.config["unused_col"] or {}).get(file.suffix) or ())
        if ignored - set(frame.columns):
            names = sorted(ignored - set(frame.columns))
            self.logger.warning(f"unused_col: no {file.suffix} field is named {names}")
        return [str(name) for name in frame.columns if name == file.id_field or name not in ignored]

    def _table_of(self, file: FeatureFile, name: str, column: pd.Series, entities: np.ndarray) -> ModalityTable:
        """The modality of a column whose rows describe ``entities``, int64 ``[len(column)]``."""
        if name in RESERVED_NAMES:
            raise DataError(
                f"{file.path}: a user or item field cannot be named '{name}', which is the name of a modality "
                "that every dataset has; rename the field or list it in unload_col"
            )
        available = self._available[name]
        n = self.num(file.id_field)
        if file.suffix in self.feature_files:
            column, available = align(column, entities, n), align(pd.Series(available), entities, n).to_numpy()
        return self._field_table(name, column, available)

    def _served_column(self, column: pd.Series, table: ModalityTable, entities: np.ndarray) -> Column:
        """What RecBole's own data set would hold of a column."""
        kind = self.field2type[table.name]
        if kind is FeatureType.TOKEN:
            return torch.from_numpy(column.to_numpy(np.int64))
        if kind is FeatureType.TOKEN_SEQ:
            return Sequences.of(list(column))
        if kind is FeatureType.FLOAT:
            return torch.tensor(column.to_list(), dtype=torch.float32)
        assert table.values is not None
        rows = torch.from_numpy(entities)
        return VectorRows(table.values, rows if table.rows is None else table.rows[rows], table.available[rows])

    def _change_feat_format(self) -> None:
        """Serve the fields of users and items as RecBole's ``Interaction``, without making its tensors."""
        for name in self.feat_name_list:
            served = self.served.get(name.removesuffix("_feat"))
            feat = self._dataframe_to_interaction(getattr(self, name)) if served is None else served
            setattr(self, name, feat)

    def __getstate__(self) -> dict[str, Any]:
        """What is pickled: vectors once, though before :meth:`build` tables and frames both refer to them."""
        state = dict(self.__dict__)
        for suffix, fields in state.get("served", {}).items():
            frame = state[f"{suffix}_feat"]
            if isinstance(frame, pd.DataFrame):
                state[f"{suffix}_feat"] = frame.drop(columns=list(fields.vectors()), errors="ignore")
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        for suffix, fields in state.get("served", {}).items():
            frame = getattr(self, f"{suffix}_feat")
            if isinstance(frame, pd.DataFrame):
                for name, vectors in fields.vectors().items():
                    frame.insert(min(fields.columns.index(name), frame.shape[1]), name, vectors.arrays())

    def _drop_unused_col(self) -> None:
        """Drop unused columns of the interactions, and what is known about those of users and items."""
        for suffix, names in (self.config["unused_col"] or {}).items():
            feat = getattr(self, f"{suffix}_feat")
            for name in names:
                if suffix == FeatureSource.INTERACTION.value and name in feat:
                    self._del_col(feat, name)
                elif suffix in self.served and name not in feat:
                    for properties in (self.field2type, self.field2source, self.field2id_token, self.field2token_id):
                        properties.pop(name, None)

    def _preload_weight_matrix(self) -> None:
        """Make no matrices: the values of ``preload_weight`` are modalities, see :meth:`get_preload_weight`."""

    def get_preload_weight(self, field: str) -> np.ndarray:
        """The values of ``preload_weight`` as RecBole's own data set has them, made of those of the modality.

        Args:
            field: The field of the ids.

        Returns:
            float64 ``[n_entities]`` or ``[n_entities, size]``, 0 where a value is missing.

        Raises:
            ValueError: ``preload_weight`` has no such field, or its values are no numbers.
        """
        weights = weight_matrix(self, field)
        return super().get_preload_weight(field) if weights is None else weights

    def _filter_by_inter_num(self) -> None:
        """Filter by the number of interactions; additional files lose the lines that ``.user`` and ``.item`` lose."""
        counts = {side: self.inter_feat[name].value_counts() for side, name in self._id_fields()}
        super()._filter_by_inter_num()
        for file in self.feature_files.values():
            filter_by_inter_num(self, file, counts[file.side])

    def _fill_nan(self) -> None:
        """Note which values are missing before RecBole fills them."""
        self._available: dict[str, np.ndarray] = {}
        for file in self.files_with_fields():
            frame = getattr(self, f"{file.suffix}_feat")
            for name in frame.columns:
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

    def _id_fields(self) -> list[tuple[Side, str]]:
        return [("user", self.uid_field), ("item", self.iid_field)]

    def _field_table(self, name: str, column: pd.Series, available: np.ndarray) -> ModalityTable:
        kind = self.field2type[name]
        if kind is FeatureType.TOKEN:
            values, n = torch.from_numpy(column.to_numpy(np.int64)), self._n_labels(name)
            known = torch.from_numpy(available) & (values < n)
            return dense_table(name, ModalityKind.CATEGORICAL, values, known, n)
        if kind is FeatureType.TOKEN_SEQ:
            every = bags(list(column), self.num(name))
            return bag_table(name, ModalityKind.MULTI_LABEL, every[:, : self._n_labels(name)])
        if name in self.config["numerical_features"]:
            return self._numerical_table(name, column, available)
        mask = torch.from_numpy(available)
        if kind is FeatureType.FLOAT:
            with np.errstate(over="ignore"):  # the model refuses what becomes infinite, with the name of the field
                numbers = torch.from_numpy(column.to_numpy(np.float32)[:, None])
            return dense_table(name, ModalityKind.SCALAR, numbers, mask, 1)
        size = self.field2seqlen[name]
        shared = shared_matrix(list(column), size)
        if shared is None:
            matrix = torch.from_numpy(stacked(list(column), size))
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
            lines += [f"{side} field: {table.describe()}{self._origin(name)}" for name, table in tables.items()]
        return "\n".join(lines)

    def _origin(self, name: str) -> str:
        """The file of a field, where it is none of ``.user`` and ``.item``."""
        file = self.feature_files.get(self.field2source.get(name))
        return f" from {os.path.basename(file.path)}" if file else ""
