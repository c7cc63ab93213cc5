"""From a raw data set to a folder of atomic files: filters, fields, files, report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from recbole_sibrar.errors import DataError, nearest
from recbole_sibrar.names import SIDES, Side

from ..lists import first_repeated
from . import reporting, writing
from .columns import FieldColumn, read_columns
from .data_set_files import write_files
from .entities import Entities, compare_files, find_entities
from .filtering import Filters, filter_interactions, keep_entities, present, raw_step, to_k_core
from .parts import describe_parts, part_rows
from .raw import RawData, RawField, Step, names_of

RESERVED = ("user_id", "item_id", "rating", "timestamp", "count", "label", "id", "interactions")
"""Forbidden names of fields: columns of the interactions, and built-in modalities."""


@dataclass(frozen=True)
class Target:
    """The data set to write."""

    folder: Path
    """Folder of the data set, and of the same name."""
    converter: str
    """Name of the converter."""
    options: dict[str, object]
    """All options, for the report."""
    files: tuple[str, ...] = ("inter", "user", "item")
    """Atomic files to write."""


@dataclass(frozen=True)
class Kept:
    """Users and items to keep after the filters."""

    user: str = "interacted"
    """``all`` or ``interacted``, as for :func:`~.entities.find_entities`."""
    item: str = "interacted"
    """Likewise for items."""
    complete_only: bool = False
    """True to keep only users and items with a value in every field."""


def choose_fields(
    side: str, fields: Sequence[RawField], wanted: Sequence[str] | None
) -> list[RawField]:
    """Choose the fields of one side to keep.

    Args:
        side: ``user`` or ``item``.
        fields: All fields.
        wanted: Names of those to keep; None for all.

    Raises:
        DataError: There is no such field, or two fields have one name.
    """
    names = names_of(fields)
    twice = first_repeated(names)
    if twice is not None:
        raise DataError(
            f"--{side}_feature: two fields of the {side}s are named '{twice}'; name one of "
            "them otherwise, here or behind the type or model in --columns and --encode"
        )

    for name in wanted or ():
        if name not in names:
            raise DataError(
                f"--{side}_features: found '{name}', allowed are "
                f"{', '.join(names) or 'none'}{nearest(name, names)}"
            )

    if wanted is None:
        return list(fields)
    return [field for field in fields if field.name in wanted]


def prepare(raw: RawData, filters: Filters, kept: Kept, target: Target) -> reporting.Report:
    """Filter a raw data set and write it as a folder of atomic files.

    Args:
        raw: The raw data set, with the fields to keep.
        filters: Filters of the interactions.
        kept: Users and items to keep.
        target: The data set to write. The folder appears as a whole.

    Returns:
        The report. It is in the folder as well.

    Raises:
        DataError: The data are wrong, or nothing is left of them.
    """
    _check_names(raw)
    steps = list(raw.steps) or [raw_step(raw.inter)]
    inter, filtered = filter_interactions(raw.inter, filters)
    steps += filtered
    notes = list(raw.notes)

    # Nothing takes the place of the old data set before all of the new one is written.
    with writing.replacing_folder(target.folder) as (folder, scratch):
        entities = find_entities(raw, inter, {"user": kept.user, "item": kept.item})
        files = compare_files(raw, entities)
        columns = _read_fields(raw, entities, scratch, notes)

        if kept.complete_only:
            inter, dropped = _keep_complete(inter, entities, columns, filters.k_core)
            steps += dropped

        # The files have no notes before their fields are read.
        warnings = list(raw.warnings)
        for file in files:
            notes += file.notes
            warnings += file.warnings
        notes += _notes_of_others(entities)

        parts = part_rows(inter, raw.parts)
        notes += describe_parts(parts)
        report = _report(raw, target, steps, entities, columns, notes, warnings)
        write_files(
            folder, target.folder.name, target.files, inter, parts, entities, columns, report
        )
    return report


def _read_fields(
    raw: RawData, entities: dict[Side, Entities], scratch: Path, notes: list[str]
) -> dict[Side, list[FieldColumn]]:
    """Read the fields of both sides.

    Args:
        raw: The raw data set.
        entities: Users and items, in the order of the rows.
        scratch: Folder for vectors until they are written.
        notes: Receives the notes of the fields.
    """
    fields: dict[Side, Sequence[RawField]] = {"user": raw.user_fields, "item": raw.item_fields}
    columns: dict[Side, list[FieldColumn]] = {}
    for side in SIDES:
        columns[side] = read_columns(side, fields[side], entities[side].ids, scratch)

    # A field has its notes once it is read.
    for side in SIDES:
        for field in fields[side]:
            notes += field.notes
    return {side: _without_empty(side, columns[side], notes) for side in SIDES}


def _report(
    raw: RawData,
    target: Target,
    steps: Sequence[Step],
    entities: dict[Side, Entities],
    columns: dict[Side, list[FieldColumn]],
    notes: Sequence[str],
    warnings: Sequence[str],
) -> reporting.Report:
    modalities: list[reporting.Modality] = []
    for side in SIDES:
        modalities += reporting.describe(side, columns[side])

    # Several fields of one file say the same about its lines: each sentence counts once.
    different_notes = tuple(dict.fromkeys(notes))
    different_warnings = tuple(dict.fromkeys(warnings))
    return reporting.Report(
        dataset=target.folder.name,
        converter=target.converter,
        version=version("recbole-sibrar"),
        options=target.options,
        steps=tuple(steps),
        others={side: entities[side].n_others for side in SIDES},
        modalities=tuple(modalities),
        notes=different_notes,
        inferred=tuple(raw.inferred),
        warnings=different_warnings,
    )


def _notes_of_others(entities: dict[Side, Entities]) -> list[str]:
    """Write the sentences on entities without interactions."""
    notes = []
    for side in SIDES:
        n = entities[side].n_others
        if n:
            notes.append(
                f"{n:,} {side}s without any interaction are kept, as their files have them "
                f"(--keep_{side}s all)."
            )
    return notes


def _check_names(raw: RawData) -> None:
    """Check the names of all fields."""
    users = names_of(raw.user_fields)
    items = names_of(raw.item_fields)
    for name in [*users, *items]:
        if name in RESERVED or not name or set(name) & set(": \t\r\n"):
            raise DataError(
                f"a field cannot be named '{name}': names have no colon and no space, and "
                f"{', '.join(RESERVED)} are taken"
            )

    # RecBole keeps the types of all fields in one table, by their names alone.
    both = sorted(set(users) & set(items))
    if both:
        raise DataError(
            f"users and items both have a field '{both[0]}'; keep one of them, or rename it"
        )


def _without_empty(side: str, columns: list[FieldColumn], notes: list[str]) -> list[FieldColumn]:
    """Leave out fields without any value, with a note: RecBole could not tell their type."""
    filled = []
    for column in columns:
        if column.available.any():
            filled.append(column)
        else:
            notes.append(
                f"The field {column.column.field.name} is left out: no {side} that is kept has a "
                "value."
            )
    return filled


def _keep_complete(
    inter: pd.DataFrame,
    entities: dict[Side, Entities],
    columns: dict[Side, list[FieldColumn]],
    k_core: int,
) -> tuple[pd.DataFrame, list[Step]]:
    """Keep entities with every feature, in ``entities`` and ``columns`` as well."""
    complete = {side: _complete(len(entities[side].ids), columns[side]) for side in SIDES}
    users = entities["user"].ids[complete["user"]]
    items = entities["item"].ids[complete["item"]]
    reason = "users and items with a value in every field (--drop_incomplete)"
    inter, step = keep_entities(inter, users, items, reason)
    steps = [step]

    # One round is enough: the k-core of complete entities has complete entities only.
    if k_core > 1:
        inter, step = to_k_core(inter, k_core)
        steps.append(step)

    for side in SIDES:
        rows = entities[side].rows(present(inter, f"{side}_id"), complete[side])
        columns[side] = [column.take(rows) for column in columns[side]]
        entities[side] = entities[side].take(rows)
    return inter, steps


def _complete(n: int, columns: Sequence[FieldColumn]) -> NDArray[Any]:
    """Find the entities with a value in every column: bool ``[n]``."""
    complete = np.ones(n, dtype=bool)
    for column in columns:
        complete &= column.available
    return complete
