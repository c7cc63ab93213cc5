"""State of a recommender: users, items, what was added since, and look-ups in them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from threading import RLock
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from recbole_sibrar.errors import UnknownEntityError
from recbole_sibrar.names import INTERACTIONS, Side
from recbole_sibrar.serving.bundle.content import Content
from recbole_sibrar.serving.catalogue import Catalogue
from recbole_sibrar.serving.display import Display
from recbole_sibrar.serving.encoding.entities import Entities
from recbole_sibrar.serving.encoding.frames import Frame, TableLike, read_table
from recbole_sibrar.serving.explaining import Parts, PartStore, explain_score
from recbole_sibrar.serving.ranking import Ranking, Scores, Vectors, dot_products, rounding_error
from recbole_sibrar.serving.search import Search

__all__ = ["NEW", "ItemFilter", "ItemLike", "State"]

NEW = "new"
"""Token of a new user or item without an id, in results."""

ItemFilter = str | Iterable[str] | None
"""Ids of the items that may be found, or an expression over display columns; None for all items."""

ItemLike = str | Mapping[str, Any]
"""Id of a known user or item, or the fields of a new one."""


class State:
    """Users and items of a model, and the changes of the items.

    Args:
        content: The portable model.
    """

    def __init__(self, content: Content) -> None:
        self.entities = Entities(content)
        self.manifest = content.manifest
        self.users = Vectors(content.users.embeddings.float())
        self.catalogue = Catalogue.of(content.items.embeddings.float())
        self.display = Display(content.items.display)
        self.parts: dict[Side, PartStore] = {
            "user": PartStore(content, "user"),
            "item": PartStore(content, "item"),
        }
        self._first_seen: dict[int, list[int]] = {}
        self._first_users: dict[int, list[int]] = {}
        self._lock = RLock()

    # Look-ups

    def frame_of(self, fields: Mapping[str, Any], side: Side) -> Frame:
        """Make the table of one new user or item, and check that the model can encode it.

        Raises:
            DataError: A field cannot be read, or the model cannot encode it.
            UnknownEntityError: The user has clicked an item that the model does not know.
        """
        frame = read_table([fields], self.manifest.side(side), side)
        self.entities.check_new(side, frame)
        if side == "user":
            self.entities.check_clicks(frame)
        return Frame(frame.tokens, frame.columns, 1)

    def known_item(self, item: str) -> tuple[int, Tensor]:
        """Look up number and embedding ``[k]`` of a known item.

        Raises:
            UnknownEntityError: There is none, or it has been removed.
        """
        catalogue = self.catalogue
        number = self.entities.tokens["item"].number(item)
        if number >= catalogue.n:  # another thread is adding it at this moment
            raise UnknownEntityError("item", item)
        if bool(catalogue.removed[number]):
            raise UnknownEntityError("item", item, ": it has been removed")
        return number, catalogue.take(np.array([number]))[0]

    def item(self, item: ItemLike) -> tuple[str, int, Tensor]:
        """Look up or encode an item: its token, number (-1 for a new one) and embedding ``[k]``."""
        if isinstance(item, Mapping):
            frame = self.frame_of(item, "item")
            return _token_of(frame), -1, self.entities.encode("item", frame).embeddings[0]
        return str(item), *self.known_item(item)

    def item_parts(self, item: ItemLike) -> tuple[str, int, Parts]:
        """Look up or encode the modalities of an item, with token and number as :meth:`item`."""
        store = self.parts["item"]
        if isinstance(item, Mapping):
            frame = self.frame_of(item, "item")
            encoded = self.entities.encode("item", frame, parts=True)
            return _token_of(frame), -1, store.of_encoded(encoded)

        number, embedding = self.known_item(item)
        return str(item), number, store.of(number, embedding)

    def user_parts(self, user: ItemLike) -> tuple[str, Parts]:
        """Look up or encode the modalities of a user; and its token."""
        store = self.parts["user"]
        if isinstance(user, Mapping):
            frame = self.frame_of(user, "user")
            encoded = self.entities.encode("user", frame, parts=True)
            return _token_of(frame), store.of_encoded(encoded)

        number = self.entities.tokens["user"].number(user)
        return str(user), store.of(number, self.users.values[number])

    def describe(self, items: Iterable[str]) -> pd.DataFrame:
        """Look up the display columns of items; see ``Recommender.describe_items``."""
        index = self.entities.tokens["item"]
        numbers = index.known_numbers(items)
        rows: list[dict[str, Any]] = []
        for token, number in zip(index.tokens(numbers), numbers, strict=True):
            rows.append({"item": token, **self.display.of(int(number))})

        # Named, so that a table of no items has its columns too.
        return pd.DataFrame(rows, columns=["item", *self.display.names])

    def seen(self, user: int) -> NDArray[np.int64]:
        """Return the items that a known user has interacted with."""
        history = self.entities.content.histories.of(int(user)).astype(np.int64)
        later = self._first_seen.get(int(user))
        if not later:
            return history
        return np.concatenate([history, np.array(later, dtype=np.int64)])

    def seen_by(self, frame: Frame) -> list[NDArray[np.int64]]:
        """Return the items that each user of a table has clicked, or met in training."""
        numbers, sizes = self.entities.linked("user", frame)
        # Unknown items, -1, need not be left out of a list.
        clicked = [part[part >= 0] for part in np.split(numbers, np.cumsum(sizes)[:-1])]
        if frame.tokens is None:
            return clicked

        known = self.entities.tokens["user"].numbers(list(frame.tokens))
        for row in np.flatnonzero(known >= 0):
            clicked[row] = np.concatenate([clicked[row], self.seen(known[row])])
        return clicked

    def owners(self, item: int) -> NDArray[np.int64]:
        """Return the users who have interacted with an item."""
        matrix = self.entities.by_item
        trained: NDArray[np.integer[Any]] = np.zeros(0, dtype=np.int64)
        if item < matrix.shape[0]:
            trained = matrix.indices[matrix.indptr[item] : matrix.indptr[item + 1]]

        # A copy: another thread may be adding items.
        first_seen = list(self._first_seen.items())
        later = [user for user, items in first_seen if item in items]
        return np.array([*trained, *later], dtype=np.int64)

    def encode(
        self, side: Side, table: TableLike, modalities: Sequence[str] | None
    ) -> pd.DataFrame:
        """Encode the users or items of a table; see ``Recommender.encode_items``."""
        frame = read_table(table, self.manifest.side(side), side)
        embeddings = self.entities.encode(side, frame, modalities).embeddings.numpy()
        tokens = list(frame.tokens) if frame.tokens is not None else [NEW] * frame.n
        return pd.DataFrame({side: tokens, "embedding": list(embeddings)})

    # Changes

    def put(self, frame: Frame) -> list[str]:
        """Add or replace items.

        Args:
            frame: Their fields, with tokens.

        Returns:
            ``added`` or ``replaced`` for each.
        """
        assert frame.tokens is not None
        # What cannot be read is refused before anything changes.
        encoded = self.entities.encode("item", frame, parts=True)
        shown = self.display.rows(frame)
        with self._lock:
            index = self.entities.tokens["item"]
            numbers = index.numbers(list(frame.tokens))
            competed = self.competes(numbers)
            for row in np.flatnonzero(numbers < 0):
                numbers[row] = index.add(frame.tokens[row])

            # The catalogue last: from then on searches find the items, and look up the rest.
            self.display.put(numbers, shown)
            self.parts["item"].put(numbers, encoded)
            self._note_first_interactions(numbers, frame)
            self.catalogue = self.catalogue.put(numbers, encoded.embeddings)
        return ["replaced" if was_there else "added" for was_there in competed]

    def remove(self, items: Iterable[str]) -> int:
        """Let items no longer compete; return the number of those that did."""
        numbers = np.unique(self.entities.tokens["item"].known_numbers(items))
        with self._lock:
            n_competed = int(self.competes(numbers).sum())
            self.catalogue = self.catalogue.remove(numbers)
        return n_competed

    def competes(self, numbers: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Mark the items that compete, bool ``[m]``: neither unknown (number -1) nor removed."""
        # Read once: another thread may put a new catalogue in its place.
        catalogue = self.catalogue
        is_known = (numbers >= 0) & (numbers < catalogue.n)
        if not catalogue.n:
            return np.asarray(is_known, dtype=bool)

        removed = catalogue.removed.numpy()[np.where(is_known, numbers, 0)]
        return np.asarray(is_known & ~removed, dtype=bool)

    def _note_first_interactions(self, numbers: NDArray[np.int64], frame: Frame) -> None:
        """Remember the users of added items, and forget those of replaced ones."""
        # Recommendations leave out the added items that a user has interacted with.
        for number in numbers:
            for user in self._first_users.pop(int(number), ()):
                # A new list: another thread may read the earlier one.
                items = self._first_seen[user]
                self._first_seen[user] = [item for item in items if item != number]

        cells = frame.columns.get(INTERACTIONS)
        if cells is None:
            return
        bags = self.entities.batch("item", Frame(None, {INTERACTIONS: cells}, frame.n)).bags
        for row, number in enumerate(numbers):
            users = bags.indices[bags.indptr[row] : bags.indptr[row + 1]].tolist()
            self._first_users[int(number)] = users
            for user in users:
                self._first_seen[user] = [*self._first_seen.get(user, ()), int(number)]

    # Searches

    def search(self, filter: ItemFilter, candidates: Iterable[str] | None = None) -> Search:
        """Start a search in the items of this moment."""
        catalogue = self.catalogue
        chosen = None
        if candidates is not None:
            chosen = np.unique(self.entities.tokens["item"].known_numbers(candidates))
            # Items that another thread has added since are not in this catalogue.
            chosen = chosen[chosen < catalogue.n]

        allowed = self._allowed(filter, catalogue.n)
        return Search(catalogue, allowed, chosen, self.entities.content.index)

    def _allowed(self, filter: ItemFilter, n: int) -> Tensor | None:
        """Make the mask of the items that a filter leaves, bool ``[n]``; None without one."""
        if filter is None:
            return None
        if isinstance(filter, str):
            return torch.from_numpy(self.display.matching(filter, n))

        # Unknown ids in a filter allow nothing, and are no error.
        numbers = self.entities.tokens["item"].numbers([str(item) for item in filter])
        mask = np.zeros(n, dtype=bool)
        mask[numbers[(numbers >= 0) & (numbers < n)]] = True
        return torch.from_numpy(mask)

    def scores_of_users(self, item: Tensor) -> Scores:
        """Score an item ``[k]`` for all users, ``[1, n]``."""

        def rescore(rows: NDArray[np.int64], numbers: NDArray[np.int64]) -> NDArray[np.float32]:
            taken = self.users.take(numbers)
            return dot_products(item.expand_as(taken), taken)

        error = rounding_error(len(item), item.norm()[None], self.users.longest)
        return Scores((self.users.values @ item)[None], rescore, error)

    def table(
        self, ranking: Ranking, owners: Sequence[str], owner: str, ranked: str
    ) -> pd.DataFrame:
        """Make the table of a ranking.

        Args:
            ranking: The ranking.
            owners: Token of each of its rows.
            owner: Name of the column with these tokens.
            ranked: Name of the column with the ranked tokens, which are items unless it is
                ``user``.
        """
        is_there = ranking.numbers >= 0
        counts = is_there.sum(1)
        index = self.entities.tokens["user" if ranked == "user" else "item"]
        _, places = np.nonzero(is_there)
        return pd.DataFrame(
            {
                owner: np.array(owners, dtype=object).repeat(counts),
                ranked: index.tokens(ranking.numbers[is_there]),
                "rank": places + 1,
                "score": ranking.scores[is_there],
            }
        )

    def explanation(self, user: str, item: str, of_user: Parts, of_item: Parts) -> pd.DataFrame:
        """Make the table of a score, divided among the modalities.

        Args:
            user: Token of the user.
            item: Token of the item.
            of_user: Modalities of the user.
            of_item: Modalities of the item.
        """
        rows = explain_score(self.manifest.model, of_user, of_item)
        frame = pd.DataFrame(rows, columns=["user_modality", "item_modality", "part"])
        frame.insert(0, "user", user)
        frame.insert(1, "item", item)
        return frame


def _token_of(frame: Frame) -> str:
    return frame.tokens[0] if frame.tokens else NEW
