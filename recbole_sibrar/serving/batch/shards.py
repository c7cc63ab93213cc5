"""Shards of users, and their recommendations; they need the portable model alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa

from recbole_sibrar.errors import DataError
from recbole_sibrar.names import INTERACTIONS
from recbole_sibrar.serving.batch.reading import read_pieces
from recbole_sibrar.serving.bundle.manifest import SideSpec
from recbole_sibrar.serving.encoding.frames import Frame, read_table
from recbole_sibrar.serving.look_ups import LookUps
from recbole_sibrar.serving.recommender import Recommender
from recbole_sibrar.serving.state import ItemFilter

__all__ = ["USERS_A_SHARD", "Shard", "ShardOptions", "recommend_shard", "shards_of"]

USERS_A_SHARD = 4096


@dataclass(frozen=True)
class Shard:
    """Some users: a table of them, or a range of the known ones."""

    start: int = 0
    """First known user of the range."""
    stop: int = 0
    """End of the range."""
    users: pa.Table | None = None
    """Table in the form of the ``.user`` file; None for the range."""


@dataclass(frozen=True)
class ShardOptions:
    """Options of a batch of recommendations."""

    k: int
    """Number of items for each user."""
    filter: ItemFilter = None
    """Items that may be recommended."""
    exclude_seen: bool = True
    """Leave out the items of the histories."""


def shards_of(path: Path | None, spec: SideSpec) -> Iterator[Shard]:
    """Divide users into shards.

    Args:
        path: Table of users; None for all known ones.
        spec: The users of the model.

    Raises:
        DataError: The file cannot be read, or a column is unknown.
    """
    if path is None:
        for start in range(0, spec.n, USERS_A_SHARD):
            yield Shard(start, min(start + USERS_A_SHARD, spec.n))
        return

    # Checked here, so that a wrong column ends the command before a process is asked for it.
    for piece in read_pieces(path, spec, USERS_A_SHARD):
        frame = read_table(piece, spec, "user")
        columns = dict(frame.columns)
        if frame.tokens is not None:
            columns[spec.id_field] = pa.array(frame.tokens, pa.string())
        if not columns:
            raise DataError(
                f"{path}: found no column, allowed are {spec.id_field} and fields of the users"
            )
        yield Shard(users=pa.table(columns))


def recommend_shard(
    model: Recommender, shard: Shard, options: ShardOptions
) -> tuple[pd.DataFrame, int]:
    """Recommend items to the users of a shard.

    Args:
        model: The model.
        shard: The users. A table of nothing but ids names known users; a table with fields has new
            ones.
        options: Options.

    Returns:
        Columns ``user``, ``item``, ``rank`` and ``score``; and the number of clicked items that are
        unknown.

    Raises:
        DataError: A cell holds no value of its field's type.
        UnknownEntityError: The table has nothing but ids, and one is unknown.
    """
    given: dict[str, Any] = {"filter": options.filter, "exclude_seen": options.exclude_seen}
    if shard.users is None:
        users = LookUps(model).users_at(range(shard.start, shard.stop))
        return model.recommend(users, options.k, **given), 0

    frame = read_table(shard.users, model.manifest.users, "user")
    if frame.columns or frame.tokens is None:
        recommended = model.recommend_new(shard.users, options.k, **given)
        return recommended, _unknown_clicks(model, frame)
    return model.recommend(frame.tokens, options.k, **given), 0


def _unknown_clicks(model: Recommender, frame: Frame) -> int:
    if INTERACTIONS not in frame.columns:
        return 0
    return LookUps(model).count_unknown_clicks(frame)
