"""Files of a data set: atomic files, configuration and reports."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from recbole_sibrar.data.atomic import Field
from recbole_sibrar.names import SIDES, Side

from . import cells, reporting, writing
from .columns import CodeColumn, Column, FieldColumn, NumberColumn, TextColumn
from .entities import Entities

_NUMBERS = ("rating", "timestamp", "count")


def write_files(
    folder: Path,
    name: str,
    kinds: Sequence[str],
    inter: pd.DataFrame,
    parts: Mapping[str, NDArray[Any]],
    entities: Mapping[Side, Entities],
    columns: Mapping[Side, Sequence[FieldColumn]],
    report: reporting.Report,
) -> None:
    """Write all files of a data set.

    Args:
        folder: Folder to write to.
        name: Name of the data set.
        kinds: Atomic files to write: ``inter``, ``user``, ``item``.
        inter: Interactions.
        parts: Part of a published split -> bool ``[n]``, True for its interactions.
        entities: Users and items.
        columns: Their fields.
        report: The report.
    """
    ids: dict[Side, pd.Index] = {}
    texts: dict[Side, pa.Array] = {}
    for side in SIDES:
        ids[side] = entities[side].ids
        texts[side] = cells.id_cells(ids[side], f"{side}s")

    inter_columns = _inter_columns(inter, ids, texts)
    if "inter" in kinds:
        writing.write_atomic(folder / f"{name}.inter", len(inter), inter_columns)

        # Named as RecBole's benchmark_filename expects them.
        for part, rows in parts.items():
            writing.write_atomic(
                folder / f"{name}.{part}.inter",
                int(rows.sum()),
                _inter_columns(inter[rows], ids, texts),
            )

    for side in SIDES:
        # A file of ids alone says nothing, unless it lists entities without interactions.
        is_needed = bool(columns[side]) or entities[side].n_others > 0
        if side in kinds and is_needed:
            id_column = TextColumn(Field(f"{side}_id", "token"), texts[side])
            fields = [column.column for column in columns[side]]
            writing.write_atomic(folder / f"{name}.{side}", len(ids[side]), [id_column, *fields])

    names = [column.field.name for column in inter_columns]
    (folder / f"{name}.yaml").write_text(reporting.configuration(report, names), encoding="utf-8")
    (folder / "report.json").write_text(report.as_json(), encoding="utf-8")
    (folder / "report.md").write_text(report.as_markdown(), encoding="utf-8")


def _inter_columns(
    inter: pd.DataFrame, ids: Mapping[Side, pd.Index], texts: Mapping[Side, pa.Array]
) -> list[Column]:
    """Make the columns of the interactions."""
    columns: list[Column] = []
    for side in SIDES:
        # The categories are looked up, far fewer than the rows.
        values = inter[f"{side}_id"].cat
        position_of_category = ids[side].get_indexer(values.categories)
        codes = position_of_category[values.codes.to_numpy()]
        columns.append(CodeColumn(Field(f"{side}_id", "token"), codes, texts[side]))

    for name in _NUMBERS:
        if name in inter:
            columns.append(NumberColumn(Field(name, "float"), inter[name].to_numpy()))
    return columns
