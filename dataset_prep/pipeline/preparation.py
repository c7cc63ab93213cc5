"""From a raw data set to a folder of atomic files: filters, fields, files, report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from recbole_sibrar.config.values import nearest
from recbole_sibrar.data.atomic import DataError, Field

from . import cells, reporting, writing
from .columns import CodeColumn, Column, FieldColumn, NumberColumn, TextColumn, read_columns
from .entities import SIDES, Entities, compare_files, find_entities
from .filtering import Filters, filter_interactions, keep_entities, present, raw_step, to_k_core
from .raw import RawData, RawField, Step

RESERVED = ("user_id", "item_id", "rating", "timestamp", "count", "label", "id", "interactions")
"""Names that no field of users or items can have: those of columns of the interactions and of built-in modalities."""


@dataclass(frozen=True)
class Target:
    """What to write, and where."""

    folder: Path
    """The folder of the data set, whose name is that of the data set."""
    converter: str
    """Name of the converter."""
    options: dict[str, Any]
    """All options, for the report."""
    files: tuple[str, ...] = ("inter", "user", "item")
    """Which atomic files to write."""


def choose_fields(side: str, fields: Sequence[RawField], wanted: Sequence[str] | None) -> list[RawField]:
    """The fields of one side that are kept.

    Args:
        side: ``user`` or ``item``.
        fields: All fields.
        wanted: Names of those to keep; None for all.

    Raises:
        DataError: There is no such field, or two fields have one name.
    """
    names = [field.name for field in fields]
    for name in names:
        if names.count(name) > 1:
            raise DataError(
                f"--{side}_feature: two fields of the {side}s are named '{name}'; name one of them otherwise, here or "
                "behind the type or model in --columns and --encode"
            )
    for name in wanted or ():
        if name not in names:
            raise DataError(
                f"--{side}_features: found '{name}', allowed are {', '.join(names) or 'none'}{nearest(name, names)}"
            )
    return [field for field in fields if wanted is None or field.name in wanted]


@dataclass(frozen=True)
class Kept:
    """Which users and items are kept beside those that the filters leave."""

    user: str = "interacted"
    """``all`` or ``interacted``, as :func:`~.entities.find_entities` describes them."""
    item: str = "interacted"
    """Likewise for items."""
    complete_only: bool = False
    """Whether to keep only users and items with a value in every field."""


def prepare(raw: RawData, filters: Filters, kept: Kept, target: Target) -> reporting.Report:
    """Filter a raw data set and write it as a folder of atomic files.

    Args:
        raw: The raw data set, with the fields to keep.
        filters: What to leave out.
        kept: Which users and items to keep.
        target: What to write, and where; the folder appears when all is written.

    Returns:
        The report that lies in the folder as well.

    Raises:
        DataError: The data are not what they should be, or nothing is left of them.
    """
    _check_names(raw)
    steps = list(raw.steps) or [raw_step(raw.inter)]
    inter, filtered = filter_interactions(raw.inter, filters)
    steps += filtered
    notes = list(raw.notes)

    with writing.replacing_folder(target.folder) as (folder, scratch):
        entities = find_entities(raw, inter, {"user": kept.user, "item": kept.item})
        files = compare_files(raw, entities)
        fields = {"user": raw.user_fields, "item": raw.item_fields}
        columns = {side: read_columns(side, fields[side], entities[side].ids, scratch) for side in SIDES}
        notes += [note for side in SIDES for field in fields[side] for note in field.notes]
        columns = {side: _without_empty(side, columns[side], notes) for side in SIDES}

        if kept.complete_only:
            inter, dropped = _keep_complete(inter, entities, columns, filters.k_core)
            steps += dropped
        notes += [note for file in files for note in file.notes]
        notes += [_others(side, entities[side].n_others) for side in SIDES if entities[side].n_others]
        report = reporting.Report(
            dataset=target.folder.name,
            converter=target.converter,
            version=version("recbole-sibrar"),
            options=target.options,
            steps=tuple(steps),
            others={side: entities[side].n_others for side in SIDES},
            modalities=tuple(line for side in SIDES for line in reporting.describe(side, columns[side])),
            notes=tuple(dict.fromkeys(notes)),  # fields of one file say the same of its lines
            inferred=tuple(raw.inferred),
            warnings=(*raw.warnings, *(warning for file in files for warning in file.warnings)),
        )
        _write(folder, target, inter, entities, columns, report)
    return report


def _others(side: str, n: int) -> str:
    """The sentence on entities without interactions."""
    return f"{n:,} {side}s without any interaction are kept, as their files have them (--keep_{side}s all)."


def _check_names(raw: RawData) -> None:
    users, items = ([field.name for field in fields] for fields in (raw.user_fields, raw.item_fields))
    for name in [*users, *items]:
        if name in RESERVED or not name or set(name) & set(": \t\r\n"):
            raise DataError(
                f"a field cannot be named '{name}': names have no colon and no space, and "
                f"{', '.join(RESERVED)} are taken"
            )
    both = sorted(set(users) & set(items))
    if both:
        raise DataError(f"users and items both have a field '{both[0]}'; keep one of them, or rename it")


def _without_empty(side: str, columns: list[FieldColumn], notes: list[str]) -> list[FieldColumn]:
    """Leave out fields that no entity has, and say so: a column without a value has no type."""
    for column in columns:
        if not column.available.any():
            notes.append(f"The field {column.column.field.name} is left out: no {side} that is kept has a value.")
    return [column for column in columns if column.available.any()]


def _keep_complete(
    inter: pd.DataFrame, entities: dict[str, Entities], columns: dict[str, list[FieldColumn]], k_core: int
) -> tuple[pd.DataFrame, list[Step]]:
    """Keep entities with every feature, in ``entities`` and ``columns`` as well.

    The k-core of what is left has no others, so that one round is enough.
    """
    complete = {side: _complete(len(entities[side].ids), columns[side]) for side in SIDES}
    ids = {side: entities[side].ids[complete[side]] for side in SIDES}
    reason = "users and items with a value in every field (--drop_incomplete)"
    inter, step = keep_entities(inter, ids["user"], ids["item"], reason)
    steps = [step]
    if k_core > 1:
        inter, step = to_k_core(inter, k_core)
        steps.append(step)

    for side in SIDES:
        rows = entities[side].rows(present(inter, f"{side}_id"), complete[side])
        columns[side] = [column.take(rows) for column in columns[side]]
        entities[side] = entities[side].take(rows)
    return inter, steps


def _complete(n: int, columns: Sequence[FieldColumn]) -> np.ndarray:
    """Those of ``n`` entities that have a value in every column: bool ``[n]``."""
    return reduce(np.logical_and, (column.available for column in columns), np.ones(n, dtype=bool))


def _write(
    folder: Path,
    target: Target,
    inter: pd.DataFrame,
    entities: dict[str, Entities],
    columns: dict[str, list[FieldColumn]],
    report: reporting.Report,
) -> None:
    """Write all files of the data set to a folder."""
    name = target.folder.name
    ids = {side: entities[side].ids for side in SIDES}
    texts = {side: cells.id_cells(ids[side], f"{side}s") for side in SIDES}
    tables: dict[str, list[Column]] = {"inter": _inter_columns(inter, ids, texts)}
    for side in SIDES:
        tables[side] = [TextColumn(Field(f"{side}_id", "token"), texts[side]), *(c.column for c in columns[side])]
    for kind in target.files:
        if kind == "inter" or len(tables[kind]) > 1 or entities[kind].n_others:
            n_rows = len(inter) if kind == "inter" else len(ids[kind])
            writing.write_atomic(folder / f"{name}.{kind}", n_rows, tables[kind])
    inter_fields = [column.field.name for column in tables["inter"]]
    (folder / f"{name}.yaml").write_text(reporting.configuration(report, inter_fields), encoding="utf-8")
    (folder / "report.json").write_text(report.as_json(), encoding="utf-8")
    (folder / "report.md").write_text(report.as_markdown(), encoding="utf-8")


def _inter_columns(inter: pd.DataFrame, ids: dict[str, pd.Index], texts: dict[str, Any]) -> list[Column]:
    columns: list[Column] = []
    for side in SIDES:
        ranks = ids[side].get_indexer(inter[f"{side}_id"].cat.categories)
        codes = ranks[inter[f"{side}_id"].cat.codes.to_numpy()]
        columns.append(CodeColumn(Field(f"{side}_id", "token"), codes, texts[side]))
    numbers = [name for name in ("rating", "timestamp", "count") if name in inter]
    return columns + [NumberColumn(Field(name, "float"), inter[name].to_numpy()) for name in numbers]
