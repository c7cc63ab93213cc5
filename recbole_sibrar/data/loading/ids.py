"""Warnings about the ids in the files of users and items that match nothing, occur twice or are missing."""

from __future__ import annotations

import re
from collections.abc import Callable
from logging import getLogger
from os import PathLike
from typing import Any

import numpy as np
import pandas as pd

from recbole_sibrar.data.atomic import AtomicFile
from recbole_sibrar.errors import DataError
from recbole_sibrar.names import Side

LOW_SHARE = 0.5
"""Share of the users or items with interactions below which a file that describes so few of them is pointed out."""

_SPELLINGS: tuple[tuple[str, Callable[[str], str]], ...] = (
    ("without '.0'", lambda token: token.removesuffix(".0")),
    ("without spaces around them", str.strip),
    ("in lower case", str.lower),
    ("without leading zeros", lambda token: token.lstrip("0")),
    ("without what is before their digits", lambda token: re.sub(r"^\D+(?=\d)", "", token)),
)
"""How ids of the same thing differ between tables of different programs."""


def warn_about_matches(dataset: Any, side: Side, path: str | PathLike[str], tokens: pd.Series) -> None:
    """Warn if few of the users or items with interactions are described by a file.

    Args:
        dataset: RecBole's ``Dataset`` with its interactions, before anything is filtered.
        side: Whom the file describes.
        path: The file.
        tokens: The ids that it has.

    Raises:
        DataError: None is, and ``filter_inter_by_user_or_item`` would drop all interactions.
    """
    field = dataset.uid_field if side == "user" else dataset.iid_field
    interacting = pd.Series(dataset.inter_feat[field].unique()).dropna()
    described = pd.Series(tokens.unique()).dropna()
    matches = interacting.isin(described)
    if interacting.empty or described.empty or matches.mean() >= LOW_SHARE:
        return

    unknown, unused = interacting[~matches], described[~described.isin(interacting)]
    n, share = int(matches.sum()), f"{100 * matches.mean():.1f} %"
    found = (
        f"{path}: {n or 'none'} of the {len(interacting)} {side}s with interactions ({share}) "
        f"{'has' if n < 2 else 'have'} a line; ids such as {_examples(unknown)} have none, and ids such as "
        f"{_examples(unused if len(unused) else described)} no interactions{_hint(unknown, unused)}"
    )
    if not n and dataset.config["filter_inter_by_user_or_item"] is True and dataset.benchmark_filename_list is None:
        raise DataError(f"{found}; with filter_inter_by_user_or_item: True nothing is left")
    getLogger().warning(found)


def _examples(tokens: pd.Series) -> str:
    return ", ".join(f"'{token}'" for token in tokens[:2])


def _hint(unknown: pd.Series, unused: pd.Series) -> str:
    """How the ids would match, if a usual difference is the reason."""
    unknown, unused = unknown[:1000], unused[:500_000]  # a hint is worth seconds, not minutes
    for words, spell in _SPELLINGS:
        matches = unknown.map(spell).isin(unused.map(spell))
        if matches.mean() >= LOW_SHARE:
            return f"; {words} they would match"
    return ""


def without_missing_ids(file: AtomicFile, field: str, frame: pd.DataFrame) -> pd.DataFrame:
    """Leave out the rows that say of nobody what they hold, and warn about them.

    Args:
        file: The file.
        field: The field of the ids.
        frame: All its rows.
    """
    missing = frame[field].isna()
    if not missing.any():
        return frame
    line = file.line_of(int(missing.argmax()))
    n = int(missing.sum())
    lines = "this line is" if n == 1 else f"{n} such lines are"
    getLogger().warning(f"{file.path}, line {line}: {field} is missing; {lines} left out")
    return frame[~missing].reset_index(drop=True)


def warn_about_repetitions(file: AtomicFile, field: str, frame: pd.DataFrame) -> None:
    """Warn if an id occurs again with other values, of which RecBole keeps the first.

    Args:
        file: The file.
        field: The field of the ids.
        frame: All its rows.
    """
    rows = np.flatnonzero(frame[field].duplicated() & frame[field].notna())
    if not len(rows):
        return
    codes, _ = pd.factorize(frame[field])
    first_rows = np.unique(codes, return_index=True)[1][codes[rows] + int(codes.min() == -1)]
    differs = {name: _differ(frame[name], rows, first_rows) for name in frame.columns if name != field}
    differing = np.flatnonzero(np.any([*differs.values(), np.zeros(len(rows), dtype=bool)], axis=0))
    if not len(differing):
        return

    position = differing[0]
    line = file.line_of(int(rows[position]))
    before = file.line_of(int(first_rows[position]))
    names = [str(name) for name, differ in differs.items() if differ[position]]
    others = f"; {len(differing)} lines repeat an id so" if len(differing) > 1 else ""
    getLogger().warning(
        f"{file.path}, line {line}: {field} '{frame[field].iloc[rows[position]]}' occurs again, with another "
        f"{', '.join(names)} than in line {before}, which counts{others}"
    )


def _differ(column: pd.Series, rows: np.ndarray, others: np.ndarray) -> np.ndarray:
    """bool ``[n]``: whether the values of a column in some rows differ from those in other rows."""
    values, other_values = column.to_numpy()[rows], column.to_numpy()[others]
    if isinstance(values[0], np.ndarray):
        pairs = zip(values, other_values, strict=True)
        return np.array([one.tobytes() != other.tobytes() or len(one) != len(other) for one, other in pairs])
    return (values != other_values) & ~(pd.isna(values) & pd.isna(other_values))
