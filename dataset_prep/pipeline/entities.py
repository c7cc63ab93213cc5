"""Users and items of a data set: those of the interactions, and further ones of the tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from recbole_sibrar.names import SIDES, Side

from ..readers.entity_file import EntityFile, Expected
from .filtering import present
from .raw import RawData, RawField


@dataclass(frozen=True)
class Entities:
    """The users or the items of a data set."""

    ids: pd.Index
    """Their original ids: first those with interactions, then those without."""
    n_interacted: int
    """Number of them with interactions."""

    @property
    def interacted(self) -> pd.Index:
        """Ids of those with interactions."""
        return self.ids[: self.n_interacted]

    @property
    def n_others(self) -> int:
        """Number of those without interactions."""
        return len(self.ids) - self.n_interacted

    def rows(self, ids: pd.Index, complete: NDArray[Any]) -> NDArray[Any]:
        """Find the rows of some of them, in their order.

        Args:
            ids: The remaining ones with interactions.
            complete: bool ``[n]``, True for the remaining ones without interactions.
        """
        # Entities with interactions stay in front.
        others = np.flatnonzero(complete[self.n_interacted :]) + self.n_interacted
        return np.concatenate([self.ids.get_indexer(ids), others])

    def take(self, rows: NDArray[Any]) -> Entities:
        """Take some of them, by their rows."""
        return Entities(self.ids[rows], int((rows < self.n_interacted).sum()))


def find_entities(
    raw: RawData, inter: pd.DataFrame, keep: Mapping[Side, str]
) -> dict[Side, Entities]:
    """Find the users and items of a data set.

    Args:
        raw: The raw data set, with the fields to keep.
        inter: Its interactions after all filters.
        keep: ``user`` and ``item`` -> ``interacted``, or ``all`` to keep those of the tables
            without an interaction in the raw data as well. Entities with filtered interactions are
            not new, and are left out.
    """
    entities: dict[Side, Entities] = {}
    for side, fields in zip(SIDES, (raw.user_fields, raw.item_fields), strict=True):
        ids = present(inter, f"{side}_id")
        others = _without_interactions(raw, side, fields) if keep[side] == "all" else ids[:0]
        entities[side] = Entities(ids.append(others), len(ids))
    return entities


def compare_files(raw: RawData, entities: Mapping[Side, Entities]) -> list[EntityFile]:
    """Set the entities to compare each file with, and compare the tables in memory.

    Returns:
        The files, each once.

    Raises:
        DataError: A table matches nobody.
    """
    files: list[EntityFile] = []
    sides: list[tuple[Side, Side, Sequence[RawField]]] = [
        ("user", "item", raw.user_fields),
        ("item", "user", raw.item_fields),
    ]

    for side, other, fields in sides:
        ids = entities[side].interacted
        tables = raw.files.get(side, ())
        of_side = list(dict.fromkeys([*tables, *_files(fields)]))
        has_table = any(file.is_table for file in of_side)
        for file in of_side:
            # Vectors may be those of new items only, if a table says that there are such.
            known = entities[side].ids if has_table and not file.is_table else ids
            file.expect(Expected(side, ids, known, entities[other].interacted))
            files.append(file)

        # Before any field is read: a table that matches nobody ends the conversion early.
        for file in tables:
            file.add(file.read_ids())
            file.close()

    return files


def _without_interactions(raw: RawData, side: str, fields: Sequence[RawField]) -> pd.Index:
    """Find the ids of one side without an interaction in its tables, or else in its vectors."""
    # Ids whose interactions were filtered are not new.
    seen = raw.raw_ids.get(side)
    if seen is None:
        seen = present(raw.inter, f"{side}_id")

    files = _files(fields)
    tables = [file for file in files if file.is_table]
    names: list[str] = []
    for file in tables or files:
        names.extend(file.read_ids())

    listed = pd.Index(names, dtype=object)
    return listed[~listed.isin(seen)].unique()


def _files(fields: Sequence[RawField]) -> list[EntityFile]:
    return list(dict.fromkeys(field.file for field in fields if field.file is not None))
