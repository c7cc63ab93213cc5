"""What a converter hands over: interactions, and the fields of users and items, read when it is known for whom."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd
from numpy.typing import NDArray

from ..readers.entity_file import EntityFile

Values = pd.Series | NDArray[Any]
"""Values of a field for n entities, in their order.

``token``: object Series of str, None where missing; ``float``: float64 Series, NaN where missing; ``token_seq``: object
Series of lists of str, empty where missing; ``float_seq``: float32 array ``[n, size]``, a row of NaN where missing.
"""


@dataclass(frozen=True)
class RawField:
    """One field of the users or items of a raw data set."""

    name: str
    """Name in the atomic file."""
    type: str
    """``token``, ``token_seq``, ``float`` or ``float_seq``."""
    read: Callable[[pd.Index], Values]
    """Reads the values of entities by their original ids (str), in the order in which they are given. Called after all
    filters, so that what is dropped is never held; a large file is read in chunks."""
    source: str = ""
    """The file, for messages and the report."""
    notes: list[str] = field(default_factory=list)
    """Sentences for the report, which ``read`` may add to: what it skipped or replaced, with counts."""
    file: EntityFile | None = None
    """Who has a line in the file, compared with who has interactions; None for a file that is not compared."""


@dataclass(frozen=True)
class Step:
    """One line of the report: what is left after a filter."""

    name: str
    """What was done, in words, with the option that asked for it."""
    interactions: int
    """Number of interactions (pairs of a user and an item, or events before they are counted)."""
    users: int
    """Number of users with an interaction."""
    items: int
    """Number of items with an interaction."""


def others_left_out(source: str, n_others: int, n: int, noun: str) -> list[str]:
    """The sentence for the report on entities of a file that no interaction has; none if there are none.

    Args:
        source: Name of the file.
        n_others: How many they are.
        n: How many entities the file has.
        noun: What they are called, in the plural.
    """
    if not n_others:
        return []
    return [f"{source}: {n_others:,} of {n:,} {noun} were left out: no interaction of theirs is kept."]


@dataclass
class RawData:
    """A raw data set after its own filters (ratings, year, category), before those that all converters share."""

    inter: pd.DataFrame
    """``user_id`` and ``item_id`` as categoricals of str (their original ids), and any of ``rating`` (float64),
    ``timestamp`` (float64, seconds since 1970) and ``count`` (int64)."""
    user_fields: Sequence[RawField] = ()
    """Fields of the users."""
    item_fields: Sequence[RawField] = ()
    """Fields of the items."""
    steps: list[Step] = field(default_factory=list)
    """What the converter itself has left out, the raw state first."""
    notes: list[str] = field(default_factory=list)
    """Sentences for the screen and the report: what was skipped or replaced, with counts."""
    inferred: list[str] = field(default_factory=list)
    """Sentences for the report only: the types that were inferred."""
    warnings: list[str] = field(default_factory=list)
    """Sentences that the screen shows last, as warnings."""
    files: Mapping[str, Sequence[EntityFile]] = field(default_factory=dict)
    """``user`` and ``item`` -> tables that are in memory, to be compared before any field is read."""
    texts: Mapping[str, Sequence[RawField]] = field(default_factory=dict)
    """``user`` and ``item`` -> fields (``token`` or ``token_seq``) that are only there to be encoded."""
    raw_ids: Mapping[str, pd.Index] = field(default_factory=dict)
    """``user`` and ``item`` -> ids with an event in the raw data, for a converter that has left some out itself;
    without it those of ``inter``."""
