"""Raw data set of a converter: interactions, and fields of users and items to be read later."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd
from numpy.typing import NDArray

from ..readers.entity_file import EntityFile

Values = pd.Series | NDArray[Any]
"""Values of a field for n entities, in their order.

``token``: object Series of str, None if missing; ``float``: float64 Series, NaN if missing;
``token_seq``: object Series of lists of str, empty if missing; ``float_seq``: float32 array
``[n, size]``, a row of NaN if missing.
"""


@dataclass(frozen=True)
class RawField:
    """One field of the users or items of a raw data set."""

    name: str
    """Name in the atomic file."""
    type: str
    """``token``, ``token_seq``, ``float`` or ``float_seq``."""
    read: Callable[[pd.Index], Values]
    """Reads the values of entities by their original ids (str), in the order of the ids.

    It is called after all filters, so dropped entities need no memory; a large file is read in
    chunks.
    """
    source: str = ""
    """The file, for messages and the report."""
    notes: list[str] = field(default_factory=list)
    """Sentences for the report, added by ``read``: skipped and replaced values, with counts."""
    file: EntityFile | None = None
    """Comparison of the ids of the file with those of the interactions; None for no comparison."""


def names_of(fields: Sequence[RawField]) -> list[str]:
    """List the names of fields, in their order."""
    return [field.name for field in fields]


@dataclass(frozen=True)
class Step:
    """One line of the report: the data set after a filter."""

    name: str
    """Name of the filter, with its option."""
    interactions: int
    """Number of interactions (pairs of a user and an item, or events before they are counted)."""
    users: int
    """Number of users with an interaction."""
    items: int
    """Number of items with an interaction."""


def others_left_out(source: str, n_others: int, n: int, noun: str) -> list[str]:
    """Write the sentence for the report on entities of a file without an interaction.

    Args:
        source: Name of the file.
        n_others: Number of them.
        n: Number of entities of the file.
        noun: Name of the entities, in the plural.

    Returns:
        The sentence; none if all entities have an interaction.
    """
    if not n_others:
        return []
    return [
        f"{source}: {n_others:,} of {n:,} {noun} were left out: no interaction of theirs is kept."
    ]


@dataclass
class RawData:
    """Raw data set after its own filters (year, category), before the shared ones."""

    inter: pd.DataFrame
    """Interactions.

    ``user_id`` and ``item_id`` as categoricals of str (their original ids), and any of ``rating``
    (float64), ``timestamp`` (float64, seconds since 1970), ``count`` (int64) and ``part``
    (categorical of str, the part of a published split).
    """
    user_fields: Sequence[RawField] = ()
    """Fields of the users."""
    item_fields: Sequence[RawField] = ()
    """Fields of the items."""
    steps: list[Step] = field(default_factory=list)
    """Steps of the converter's own filters, the raw state first."""
    notes: list[str] = field(default_factory=list)
    """Sentences for the screen and the report: skipped and replaced values, with counts."""
    inferred: list[str] = field(default_factory=list)
    """Sentences for the report only: inferred types."""
    warnings: list[str] = field(default_factory=list)
    """Sentences for the end of the screen, as warnings."""
    files: Mapping[str, Sequence[EntityFile]] = field(default_factory=dict)
    """``user`` and ``item`` -> tables in memory, to be compared before any field is read."""
    texts: Mapping[str, Sequence[RawField]] = field(default_factory=dict)
    """``user`` and ``item`` -> fields (``token`` or ``token_seq``) only for encoding."""
    raw_ids: Mapping[str, pd.Index] = field(default_factory=dict)
    """``user`` and ``item`` -> ids with an event in the raw data.

    For a converter with filters of its own; without it those of ``inter``.
    """
    parts: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Further file of interactions to write -> values of the column ``part`` in it."""


def column_field(name: str, kind: str, values: pd.Series, file: EntityFile) -> RawField:
    """Make a field of a column in memory.

    Args:
        name: Name of the field.
        kind: ``token``, ``token_seq`` or ``float``.
        values: Values in the form of :data:`Values`, with the original ids (str, each once) as
            index.
        file: The file, to compare its ids with those of the interactions.
    """
    notes: list[str] = []

    def read_values(ids: pd.Index) -> Values:
        file.add(values.index)
        file.close()

        n_others = int((~values.index.isin(ids)).sum())
        notes.extend(others_left_out(file.name, n_others, len(values), "lines"))

        # Numbers miss as NaN, texts and lists as None.
        found = values.reindex(ids)
        return found if found.dtype.kind == "f" else found.where(found.notna(), None)

    return RawField(name, kind, read_values, file.name, notes, file)
