"""Recommendations from a portable model: tokens in, data frames out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from os import PathLike
from pathlib import Path
from threading import RLock
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from recbole_sibrar.errors import DataError, refuse
from recbole_sibrar.names import INTERACTIONS, Side
from recbole_sibrar.serving.bundle.content import Content
from recbole_sibrar.serving.bundle.manifest import Manifest
from recbole_sibrar.serving.bundle.reading import read
from recbole_sibrar.serving.catalogue import Catalogue, Ranking, top
from recbole_sibrar.serving.display import Display
from recbole_sibrar.serving.encoding.entities import Entities
from recbole_sibrar.serving.encoding.frames import Frame, TableLike, read_table
from recbole_sibrar.serving.explaining import Parts, PartStore, explain_score, similarity
from recbole_sibrar.serving.search import Search

__all__ = ["NEW", "Recommender"]

NEW = "new"
"""Token of a new user or item without an id, in results."""

ItemFilter = str | Iterable[str] | None


class Recommender:
    """A trained model in use.

    Searches are exact. Several threads may use one object: a change of the items makes a new catalogue, and searches in
    the earlier one go on.

    Args:
        content: The portable model; see :meth:`load`.
    """

    def __init__(self, content: Content) -> None:
        self._entities = Entities(content)
        self._users = content.users.embeddings.float()
        self._catalogue = Catalogue.of(content.items.embeddings.float())
        self._display = Display(content.items.display)
        self._parts = {"user": PartStore(content, "user"), "item": PartStore(content, "item")}
        self._first_seen: dict[int, list[int]] = {}
        self._lock = RLock()

    @classmethod
    def load(cls, folder: str | PathLike[str], verify: bool = True) -> Recommender:
        """Load a portable model; no code of the folder is run.

        Args:
            folder: Folder made by ``recbole-sibrar export``.
            verify: Compare all files with their checksums.

        Raises:
            PortableModelError: The folder is no portable model, incomplete, altered, or of a newer format.
        """
        return cls(read(Path(folder), verify))

    @property
    def manifest(self) -> Manifest:
        """Description of the model."""
        return self._entities.manifest

    @property
    def n_users(self) -> int:
        """Number of known users."""
        return len(self._users)

    @property
    def n_items(self) -> int:
        """Number of items that compete, those added since included."""
        return int((~self._catalogue.removed).sum())

    # Recommendations

    def recommend(
        self,
        users: Iterable[str] | None = None,
        k: int = 10,
        *,
        filter: ItemFilter = None,
        candidates: Iterable[str] | None = None,
        exclude_seen: bool = True,
    ) -> pd.DataFrame:
        """Recommend items to known users.

        Args:
            users: Their ids; None for all.
            k: Number of items for each.
            filter: Items that may be recommended: their ids, unknown ones of which have no effect, or an expression
                over display columns, such as ``year >= 1990 and 'Comedy' in class``.
            candidates: Ids of the items that compete; None for all.
            exclude_seen: Leave out the training items of each user.

        Returns:
            Columns ``user``, ``item``, ``rank`` (from 1) and ``score``, best first.

        Raises:
            UnknownEntityError: A user or candidate is unknown.
            DataError: The filter is no expression over display columns.
            ConfigError: ``k`` is no positive integer.
        """
        blocks = self.recommend_blocks(users, k, filter=filter, candidates=candidates, exclude_seen=exclude_seen)
        return pd.concat(blocks, ignore_index=True)

    def recommend_blocks(
        self,
        users: Iterable[str] | None = None,
        k: int = 10,
        *,
        filter: ItemFilter = None,
        candidates: Iterable[str] | None = None,
        exclude_seen: bool = True,
        block: int = 4096,
    ) -> Iterator[pd.DataFrame]:
        """Recommend items block by block, for more users than one table of results has room for; see :meth:`recommend`.

        Args:
            users: Ids of known users; None for all.
            k: Number of items for each.
            filter: Items that may be recommended.
            candidates: Ids of the items that compete; None for all.
            exclude_seen: Leave out the training items of each user.
            block: Number of users at a time.

        Yields:
            The results of a block of users.
        """
        _check_k(k)
        numbers = np.arange(self.n_users) if users is None else self._entities.tokens["user"].known_numbers(users)
        search = self._search(filter, candidates)
        for start in range(0, max(len(numbers), 1), block):
            part = numbers[start : start + block]
            seen = [self._seen(user) for user in part] if exclude_seen else None
            ranking = search.rank(self._users[torch.from_numpy(part)], k, seen)
            yield self._frame(ranking, self._entities.tokens["user"].tokens(part), "user", "item")

    def recommend_for(
        self,
        history: Iterable[str] = (),
        user: Mapping[str, Any] | None = None,
        k: int = 10,
        *,
        filter: ItemFilter = None,
        candidates: Iterable[str] | None = None,
        exclude_seen: bool = True,
    ) -> pd.DataFrame:
        """Recommend items to a new user, by first clicks, by fields, or by both.

        Args:
            history: Ids of the items that the user has clicked.
            user: Fields of the user, as in the ``.user`` file; fields that are left out are missing.
            k: Number of items.
            filter: Items that may be recommended; see :meth:`recommend`.
            candidates: Ids of the items that compete; None for all.
            exclude_seen: Leave out the items of the history.

        Returns:
            Columns ``user``, ``item``, ``rank`` and ``score``; the user is ``new`` if the fields have no id.

        Raises:
            UnknownEntityError: An item is unknown.
            DataError: A field cannot be read, or the model cannot encode a new user.
            PortableModelError: The model has embeddings of known users alone.
        """
        _check_k(k)
        clicked = self._entities.tokens["item"].known_numbers(history)
        fields: dict[str, Any] = dict(user or {})
        if len(clicked):
            fields[INTERACTIONS] = self._entities.tokens["item"].tokens(clicked)

        frame = self._frame_of(fields, "user")
        self._entities.check_new("user", frame)
        vector = self._entities.encode("user", frame).embeddings
        seen = [clicked] if exclude_seen else None
        ranking = self._search(filter, candidates).rank(vector, k, seen)
        return self._frame(ranking, list(frame.tokens or (NEW,)), "user", "item")

    def audience(self, item: str | Mapping[str, Any], k: int = 100, *, exclude_seen: bool = True) -> pd.DataFrame:
        """Find the users who would like an item most.

        Args:
            item: Id of an item, or the fields of a new one.
            k: Number of users.
            exclude_seen: Leave out the users who have the item in their training history.

        Returns:
            Columns ``item``, ``user``, ``rank`` and ``score``, best first.

        Raises:
            UnknownEntityError: The item is unknown.
            DataError: A field cannot be read, or the model cannot encode a new item.
        """
        _check_k(k)
        token, number, vector = self._item(item)
        scores = (self._users @ vector)[None]
        if exclude_seen and number >= 0:
            scores[0, torch.from_numpy(self._owners(number))] = -torch.inf
        return self._frame(top(scores, k), [token], "item", "user")

    def similar_items(
        self,
        item: str | Mapping[str, Any],
        k: int = 10,
        *,
        modalities: Sequence[str] | None = None,
        filter: ItemFilter = None,
    ) -> pd.DataFrame:
        """Find the items most similar to an item, by the cosine of their embeddings.

        Args:
            item: Id of an item, or the fields of a new one.
            k: Number of items.
            modalities: Modalities to compare; None for all. The model has to be exported with ``--modalities``.
            filter: Items that may be found; see :meth:`recommend`.

        Returns:
            Columns ``item``, ``similar``, ``rank`` and ``score``, best first.

        Raises:
            UnknownEntityError: The item is unknown.
            DataError: A modality is unknown, or the item has none of them.
            PortableModelError: The model was exported without ``--modalities``.
        """
        _check_k(k)
        catalogue = self._catalogue
        if modalities is None:
            token, number, vector = self._item(item)
            scores = similarity(catalogue.scores(vector[None]), catalogue, vector)
        else:
            token, number, parts = self._item_parts(item)
            scores = self._parts["item"].similarity(parts, modalities, catalogue)

        allowed = self._allowed(filter, catalogue.n)
        if allowed is not None:
            scores.masked_fill_(~allowed, -torch.inf)
        if number >= 0:
            scores[0, number] = -torch.inf
        return self._frame(top(scores, k), [token], "item", "similar")

    def explain(self, user: str | Mapping[str, Any], item: str | Mapping[str, Any]) -> pd.DataFrame:
        """Divide a score among the modalities of user and item; the parts sum to the score.

        With mean aggregation the part of two modalities is the dot product of their embeddings, divided by the numbers
        of modalities of both sides. With max aggregation each dimension of an embedding counts for the modality that it
        is from.

        Args:
            user: Id of a user, or the fields of a new one; ``interactions`` has the clicked items.
            item: Id of an item, or the fields of a new one.

        Returns:
            Columns ``user``, ``item``, ``user_modality``, ``item_modality`` and ``part``.

        Raises:
            UnknownEntityError: User or item is unknown.
            DataError: The model's score is no sum over modalities.
            PortableModelError: The model was exported without ``--modalities``.
        """
        user_token, user_parts = self._user_parts(user)
        item_token, _, item_parts = self._item_parts(item)
        rows = explain_score(self.manifest.model, user_parts, item_parts)
        frame = pd.DataFrame(rows, columns=["user_modality", "item_modality", "part"])
        frame.insert(0, "user", user_token)
        frame.insert(1, "item", item_token)
        return frame

    # New users and items

    def encode_items(self, table: TableLike, *, modalities: Sequence[str] | None = None) -> pd.DataFrame:
        """Encode items from their fields; known ones keep their training interactions.

        Args:
            table: Items in the form of the ``.item`` file: a pandas or Arrow table, or dictionaries of fields. Missing
                values are missing. The column ``interactions`` has ids of users, for first interactions.
            modalities: Modalities to use; None for those of the evaluation.

        Returns:
            Columns ``item`` and ``embedding`` (float32 arrays ``[k]``).

        Raises:
            DataError: A column is unknown, or a cell holds no value of its field's type.
            PortableModelError: The model has embeddings of known items alone.
        """
        return self._encode("item", table, modalities)

    def encode_users(self, table: TableLike, *, modalities: Sequence[str] | None = None) -> pd.DataFrame:
        """Encode users from their fields and interactions; see :meth:`encode_items`."""
        return self._encode("user", table, modalities)

    def add_items(self, table: TableLike) -> pd.DataFrame:
        """Add items, which compete from now on; known ones are replaced.

        Args:
            table: Items in the form of the ``.item`` file, with their ids.

        Returns:
            Columns ``item`` and ``status``: ``added`` or ``replaced``.

        Raises:
            DataError: The ids are missing, a column is unknown, or a cell holds no value of its field's type.
            PortableModelError: The model has embeddings of known items alone.
        """
        frame = read_table(table, self.manifest.items, "item")
        if frame.tokens is None:
            raise DataError(f"items: the column '{self.manifest.items.id_field}' is missing")
        encoded = self._entities.encode("item", frame, parts=True)

        with self._lock:
            index = self._entities.tokens["item"]
            known = index.numbers(list(frame.tokens))
            status = ["added" if number < 0 else "replaced" for number in known]
            pairs = zip(frame.tokens, known, strict=True)
            numbers = np.array([index.add(token) if number < 0 else number for token, number in pairs], dtype=np.int64)
            self._display.put(numbers, frame)
            self._parts["item"].put(numbers, encoded)
            self._note_first_interactions(numbers, frame)
            self._catalogue = self._catalogue.put(numbers, encoded.embeddings)
        return pd.DataFrame({"item": list(frame.tokens), "status": status})

    def remove_items(self, items: Iterable[str]) -> None:
        """Let items compete no longer; :meth:`add_items` brings one back.

        Raises:
            UnknownEntityError: An item is unknown.
        """
        numbers = self._entities.tokens["item"].known_numbers(items)
        with self._lock:
            self._catalogue = self._catalogue.remove(numbers)

    # Helpers

    def _encode(self, side: Side, table: TableLike, modalities: Sequence[str] | None) -> pd.DataFrame:
        frame = read_table(table, self.manifest.side(side), side)
        embeddings = self._entities.encode(side, frame, modalities).embeddings.numpy()
        tokens = list(frame.tokens) if frame.tokens is not None else [NEW] * frame.n
        return pd.DataFrame({side: tokens, "embedding": list(embeddings)})

    def _frame_of(self, fields: Mapping[str, Any], side: Side) -> Frame:
        """Make the table of one new user or item."""
        frame = read_table([fields], self.manifest.side(side), side)
        return Frame(frame.tokens, frame.columns, 1)

    def _item(self, item: str | Mapping[str, Any]) -> tuple[str, int, Tensor]:
        """Token, number (-1 for a new one) and embedding ``[k]`` of an item."""
        if isinstance(item, Mapping):
            frame = self._frame_of(item, "item")
            self._entities.check_new("item", frame)
            return (frame.tokens or (NEW,))[0], -1, self._entities.encode("item", frame).embeddings[0]
        number = self._entities.tokens["item"].number(item)
        return str(item), number, self._catalogue.take(np.array([number]))[0]

    def _item_parts(self, item: str | Mapping[str, Any]) -> tuple[str, int, Parts]:
        """Token, number and parts of an item."""
        store = self._parts["item"]
        if isinstance(item, Mapping):
            frame = self._frame_of(item, "item")
            self._entities.check_new("item", frame)
            encoded = self._entities.encode("item", frame, parts=True)
            return (frame.tokens or (NEW,))[0], -1, store.of_encoded(encoded)
        number = self._entities.tokens["item"].number(item)
        return str(item), number, store.of(number, self._catalogue.take(np.array([number]))[0])

    def _user_parts(self, user: str | Mapping[str, Any]) -> tuple[str, Parts]:
        """Token and parts of a user."""
        store = self._parts["user"]
        if isinstance(user, Mapping):
            frame = self._frame_of(user, "user")
            self._entities.check_new("user", frame)
            return (frame.tokens or (NEW,))[0], store.of_encoded(self._entities.encode("user", frame, parts=True))
        number = self._entities.tokens["user"].number(user)
        return str(user), store.of(number, self._users[number])

    def _seen(self, user: int) -> NDArray[np.int64]:
        """Numbers of the items that a known user has interacted with."""
        history = self._entities.content.histories.of(int(user)).astype(np.int64)
        later = self._first_seen.get(int(user))
        return np.concatenate([history, np.array(later, dtype=np.int64)]) if later else history

    def _owners(self, item: int) -> NDArray[np.int64]:
        """Numbers of the users who have interacted with an item."""
        matrix = self._entities.by_item
        trained = matrix.indices[matrix.indptr[item] : matrix.indptr[item + 1]] if item < matrix.shape[0] else []
        later = [user for user, items in self._first_seen.items() if item in items]
        return np.array([*trained, *later], dtype=np.int64)

    def _note_first_interactions(self, numbers: NDArray[np.int64], frame: Frame) -> None:
        """Remember the users of added items, whose recommendations leave these out."""
        cells = frame.columns.get(INTERACTIONS)
        if cells is None:
            return
        bags = self._entities.batch("item", Frame(None, {INTERACTIONS: cells}, frame.n)).bags
        for row, number in enumerate(numbers):
            for user in bags.indices[bags.indptr[row] : bags.indptr[row + 1]]:
                self._first_seen.setdefault(int(user), []).append(int(number))

    def _search(self, filter: ItemFilter, candidates: Iterable[str] | None) -> Search:
        """Start a search in the items of this moment."""
        catalogue = self._catalogue
        chosen = None
        if candidates is not None:
            chosen = np.unique(self._entities.tokens["item"].known_numbers(candidates))
            chosen = chosen[chosen < catalogue.n]
        return Search(catalogue, self._allowed(filter, catalogue.n), chosen)

    def _allowed(self, filter: ItemFilter, n: int) -> Tensor | None:
        """Mask of the items that a filter leaves, bool ``[n]``; None without one."""
        if filter is None:
            return None
        if isinstance(filter, str):
            return torch.from_numpy(self._display.matching(filter, n))
        numbers = self._entities.tokens["item"].numbers([str(item) for item in filter])
        mask = np.zeros(n, dtype=bool)
        mask[numbers[(numbers >= 0) & (numbers < n)]] = True
        return torch.from_numpy(mask)

    def _frame(self, ranking: Ranking, owners: Sequence[str], owner: str, ranked: str) -> pd.DataFrame:
        """Make the table of a ranking."""
        is_there = ranking.numbers >= 0
        counts = is_there.sum(1)
        index = self._entities.tokens["user" if ranked == "user" else "item"]
        return pd.DataFrame(
            {
                owner: np.array(owners, dtype=object).repeat(counts),
                ranked: index.tokens(ranking.numbers[is_there]),
                "rank": np.concatenate([np.arange(1, n + 1) for n in counts] or [counts]),
                "score": ranking.scores[is_there],
            }
        )


def _check_k(k: int) -> None:
    if isinstance(k, bool) or not isinstance(k, (int, np.integer)) or k < 1:
        refuse("k", k, "a positive integer")
