"""Fingerprints of the tables of a RecBole data set, field by field."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from recbole.utils import FeatureType

from recbole_sibrar.data.record.fingerprint import (
    Hashes,
    combined,
    fingerprint,
    hash_of_cells,
    hash_of_vectors,
    hash_tokens,
)
from recbole_sibrar.data.record.training_data import LINES, TrainingData
from recbole_sibrar.protocols import DatasetLike


class Tables:
    """The tables of a data set with numbered ids and labels, before missing values are filled.

    Args:
        dataset: RecBole's ``Dataset``.
        groups: Field of ids or labels -> first of the fields with the same numbers.
        hashes: First field -> known hashes of its ids or labels; more are added.
        kept: An earlier record; only its users and items are compared. None for all.
    """

    def __init__(
        self,
        dataset: DatasetLike,
        groups: Mapping[str, str],
        hashes: dict[str, Hashes],
        kept: TrainingData | None = None,
    ) -> None:
        self.dataset = dataset
        self.groups = groups
        self.kept = kept
        self.hashes = hashes

    def fingerprints(self) -> dict[str, dict[str, int]]:
        """Atomic file -> field -> fingerprint, as in the attribute ``tables`` of a record."""
        dataset = self.dataset
        found: dict[str, dict[str, int]] = {}

        id_fields = {"user_feat": dataset.uid_field, "item_feat": dataset.iid_field}
        for name in dataset.feat_name_list:
            frame = getattr(dataset, name)
            has_pairs = dataset.uid_field in frame and dataset.iid_field in frame
            if name in id_fields:
                held = self._entities(frame, id_fields[name])
            elif name == "inter_feat" and has_pairs:
                held = self._interactions(frame)
            else:
                held = self._lines(frame)
            found[name.removesuffix("_feat")] = held

        links = getattr(dataset, "item2entity", None)
        if links:
            items = hash_tokens(list(links))
            entities = hash_tokens(list(links.values()))
            found["link"] = {"entities": fingerprint(combined(items, entities))}
        return found

    def parts(self, parts: Sequence[DatasetLike]) -> list[tuple[int, int]]:
        """Count the interactions of each part of a split, and fingerprint their pairs.

        Args:
            parts: Data sets of the same ids.
        """
        found = []
        for part in parts:
            frame = part.inter_feat
            pairs = np.array([], dtype=np.uint64)
            if part.uid_field is not None and part.iid_field is not None:
                users = self._tokens(part.uid_field)[frame[part.uid_field].numpy()]
                items = self._tokens(part.iid_field)[frame[part.iid_field].numpy()]
                pairs = combined(users, items)
            found.append((len(frame), fingerprint(pairs)))
        return found

    def _entities(self, frame: pd.DataFrame, id_field: str) -> dict[str, int]:
        """Fingerprint each field of users or items; the first line is padding."""
        owners = self._tokens(id_field)[1:]
        table = frame.iloc[1:]

        # new entities are no difference
        if self.kept is not None and id_field in self.kept.tokens:
            chosen = np.isin(owners, hash_tokens(self.kept.tokens_of(id_field)))
            table = table[chosen]
            owners = owners[chosen]

        found: dict[str, int] = {}
        for name in table.columns.drop(id_field):
            cells = self._cells(table[name], name)
            found[name] = fingerprint(combined(owners, cells))
        return found

    def _interactions(self, frame: pd.DataFrame) -> dict[str, int]:
        """Count the interactions; fingerprint their pairs and each further field."""
        ids = [self.dataset.uid_field, self.dataset.iid_field]
        users, items = (self._cells(frame[name], name) for name in ids)
        pairs = combined(users, items)
        found = {LINES: len(frame), ", ".join(ids): fingerprint(pairs)}
        for name in frame.columns:
            if name not in ids:
                cells = self._cells(frame[name], name)
                found[name] = fingerprint(combined(pairs, cells))
        return found

    def _lines(self, frame: pd.DataFrame) -> dict[str, int]:
        """Count and fingerprint lines without a user, item or pair, such as triples."""
        lines = np.zeros(len(frame), dtype=np.uint64)
        for name in frame.columns:
            lines = combined(lines, self._cells(frame[name], name))
        return {LINES: len(frame), ", ".join(frame.columns): fingerprint(lines)}

    def _cells(self, column: pd.Series[Any], name: str) -> Hashes:
        """Hash each cell, uint64 ``[n]``."""
        kind = self.dataset.field2type[name]
        if kind in (FeatureType.TOKEN_SEQ, FeatureType.FLOAT_SEQ):
            # a row without a line in the file is NaN
            rows = [cell if isinstance(cell, np.ndarray) else np.array([]) for cell in column]
            is_bag = kind is FeatureType.TOKEN_SEQ
            return self._bags(rows, name) if is_bag else hash_of_vectors(rows)
        if kind is FeatureType.TOKEN and name in self.dataset.field2id_token:
            # an empty cell has the hash of padding
            numbers = column.fillna(0).to_numpy(np.int64)
            of_cells: Hashes = self._tokens(name)[numbers]
            return of_cells
        return hash_of_cells(column.to_numpy())

    def _bags(self, rows: list[NDArray[Any]], name: str) -> Hashes:
        """Hash each bag of labels, in any order of its labels."""
        ids = np.concatenate([np.array([], dtype=np.int64), *rows]).astype(np.int64)
        ends = np.cumsum([0, *map(len, rows)])  # [n + 1]
        hashes = self._tokens(name)[ids]

        # Differences of running sums are the sums of the bags, modulo 2 ** 64. np.add.reduceat
        # would give an empty bag the value of the next.
        running = np.cumsum(combined(hashes, hashes), dtype=np.uint64)
        sums = np.concatenate([np.zeros(1, dtype=np.uint64), running])
        of_bags: Hashes = sums[ends[1:]] - sums[ends[:-1]]
        return of_bags

    def _tokens(self, name: str) -> Hashes:
        """Hash each id or label of a field, by number; 0 for padding."""
        group = self.groups.get(name, name)

        if group not in self.hashes:
            tokens = self.dataset.field2id_token[name].tolist()
            self.hashes[group] = hash_tokens(tokens)
            self.hashes[group][0] = 0

        return self.hashes[group]
