"""Demographics of the users of Music4All-Onion. Implausible and rare values are missing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pyarrow as pa

from recbole_sibrar.errors import DataError

from ...pipeline.raw import RawField, others_left_out
from ...readers.entity_file import EntityFile
from ...readers.stream_tables import ID, open_table, read_rows

COLUMNS = {
    "user_id": ID,
    "country": pa.string(),
    "age": pa.float64(),
    "gender": pa.string(),
    "creation_time": pa.timestamp("s"),
}
"""Columns of ``users.tsv``."""

GENDERS = ("m", "f")
"""Genders to keep. The file also has n for neutral; the papers leave it out."""

MISSING = ("", "NaN", "nan", "NULL", "null", "None")
"""Words for a missing value; ``NA`` is Namibia."""


def demographic_fields(
    path: Path, age_range: tuple[float, float], n_countries: int
) -> list[RawField]:
    """Make the fields of ``users.tsv``: gender, age in years, country, and creation time.

    The creation time is in seconds since 1970.

    Args:
        path: The file.
        age_range: The youngest and the oldest plausible age; others are missing.
        n_countries: Number of the most frequent countries to keep; 0 for all.
    """
    users = _Users(path)

    def gender(ids: pd.Index, notes: list[str]) -> pd.Series:
        values = users.values("gender", ids, notes)
        return _kept(values, values.isin(GENDERS), "a gender other than m and f", notes)

    def age(ids: pd.Index, notes: list[str]) -> pd.Series:
        values = users.values("age", ids, notes).astype(float)
        return _kept(
            values,
            values.between(*age_range),
            "an age outside {:g} to {:g}".format(*age_range),
            notes,
        )

    def country(ids: pd.Index, notes: list[str]) -> pd.Series:
        # Frequencies among the users that are kept, not among all of the file.
        values = users.values("country", ids, notes)

        # Sorted by name first: countries of one frequency have the same order on every machine.
        by_name = values.value_counts().sort_index()
        frequent = by_name.sort_values(ascending=False, kind="stable").index[: n_countries or None]
        return _kept(
            values,
            values.isin(frequent),
            f"a country outside the {n_countries} most frequent",
            notes,
        )

    def creation_time(ids: pd.Index, notes: list[str]) -> pd.Series:
        return users.values("creation_time", ids, notes).astype(float)

    return [
        _field(users, "gender", "token", gender),
        _field(users, "age", "float", age),
        _field(users, "country", "token", country),
        _field(users, "creation_time", "float", creation_time),
    ]


def _field(
    users: _Users, name: str, kind: str, read: Callable[[pd.Index, list[str]], pd.Series]
) -> RawField:
    notes: list[str] = []
    return RawField(name, kind, lambda ids: read(ids, notes), users.file.name, notes, users.file)


def _kept(values: pd.Series, keep: pd.Series, what: str, notes: list[str]) -> pd.Series:
    """Keep some values, make the others missing, and note their number."""
    dropped = int((values.notna() & ~keep).sum())
    if dropped:
        notes.append(f"users.tsv: {dropped} users with {what} count as missing.")
    return values.where(keep, float("nan") if values.dtype.kind == "f" else None)


class _Users:
    """The file, read for the first field."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._frame: pd.DataFrame | None = None
        self.file = EntityFile(path.name, is_table=True, read_ids=lambda: self._read_once().index)

    def values(self, name: str, ids: pd.Index, notes: list[str]) -> pd.Series:
        """Look up a column for users in their order, and note the number of others.

        A missing value is None or NaN.
        """
        frame = self._read_once()
        self.file.add(frame.index)
        self.file.close()
        n_others = int((~frame.index.isin(ids)).sum())
        notes.extend(others_left_out("users.tsv", n_others, len(frame), "users"))
        return frame[name].reindex(ids)

    def _read_once(self) -> pd.DataFrame:
        # Each of the four fields asks for the file.
        if self._frame is None:
            self._frame = self._read()
        return self._frame

    def _read(self) -> pd.DataFrame:
        table = open_table(self._path, COLUMNS, missing=MISSING)
        frames: list[pd.DataFrame] = []
        seen = pd.Index([], dtype=object)

        for block in read_rows(self._path):
            rows = table.parse(block)
            names = pd.Index(rows["user_id"].to_pylist(), dtype=object)
            twice = names.duplicated() | names.isin(seen)
            if twice.any():
                row = int(twice.argmax())
                table.refuse(
                    block, row, "user_id", names[row], "each user once, this is the second line"
                )
            seen = seen.append(names)
            frames.append(_frame(rows).set_axis(names))

        if not frames:
            raise DataError(f"{self._path}: there are no lines below the header")

        frame = pd.concat(frames)

        # Arrow knows words for missing numbers only.
        texts = frame[["country", "gender"]]
        return frame.assign(**texts.where(~texts.isin(MISSING), None))


def _frame(rows: pa.Table) -> pd.DataFrame:
    """Make a frame of a block, with texts as objects and times in seconds since 1970."""
    texts = {"country": rows["country"].to_pylist(), "gender": rows["gender"].to_pylist()}
    seconds = rows["creation_time"].cast(pa.int64())
    return pd.DataFrame(texts, dtype=object).assign(
        age=rows["age"].to_pandas(), creation_time=seconds.to_pandas()
    )
