"""Warnings about ids in the files of users and items: without a match, repeated, missing."""

from __future__ import annotations

import re
from collections.abc import Callable
from logging import getLogger
from os import PathLike
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from recbole_sibrar.data.atomic import AtomicFile
from recbole_sibrar.errors import DataError
from recbole_sibrar.names import Side
from recbole_sibrar.protocols import DatasetLike

LOW_SHARE = 0.5
"""Share of described users or items with interactions; a warning names files below it."""

_SPELLINGS: tuple[tuple[str, Callable[[str], str]], ...] = (
    ("without '.0'", lambda token: token.removesuffix(".0")),
    ("without spaces around them", str.strip),
    ("in lower case", str.lower),
    ("without leading zeros", lambda token: token.lstrip("0")),
    ("without the text before their digits", lambda token: re.sub(r"^\D+(?=\d)", "", token)),
)
"""Usual differences between the ids of different programs."""


def warn_about_matches(
    dataset: DatasetLike,
    side: Side,
    path: str | PathLike[str],
    tokens: pd.Series,
) -> None:
    """Warn if a file describes few of the users or items with interactions.

    Args:
        dataset: RecBole's ``Dataset`` with its unfiltered interactions.
        side: Side of the file.
        path: The file.
        tokens: The ids of the file.

    Raises:
        DataError: It describes none, and ``filter_inter_by_user_or_item`` would drop all
            interactions.
    """
    field = dataset.uid_field if side == "user" else dataset.iid_field
    interacting = pd.Series(dataset.inter_feat[field].unique()).dropna()
    described = pd.Series(tokens.unique()).dropna()
    matches = interacting.isin(described)
    if interacting.empty or described.empty or matches.mean() >= LOW_SHARE:
        return

    unknown = interacting[~matches]
    unused = described[~described.isin(interacting)]
    n = int(matches.sum())
    share = f"{100 * matches.mean():.1f} %"
    found = (
        f"{path}: {n or 'none'} of the {len(interacting)} {side}s with interactions ({share}) "
        f"{'has' if n < 2 else 'have'} a line; ids such as {_examples(unknown)} have none, and ids "
        f"such as {_examples(unused if len(unused) else described)} no "
        f"interactions{_hint(unknown, unused)}"
    )

    # RecBole does not filter interactions that are divided into files
    is_divided = dataset.benchmark_filename_list is not None
    if not n and dataset.config["filter_inter_by_user_or_item"] is True and not is_divided:
        raise DataError(f"{found}; with filter_inter_by_user_or_item: True nothing is left")
    getLogger().warning(found)


def _examples(tokens: pd.Series) -> str:
    return ", ".join(f"'{token}'" for token in tokens[:2])


def _hint(unknown: pd.Series, unused: pd.Series) -> str:
    """Suggest a usual difference of spelling, if the ids would match without it."""
    # a hint is worth seconds, not minutes
    few_unknown = unknown[:1000]
    few_unused = unused[:500_000]

    for words, spell in _SPELLINGS:
        matches = few_unknown.map(spell).isin(few_unused.map(spell))
        if matches.mean() >= LOW_SHARE:
            return f"; {words} they would match"
    return ""


def without_missing_ids(file: AtomicFile, field: str, frame: pd.DataFrame) -> pd.DataFrame:
    """Leave out the rows without an id, and warn about them.

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
    """Warn if an id occurs again with other values; RecBole keeps the first.

    Args:
        file: The file.
        field: The field of the ids.
        frame: All its rows.
    """
    rows = np.flatnonzero(frame[field].duplicated() & frame[field].notna())
    if not len(rows):
        return

    codes, _ = pd.factorize(frame[field])
    first_of_code = np.unique(codes, return_index=True)[1]
    # a missing id has the code -1, and the first place of first_of_code
    first_rows = first_of_code[codes[rows] + int(codes.min() == -1)]

    differs: dict[str, NDArray[np.bool_]] = {}
    for name in frame.columns.drop(field):
        differs[str(name)] = _differ(frame[name], rows, first_rows)

    # without other columns, no row differs
    none = np.zeros(len(rows), dtype=bool)
    differing = np.flatnonzero(np.any([*differs.values(), none], axis=0))
    if not len(differing):
        return

    position = differing[0]
    line = file.line_of(int(rows[position]))
    before = file.line_of(int(first_rows[position]))
    names = [name for name, differ in differs.items() if differ[position]]
    others = ""
    if len(differing) > 1:
        others = f"; {len(differing)} lines repeat an id so"
    getLogger().warning(
        f"{file.path}, line {line}: {field} '{frame[field].iloc[rows[position]]}' occurs again, "
        f"with another {', '.join(names)} than in line {before}, which counts{others}"
    )


def _differ(
    column: pd.Series[Any], rows: NDArray[np.int64], others: NDArray[np.int64]
) -> NDArray[np.bool_]:
    """Compare the values of a column in some rows with those in other rows.

    Returns:
        bool ``[n]``: True where they differ.
    """
    values = column.to_numpy()[rows]
    other_values = column.to_numpy()[others]

    if isinstance(values[0], np.ndarray):
        differ = np.zeros(len(rows), dtype=bool)
        for i, (one, other) in enumerate(zip(values, other_values, strict=True)):
            # by their bytes, so that NaN equals NaN
            differ[i] = len(one) != len(other) or one.tobytes() != other.tobytes()
        return differ

    both_missing = pd.isna(values) & pd.isna(other_values)
    is_other: NDArray[np.bool_] = (values != other_values) & ~both_missing
    return is_other
