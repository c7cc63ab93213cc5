"""Work of a process of a cluster that recommends items to shards of users; it needs no RecBole."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import pandas as pd
import pyarrow as pa

from recbole_sibrar.errors import ConfigError, DataError, PortableModelError, one_line
from recbole_sibrar.serving.batch.shards import Shard, ShardOptions, recommend_shard
from recbole_sibrar.serving.recommender import Recommender

__all__ = ["Answer", "Failure", "ShardActor"]

_ERRORS: tuple[type[ValueError], ...] = (ConfigError, DataError, PortableModelError)
"""Errors that end the command in their own line."""


@dataclass(frozen=True)
class Failure:
    """Failure of an actor, which ends the command in one line."""

    kind: int
    """Position of its class in ``_ERRORS``."""
    message: str
    """The line."""

    def error(self) -> ValueError:
        """Make the error again, in another process."""
        return _ERRORS[self.kind](self.message)


Answer: TypeAlias = "tuple[pd.DataFrame, int] | Failure"
"""Recommendations of a shard with the number of unknown clicks, or a failure."""


class ShardActor:
    """Process of a cluster that holds the model.

    Args:
        model: Folder of the portable model.
        added: Tables of new items.
        options: Number of items and their choice.
    """

    def __init__(self, model: str, added: list[pa.Table], options: ShardOptions) -> None:
        self.options = options
        # A failure is kept and answered with: an actor that cannot start would be started again.
        self.loaded: Recommender | Failure
        try:
            self.loaded = Recommender.load(model)
            for table in added:
                self.loaded.add_items(table)
        except _ERRORS as error:
            self.loaded = _failure(error)

    def recommend(self, shard: Shard) -> Answer:
        """Recommend items to the users of a shard."""
        if isinstance(self.loaded, Failure):
            return self.loaded
        try:
            return recommend_shard(self.loaded, shard, self.options)
        except _ERRORS as error:
            return _failure(error)


def _failure(error: ValueError) -> Failure:
    # Not the error itself: its class is rebuilt from its text alone in another process, and some
    # take more than a text.
    kind = next(place for place, known in enumerate(_ERRORS) if isinstance(error, known))
    return Failure(kind, one_line(error))
