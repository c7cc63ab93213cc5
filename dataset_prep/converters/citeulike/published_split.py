"""The published split of CiteULike-a into warm and cold articles.

A fifth of the articles is cold: their interactions are for validation or test. Those of the others
are for training, validation and test (Huang et al., SIGIR 2023; the same files in later comparisons
of cold start).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from recbole_sibrar.errors import DataError

from ...readers.raw_text import read_text

FILES = ("warm_emb", "warm_val", "warm_test", "cold_item_val", "cold_item_test")
"""Names of the parts, those of their files without ``.csv``."""

PARTS: dict[str, tuple[str, ...]] = {
    "train": ("warm_emb",),
    "valid": ("warm_val", "cold_item_val"),
    "test": ("warm_test", "cold_item_test"),
    "warm_valid": ("warm_val",),
    "warm_test": ("warm_test",),
    "cold_valid": ("cold_item_val",),
    "cold_test": ("cold_item_test",),
}
"""Part for ``benchmark_filename`` -> parts of the split in it."""

_COLUMNS = ("user", "item")


def find_split(input_path: Path, split_path: Path | None) -> Path | None:
    """Find the folder of the split.

    Args:
        input_path: Folder of the data set.
        split_path: The option ``--split_path``.

    Returns:
        The folder; None if no option names one and the data set's has none of the files.

    Raises:
        DataError: A file is missing.
    """
    folder = split_path or input_path
    missing = [file for file in FILES if not (folder / f"{file}.csv").is_file()]
    if not missing:
        return folder

    # Some of the files in the folder of the data set: the split is meant, and incomplete.
    if split_path is None and len(missing) == len(FILES):
        return None

    key = "--split_path" if split_path else "--input_path"
    raise DataError(
        f"{key}: there is no file {folder / missing[0]}.csv; a split has {', '.join(FILES)}"
    )


def add_parts(inter: pd.DataFrame, folder: Path) -> list[str]:
    """Add the column ``part`` to the interactions: the part of the split, or a missing value.

    Args:
        inter: Interactions with ``user_id`` and ``item_id``; they are changed.
        folder: Folder of the split.

    Returns:
        A sentence for the report if some interactions are in no part.

    Raises:
        DataError: A pair of the split is no interaction, or is in two parts.
    """
    pairs = pd.MultiIndex.from_frame(inter[["user_id", "item_id"]].astype(str))

    # -1 is a missing category: the interaction is in no part.
    codes = np.full(len(inter), -1, dtype=np.int8)

    for code, part in enumerate(FILES):
        path = folder / f"{part}.csv"
        table = read_text(path, ",")
        table.check(_COLUMNS, "--split_path")
        users = np.asarray(table.categories("user"), dtype=object)
        items = np.asarray(table.categories("item"), dtype=object)

        # Every row, as an interaction can be repeated in the data.
        own = pd.MultiIndex.from_arrays([users, items])
        found = pairs.isin(own)
        known = own.isin(pairs)
        if not known.all():
            row = int(np.argmin(known))
            table.refuse(
                row, _COLUMNS[1], f"an article in the library of user {users[row]} (users.dat)"
            )
        if (codes[found] >= 0).any():
            row = int(np.flatnonzero(found & (codes >= 0))[0])
            pair = " ".join(map(str, pairs[row]))
            raise DataError(f"{path}: the pair {pair} is in {FILES[codes[row]]}.csv as well")
        codes[found] = code

    inter["part"] = pd.Categorical.from_codes(codes, categories=pd.Index(FILES, dtype=object))
    n_without = int((codes < 0).sum())
    return [_without(n_without, len(inter))] if n_without else []


def _without(n: int, n_all: int) -> str:
    return (
        f"{n:,} of {n_all:,} interactions are in no part of the split: only the file of all "
        "interactions has them."
    )


def parts_of(inter: pd.DataFrame) -> dict[str, Sequence[str]]:
    """Return the files of parts to write: all with a split, none without."""
    return dict(PARTS) if "part" in inter else {}
