"""RecBole's dataset with the side information kept in modality tables instead of joined frames."""

from __future__ import annotations

import os
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from recbole.data.dataset import Dataset
from recbole.data.interaction import Interaction
from recbole.utils import FeatureSource

from recbole_sibrar.data.field_tables import (
    available_values,
    field_table,
    interactions_table,
    served_column,
)
from recbole_sibrar.data.held_out import Evaluated, Pool
from recbole_sibrar.data.loading.feature_files import (
    FeatureFile,
    align,
    check_weights,
    filter_by_inter_num,
    weight_matrix,
)
from recbole_sibrar.data.loading.feature_frames import (
    check_feature_file,
    describe_source,
    load_feature_frame,
)
from recbole_sibrar.data.loading.needed import has_own_load_col
from recbole_sibrar.data.loading.served import Column, ServedFields
from recbole_sibrar.data.modality import ModalityTable, id_table
from recbole_sibrar.data.record.recording import recorder_of
from recbole_sibrar.errors import DataError, refuse
from recbole_sibrar.names import ID, INTERACTIONS, RESERVED_NAMES, Side


class MultimodalDataset(Dataset):
    """A RecBole dataset with a :class:`ModalityTable` for each user and item field.

    Filtering, remapping of ids, missing values, normalisation and splits are RecBole's. Then the
    values of the user and item fields move into tables indexed by entity id, and a batch holds ids
    alone: RecBole's own dataset copies every field into every row of every batch.

    Args:
        config: RecBole's ``Config``.

    Raises:
        DataError: A file of the configuration is missing, or its content contradicts its header.
    """

    field_tables: dict[Side, dict[str, ModalityTable]]
    """Side -> name -> table of a field, in the order of the file's columns."""
    feature_files: dict[str, FeatureFile]
    """The additional files of users or items, by their suffixes."""
    served: dict[str, ServedFields]
    """``user``, ``item`` or suffix of an additional file -> its fields for code written for
    RecBole's data set."""
    negative_pool: Pool = "all"
    """Pool of the negatives of training."""
    evaluated: Mapping[Side, Evaluated] = MappingProxyType({})
    """For a part of a split: side -> numbers of evaluated and of new entities."""

    @property
    def n_negative_candidates(self) -> int:
        """Number of items in the pool of negatives."""
        if self.negative_pool == "all":
            n_items: int = self.item_num
            return n_items - 1
        return len(torch.unique(self.inter_feat[self.iid_field]))

    def _get_field_from_config(self) -> None:
        super()._get_field_from_config()
        self.feature_files = {}
        # RecBole allows no name; our models encode users and items
        id_fields = {"USER_ID_FIELD": self.uid_field, "ITEM_ID_FIELD": self.iid_field}
        for key, name in id_fields.items():
            if name is None:
                refuse(key, None, "the name of a field of the interactions")

    def _get_load_and_unload_col(
        self, source: FeatureSource | str
    ) -> tuple[set[str] | None, set[str] | None]:
        """Add columns to a default ``load_col``: those of additional files, and a time."""
        load, unload = super()._get_load_and_unload_col(source)
        if has_own_load_col(self.config):
            return load, unload

        # RecBole reads nothing of a file without an entry in load_col
        additional = self.config["additional_feat_suffix"] or ()
        if load == set() and source in additional:
            return None, unload

        # RecBole keeps the first or last of repeated interactions; without a time, as in the file
        drops_repetitions = self.config["rm_dup_inter"] is not None
        if load and source is FeatureSource.INTERACTION and drops_repetitions:
            load = {*load, self.time_field}
        return load, unload

    def _load_feat(self, filepath: str, source: FeatureSource | str) -> pd.DataFrame | None:
        """Read files of users and items with checks that name the line, the others as RecBole."""
        additional = self.config["additional_feat_suffix"] or ()
        if source in (FeatureSource.USER, FeatureSource.ITEM, *additional):
            return load_feature_frame(self, filepath, source)
        frame: pd.DataFrame | None = super()._load_feat(filepath, source)
        return frame

    def _load_user_or_item_feat(
        self,
        token: str,
        dataset_path: str,
        source: FeatureSource,
        field_name: str,
    ) -> pd.DataFrame | None:
        check_feature_file(self, "user" if source is FeatureSource.USER else "item")
        frame: pd.DataFrame | None = super()._load_user_or_item_feat(
            token, dataset_path, source, field_name
        )
        return frame

    def _set_alias(self, alias_name: str, default_value: list[str]) -> None:
        files = self.feature_files.values()
        own = [file.id_field for file in files if f"{file.side}_id" == alias_name]
        super()._set_alias(alias_name, [*default_value, *own])

    def fields(self, ftype: Any = None, source: Any = None) -> list[str]:
        """List names of fields, those of additional files included.

        Args:
            ftype: Types of the fields; None for all.
            source: Files of the fields; None for all.
        """
        # RecBole numbers and normalises the fields of this list, without additional files
        if source is None:
            source = [*FeatureSource, *self.feature_files]
        names: list[str] = super().fields(ftype, source)
        return names

    def _load_additional_feat(self, token: str, dataset_path: str) -> None:
        super()._load_additional_feat(token, dataset_path)
        check_weights(self)

    def feature_file(self, side: Side) -> str:
        """Path of the atomic file with the fields of one side."""
        name = f"{self.dataset_name}.{side}"
        return os.path.normpath(os.path.join(self.dataset_path, name))

    def describe_source(self, side: Side) -> str:
        """Say in a message where the fields of one side come from, or why there are none."""
        return describe_source(self, side)

    def files_with_fields(self) -> list[FeatureFile]:
        """List the loaded files of users and items."""
        files = []
        for side, name in self._id_fields():
            files.append(FeatureFile(side, self.feature_file(side), side, name, name))
        files += self.feature_files.values()
        return [file for file in files if getattr(self, f"{file.suffix}_feat") is not None]

    def _data_processing(self) -> None:
        super()._data_processing()

        self.field_tables = {"user": {}, "item": {}}
        self.served = {}
        for file in self.files_with_fields():
            self.served[file.suffix] = self._serve(file)
        del self._available

    def _serve(self, file: FeatureFile) -> ServedFields:
        """Make the modalities of a file's fields, and the same fields as RecBole has them."""
        frame = getattr(self, f"{file.suffix}_feat")
        entities = frame[file.id_field].to_numpy(np.int64)
        columns: dict[str, Column] = {}

        for name in self._used_columns(file, frame):
            if name == file.id_field:
                columns[name] = torch.tensor(entities)
            else:
                column = frame[name]
                table = self._table_of(file, name, column, entities)
                self.field_tables[file.side][name] = table
                kind = self.field2type[name]
                columns[name] = served_column(kind, column, table, entities)
        return ServedFields(columns)

    def _used_columns(self, file: FeatureFile, frame: pd.DataFrame) -> list[str]:
        """List a frame's columns without those of ``unused_col``."""
        ignored = set((self.config["unused_col"] or {}).get(file.suffix) or ())
        unknown = sorted(ignored - set(frame.columns))
        if unknown:
            self.logger.warning(f"unused_col: no {file.suffix} field is named {unknown}")

        # the other columns are nothing without the ids
        ignored.discard(file.id_field)
        return [str(name) for name in frame.columns if name not in ignored]

    def _table_of(
        self,
        file: FeatureFile,
        name: str,
        column: pd.Series[Any],
        entities: NDArray[np.int64],
    ) -> ModalityTable:
        """Make the modality of a column; its rows describe ``entities``, int64 ``[n_rows]``."""
        if name in RESERVED_NAMES:
            raise DataError(
                f"{file.path}: a user or item field cannot be named '{name}', the name of a "
                "modality of every data set; rename the field or list it in unload_col"
            )

        available = self._available[name]
        # RecBole sorts .user and .item by entity, and keeps additional files in their own order
        if file.suffix in self.feature_files:
            n_entities = self.num(file.id_field)
            column = align(column, entities, n_entities)
            available = align(pd.Series(available), entities, n_entities).to_numpy()
        return field_table(self, name, column, available)

    def _change_feat_format(self) -> None:
        """Serve the fields of users and items as RecBole's ``Interaction``, made on demand."""
        for name in self.feat_name_list:
            feat: Interaction | None = self.served.get(name.removesuffix("_feat"))
            if feat is None:
                feat = self._dataframe_to_interaction(getattr(self, name))
            setattr(self, name, feat)

    def __getstate__(self) -> dict[str, Any]:
        """Pickle vectors once: before :meth:`build`, tables and frames share them."""
        state = dict(self.__dict__)
        for suffix, fields in state.get("served", {}).items():
            frame = state[f"{suffix}_feat"]
            if isinstance(frame, pd.DataFrame):
                vectors = list(fields.vectors())
                state[f"{suffix}_feat"] = frame.drop(columns=vectors, errors="ignore")
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        for suffix, fields in state.get("served", {}).items():
            frame = getattr(self, f"{suffix}_feat")
            if not isinstance(frame, pd.DataFrame):
                continue
            for name, vectors in fields.vectors().items():
                # a frame without some of the columns has fewer places
                place = min(fields.columns.index(name), frame.shape[1])
                frame.insert(place, name, vectors.arrays())

    def _drop_unused_col(self) -> None:
        """Drop unused columns of the interactions, and forget unused fields of users and items."""
        for suffix, names in (self.config["unused_col"] or {}).items():
            feat = getattr(self, f"{suffix}_feat")
            for name in names:
                if suffix == FeatureSource.INTERACTION.value and name in feat:
                    self._del_col(feat, name)
                # these have been left out when the fields were served
                elif suffix in self.served and name not in feat:
                    self._forget(name)

    def _forget(self, name: str) -> None:
        """Remove the properties of a field, as RecBole's ``_del_col`` does."""
        self.field2type.pop(name, None)
        self.field2source.pop(name, None)
        self.field2id_token.pop(name, None)
        self.field2token_id.pop(name, None)

    def _preload_weight_matrix(self) -> None:
        """Make no matrices: the fields of ``preload_weight`` are modalities.

        See :meth:`get_preload_weight`.
        """

    def get_preload_weight(self, field: str) -> NDArray[np.float64]:
        """Make RecBole's matrix of ``preload_weight`` from the modality.

        Args:
            field: The field of the ids.

        Returns:
            float64 ``[n_entities]`` or ``[n_entities, size]``, 0 where a value is missing.

        Raises:
            ValueError: ``preload_weight`` has no such field, or its values are no numbers.
        """
        weights = weight_matrix(self, field)
        if weights is None:
            weights = super().get_preload_weight(field)
        return weights

    def _filter_by_inter_num(self) -> None:
        """Filter by the number of interactions; additional files lose the same users and items."""
        # the counts before the filter tell later which entities it has dropped
        counts: dict[Side, pd.Series[int]] = {}
        for side, name in self._id_fields():
            counts[side] = self.inter_feat[name].value_counts()
        super()._filter_by_inter_num()

        for file in self.feature_files.values():
            filter_by_inter_num(self, file, counts[file.side])

    def _fill_nan(self) -> None:
        """Note the missing values before RecBole fills them."""
        # afterwards, a filled mean cannot be told from a number of the file
        self._available: dict[str, NDArray[np.bool_]] = {}
        for file in self.files_with_fields():
            frame = getattr(self, f"{file.suffix}_feat")
            for name in frame.columns:
                kind = self.field2type[name]
                self._available[name] = available_values(frame[name], kind)
        super()._fill_nan()

    def id_field(self, side: Side) -> str:
        """Name of the field with the ids of one side."""
        name: str = self.uid_field if side == "user" else self.iid_field
        return name

    def _id_fields(self) -> list[tuple[Side, str]]:
        return [("user", self.uid_field), ("item", self.iid_field)]

    def n_known(self, side: Side) -> int:
        """Count the users or items of training, padding included.

        With the configuration of a checkpoint, new ones have higher numbers.
        """
        return self.n_labels(self.id_field(side))

    def n_labels(self, name: str) -> int:
        """Count the ids or labels of training, padding included; a new label counts as missing."""
        known = recorder_of(self).n_known(name)
        if known is None:
            known = self.num(name)
        return known

    def modality_tables(self, side: Side) -> dict[str, ModalityTable]:
        """Collect the modalities of one side: ``interactions``, the loaded fields and ``id``.

        ``interactions`` and ``id`` describe the interactions of THIS data set. RecBole builds a
        model with the training part of a split, without held-out interactions. Users and items
        unknown to the training of a checkpoint have neither modality.

        Args:
            side: ``user`` or ``item``.

        Returns:
            Name of the modality -> its table.
        """
        interactions = interactions_table(self, side)
        return {
            INTERACTIONS: interactions,
            **self.field_tables[side],
            ID: id_table(interactions.available, self.n_known(side)),
        }

    def __getitem__(self, index: Any, join: bool = True) -> Interaction:
        """Return rows of the interactions."""
        if not isinstance(index, np.ndarray):
            rows: Interaction = super().__getitem__(index, join)
            return rows

        # RecBole would turn the array into a list, a Python object for each number. torch takes
        # longer with an index in brackets, and knows no negative ones without.
        feat = self.inter_feat
        columns = {name: torch.as_tensor(feat[name].numpy()[index]) for name in feat.columns}
        return Interaction(columns)

    def join(self, df: Interaction) -> Interaction:
        """Leave a batch as it is: models look up the fields in the tables."""
        return df

    def __str__(self) -> str:
        lines = [super().__str__()]
        for side, tables in self.field_tables.items():
            for name, table in tables.items():
                lines.append(f"{side} field: {table.describe()}{self._origin(name)}")
        return "\n".join(lines)

    def _origin(self, name: str) -> str:
        """Name the additional file of a field."""
        file = self.feature_files.get(self.field2source.get(name))
        return f" from {os.path.basename(file.path)}" if file else ""
