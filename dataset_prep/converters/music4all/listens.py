"""Listening events and play counts of Music4All-Onion, streamed.

A row is a pair of a user and a track.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from recbole_sibrar.errors import DataError

from ...pipeline.raw import Step
from ...readers.pairs import Codes, PairTable
from ...readers.stream_tables import ID, open_table, read_rows

EVENTS = {"user_id": ID, "track_id": ID, "timestamp": pa.timestamp("s")}
"""Columns of ``userid_trackid_timestamp.tsv``."""
COUNTS = {"user_id": ID, "track_id": ID, "count": pa.int64()}
"""Columns of ``userid_trackid_count.tsv``."""


@dataclass(frozen=True)
class Listens:
    """Pairs of users and tracks."""

    inter: pd.DataFrame
    """A row for each pair of a user and a track."""
    steps: list[Step]
    """The lines of the report."""
    raw_ids: dict[str, pd.Index] = field(default_factory=dict)
    """``user`` and ``item`` -> ids with an event in any year; without it those of ``inter``."""


def read_events(path: Path, year: int | None) -> Listens:
    """Read listening events and count them for each pair.

    Args:
        path: ``userid_trackid_timestamp.tsv``, plain or compressed.
        year: The year (UTC) to keep; None for all.

    Returns:
        ``user_id``, ``item_id``, ``count`` and the ``timestamp`` of the pair's earliest event in
        seconds since 1970; the lines of the report; and all users and tracks with an event in any
        year.

    Raises:
        DataError: The file has a wrong value, or no events in this year.
    """
    table = open_table(path, EVENTS)
    users = Codes()
    tracks = Codes()

    # A pair keeps the number of its events and the earliest time.
    pairs = PairTable(
        {"count": np.add, "timestamp": np.minimum}, {"count": np.int64, "timestamp": np.float64}
    )
    start, end = _span(year)
    n_events = 0
    n_kept = 0
    earliest = np.inf
    latest = -np.inf

    for block in read_rows(path):
        events = table.parse(block)

        # Users and tracks of all years are numbered: the report counts them, and new ones are told
        # from filtered ones.
        user_codes = users.number_column(events["user_id"])
        track_codes = tracks.number_column(events["track_id"])

        times = events["timestamp"].cast(pa.int64()).to_numpy().astype(np.float64)
        kept = np.flatnonzero((times >= start) & (times < end))
        pairs.add(
            user_codes[kept],
            track_codes[kept],
            count=np.ones(len(kept), np.int64),
            timestamp=times[kept],
        )

        n_events += len(times)
        n_kept += len(kept)
        earliest = times.min(initial=earliest)
        latest = times.max(initial=latest)

    if not n_events:
        raise DataError(f"{path}: there are no lines below the header")
    if not n_kept:
        found = f"they are from {_year(earliest)} to {_year(latest)}"
        raise DataError(f"{path}: none of the {n_events} events is from {year} (--year); {found}")

    inter = pairs.frame(users, tracks)
    steps = [Step("listening events", n_events, len(users), len(tracks))]
    if year is not None:
        steps.append(_step(f"events of {year} (--year)", n_kept, inter))

    steps.append(_step("pairs of a user and a track", len(inter), inter))
    return Listens(inter, steps, {"user": users.ids(), "item": tracks.ids()})


def read_counts(path: Path) -> Listens:
    """Read play counts of tracks by users.

    Args:
        path: ``userid_trackid_count.tsv``, plain or compressed.

    Returns:
        ``user_id``, ``item_id`` and ``count``; and the lines of the report. The counts of a
        repeated pair are added.

    Raises:
        DataError: The file has a wrong value, or no counts.
    """
    table = open_table(path, COUNTS)
    users = Codes()
    tracks = Codes()
    pairs = PairTable({"count": np.add}, {"count": np.int64})
    for block in read_rows(path):
        rows = table.parse(block)
        counts = rows["count"].to_numpy()
        if len(counts) and counts.min() < 1:
            row = int(np.argmax(counts < 1))
            table.refuse(block, row, "count", counts[row], "a number of at least 1")
        pairs.add(
            users.number_column(rows["user_id"]),
            tracks.number_column(rows["track_id"]),
            count=counts,
        )

    if not len(users):
        raise DataError(f"{path}: there are no lines below the header")

    inter = pairs.frame(users, tracks)
    step = _step("pairs of a user and a track with their play counts", len(inter), inter)
    return Listens(inter, [step])


def _span(year: int | None) -> tuple[float, float]:
    """Find the first second of a year and of the next one."""
    if year is None:
        return -np.inf, np.inf
    start = datetime(year, 1, 1, tzinfo=timezone.utc)
    end = datetime(year + 1, 1, 1, tzinfo=timezone.utc)
    return start.timestamp(), end.timestamp()


def _year(seconds: float) -> int:
    return int(np.datetime64(int(seconds), "s").astype("datetime64[Y]").astype(int)) + 1970


def _step(name: str, n: int, inter: pd.DataFrame) -> Step:
    return Step(name, n, len(inter["user_id"].cat.categories), len(inter["item_id"].cat.categories))
