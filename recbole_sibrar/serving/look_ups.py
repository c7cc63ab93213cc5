"""Look-ups in a model that its server needs besides recommendations."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from recbole_sibrar.errors import nearest
from recbole_sibrar.names import Side
from recbole_sibrar.serving.encoding.frames import Frame, read_table
from recbole_sibrar.serving.ranking import Scores
from recbole_sibrar.serving.recommender import Recommender
from recbole_sibrar.serving.state import ItemFilter

__all__ = ["Listing", "LookUps"]


@dataclass(frozen=True)
class Listing:
    """Items for one user, best first."""

    items: list[str]
    """Their ids."""
    scores: list[float]
    """Their scores."""
    displays: list[dict[str, Any]]
    """Their display columns."""


class LookUps:
    """Look-ups in a model.

    Args:
        recommender: The model.

    Example:
        >>> from recbole_sibrar.serving.example import example_model
        >>> look_ups = LookUps(example_model())
        >>> look_ups.knows("user", "ann"), look_ups.near("user", "anne")
        (True, "; did you mean 'ann'?")
        >>> look_ups.display_of(["dune"])
        [{'year': 1984}]
        >>> look_ups.popular_items(1)["item"].tolist()
        ['alien']
    """

    def __init__(self, recommender: Recommender) -> None:
        self._state = recommender._state

    def knows(self, side: Side, token: str) -> bool:
        """Tell if there is such a user or item."""
        return self._state.entities.tokens[side].find(token) >= 0

    def competes(self, item: str) -> bool:
        """Tell if there is such an item, and it is not removed."""
        number = self._state.entities.tokens["item"].find(item)
        return bool(self._state.competes(np.array([number]))[0])

    def users_at(self, numbers: Sequence[int] | range) -> list[str]:
        """Return the ids of known users by their number from 0."""
        return self._state.entities.tokens["user"].tokens(np.asarray(numbers, dtype=np.int64))

    def count_unknown_clicks(self, frame: Frame) -> int:
        """Count the clicked items of a table of users that the model does not know."""
        numbers, _ = self._state.entities.linked("user", frame)
        return int((numbers < 0).sum())

    def count_unknown_labels(self, frame: Frame) -> dict[str, int]:
        """Count the labels of a table of items that the model does not know, by field.

        Raises:
            PortableModelError: The model has embeddings of known items alone.
        """
        encoder = self._state.entities.encoder("item")
        counts: dict[str, int] = {}
        for name in encoder.modalities:
            if name in encoder.readers and name in frame.columns:
                counts[name] = encoder.readers[name].count_unknown(frame.columns[name])
        return counts

    def near(self, side: Side, token: str) -> str:
        """Return ``; did you mean 'x'?`` for the nearest user or item; nothing if none is near."""
        tokens = self._state.entities.tokens[side]
        return nearest(token, tokens.starting_with(token[:1], 50)) or tokens.near(token)

    def check_items(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Check that items can be added.

        Raises:
            DataError: A field is unknown, or a cell cannot be read.
            PortableModelError: The model has embeddings of known items alone.
        """
        # Whatever can fail is done here as it is when the items are added.
        frame = read_table(rows, self._state.manifest.items, "item")
        self._state.entities.encode("item", frame)
        self._state.display.rows(frame)

    def display_of(self, items: Iterable[str]) -> list[dict[str, Any]]:
        """Return the display columns of known items."""
        return self._displays(self._state.entities.tokens["item"].known_numbers(items))

    def recommend(
        self,
        users: Sequence[str],
        k: int,
        filter: ItemFilter = None,
        candidates: Sequence[str] | None = None,
        exclude_seen: bool = True,
    ) -> list[Listing]:
        """Recommend items to known users, as ``Recommender.recommend``.

        Args:
            users: Ids of known users.
            k: Number of items for each.
            filter: Items that may be recommended.
            candidates: Ids of the items that compete; None for all.
            exclude_seen: Leave out the training items of each user.

        Returns:
            The list of each user.
        """
        # Without data frames, which took a third of the time of a request.
        state = self._state
        numbers = state.entities.tokens["user"].known_numbers(users)
        seen = [state.seen(int(user)) for user in numbers] if exclude_seen else None
        search = state.search(filter, candidates)

        ranking = search.rank(state.users.take(numbers), k, seen)
        rows = zip(ranking.numbers, ranking.scores, strict=True)
        return [self._listing(*row) for row in rows]

    def _listing(self, numbers: NDArray[np.int64], scores: NDArray[np.float32]) -> Listing:
        """Make the list of one row of a ranking."""
        # Places without a candidate have the number -1.
        is_there = numbers >= 0
        found = numbers[is_there]
        items = self._state.entities.tokens["item"].tokens(found)
        return Listing(items, scores[is_there].tolist(), self._displays(found))

    def listing_of(self, frame: pd.DataFrame) -> Listing:
        """Make a list of a table with the columns ``item`` and ``score``."""
        items = frame["item"].tolist()
        return Listing(items, frame["score"].tolist(), self.display_of(items))

    def _displays(self, numbers: NDArray[np.int64]) -> list[dict[str, Any]]:
        # Without columns nothing is looked up for each item.
        display = self._state.display
        if not display.names:
            return [{} for _ in numbers]
        return [display.of(int(number)) for number in numbers]

    def popular_items(
        self, k: int, filter: ItemFilter = None, candidates: Sequence[str] | None = None
    ) -> pd.DataFrame:
        """Find the items with the most training interactions.

        Args:
            k: Number of items.
            filter: Items that may be found.
            candidates: Ids of the items that compete; None for all.

        Returns:
            Columns ``user`` (``popular``), ``item``, ``rank`` and ``score``, the number of
            interactions.
        """
        search = self._state.search(filter, candidates)
        # Added items have no training interactions.
        counts = torch.zeros(1, search.catalogue.n)
        trained = self._state.entities.content.items.popularity
        # A copy, as PyTorch warns of arrays that cannot be written, such as mapped files.
        counts[0, : len(trained)] = torch.from_numpy(trained.copy()).float()

        counts.masked_fill_(search.catalogue.removed, -torch.inf)
        if search.allowed is not None:
            counts.masked_fill_(~search.allowed, -torch.inf)
        if search.candidates is not None:
            competes = torch.zeros(search.catalogue.n, dtype=torch.bool)
            competes[torch.from_numpy(search.candidates)] = True
            counts.masked_fill_(~competes, -torch.inf)
        return self._state.table(Scores(counts).best(k), ["popular"], "user", "item")
