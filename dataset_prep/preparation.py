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
from .filtering import Filters, filter_interactions, keep_entities, present, raw_step, to_k_core
from .raw import RawData, RawField

SIDES = ("user", "item")
"""The two sides of a recommender."""

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
                f"--{side}_feature: two fields of the {side}s are named '{name}'; name one of them otherwise"
            )
    for name in wanted or ():
        if name not in names:
            raise DataError(
                f"--{side}_features: found '{name}', allowed are {', '.join(names) or 'none'}{nearest(name, names)}"
            )
    return [field for field in fields if wanted is None or field.name in wanted]


def prepare(raw: RawData, filters: Filters, drop_incomplete: bool, target: Target) -> reporting.Report:
    """Filter a raw data set and write it as a folder of atomic files.

    Args:
        raw: The raw data set, with the fields to keep.
        filters: What to leave out.
        drop_incomplete: Whether to keep only users and items with a value in every field.
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
        ids = {side: present(inter, f"{side}_id") for side in SIDES}
        fields = {"user": raw.user_fields, "item": raw.item_fields}
        columns = {side: read_columns(side, fields[side], ids[side], scratch) for side in SIDES}
        notes += [note for side in SIDES for field in fields[side] for note in field.notes]
        columns = {side: _without_empty(side, columns[side], notes) for side in SIDES}
        if drop_incomplete:
            inter, dropped = _keep_complete(inter, ids, columns, filters.k_core)
            steps += dropped
            left = {side: ids[side].get_indexer(present(inter, f"{side}_id")) for side in SIDES}
            columns = {side: [column.take(left[side]) for column in columns[side]] for side in SIDES}
            ids = {side: ids[side][left[side]] for side in SIDES}
        described = [line for side in SIDES for line in reporting.describe(side, columns[side])]
        report = reporting.Report(
            dataset=target.folder.name,
            converter=target.converter,
            version=version("recbole-sibrar"),
            options=target.options,
            steps=tuple(steps),
            modalities=tuple(described),
            notes=tuple(dict.fromkeys(notes)),  # fields of one file say the same of its lines
        )
        _write(folder, target, inter, ids, columns, report)
    return report


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
    inter: pd.DataFrame, ids: dict[str, pd.Index], columns: dict[str, list[FieldColumn]], k_core: int
) -> tuple[pd.DataFrame, list[Any]]:
    """Keep entities with every feature; the k-core of what is left has no others, so that one round is enough."""
    complete = {
        side: ids[side][
            reduce(np.logical_and, (c.available for c in columns[side]), np.ones(len(ids[side]), dtype=bool))
        ]
        for side in SIDES
    }
    reason = "users and items with a value in every field (--drop_incomplete)"
    inter, step = keep_entities(inter, complete["user"], complete["item"], reason)
    if k_core < 2:
        return inter, [step]
    inter, again = to_k_core(inter, k_core)
    return inter, [step, again]


def _write(
    folder: Path,
    target: Target,
    inter: pd.DataFrame,
    ids: dict[str, pd.Index],
    columns: dict[str, list[FieldColumn]],
    report: reporting.Report,
) -> None:
    """Write all files of the data set to a folder."""
    name = target.folder.name
    texts = {side: cells.id_cells(ids[side], f"{side}s") for side in SIDES}
    tables: dict[str, list[Column]] = {"inter": _inter_columns(inter, ids, texts)}
    for side in SIDES:
        tables[side] = [TextColumn(Field(f"{side}_id", "token"), texts[side]), *(c.column for c in columns[side])]
    for kind in target.files:
        if kind == "inter" or len(tables[kind]) > 1:
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
