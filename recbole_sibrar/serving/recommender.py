"""Recommendations from a portable model: tokens in, data frames out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from recbole_sibrar.errors import DataError
from recbole_sibrar.names import INTERACTIONS, Side
from recbole_sibrar.serving.bundle.content import Content
from recbole_sibrar.serving.bundle.manifest import Manifest
from recbole_sibrar.serving.bundle.reading import read
from recbole_sibrar.serving.encoding.frames import TableLike, read_table
from recbole_sibrar.serving.explaining import similarity
from recbole_sibrar.serving.ranking import check_k
from recbole_sibrar.serving.state import NEW, ItemFilter, ItemLike, State

__all__ = ["NEW", "Recommender"]


class Recommender:
    """A trained model in use.

    Searches are exact. Threads may share an object: a search keeps the catalogue it began with.

    Args:
        content: The portable model; see :meth:`load`.

    Example:
        >>> from recbole_sibrar.serving.example import example_model
        >>> model = example_model()
        >>> list(model.recommend(["ann"], k=2).columns)
        ['user', 'item', 'rank', 'score']
        >>> visitor = model.recommend_for(history=["alien"], user={"country": "AT"}, k=9)
        >>> sorted(visitor["item"])
        ['brazil', 'casablanca', 'dune', 'eraserhead']

        A new item competes as soon as it is added:

        >>> model.add_items([{"item_id": "solaris", "genre": ["scifi"], "year": 1972}])
              item status
        0  solaris  added
        >>> model.recommend(["ann"], k=9, filter="year < 1975")["item"].sort_values().tolist()
        ['casablanca', 'solaris']
        >>> parts = model.explain("ann", "solaris")
        >>> score = model.recommend(["ann"], candidates=["solaris"])["score"][0]
        >>> bool(abs(parts["part"].sum() - score) < 1e-6)
        True
    """

    def __init__(self, content: Content) -> None:
        self._state = State(content)

    @classmethod
    def load(cls, folder: str | PathLike[str], verify: bool = True) -> Recommender:
        """Load a portable model; no code of the folder is run.

        Args:
            folder: Folder made by ``recbole-sibrar export``.
            verify: Compare all files with their checksums.

        Raises:
            PortableModelError: The folder is no whole, unaltered portable model of this format.
        """
        return cls(read(Path(folder), verify))

    @property
    def manifest(self) -> Manifest:
        """Description of the model."""
        return self._state.manifest

    @property
    def n_users(self) -> int:
        """Number of known users."""
        return len(self._state.users.values)

    @property
    def n_items(self) -> int:
        """Number of items that compete, those added since included."""
        return int((~self._state.catalogue.removed).sum())

    def tokens(self, side: Side, start: str = "", limit: int = 20) -> list[str]:
        """List ids that start with some characters, in alphabetical order, without removed items.

        Args:
            side: ``user`` or ``item``.
            start: The characters.
            limit: Largest number of ids.
        """
        shown = self._state.competes if side == "item" else None
        return self._state.entities.tokens[side].starting_with(start, limit, shown)

    def describe_items(self, items: Iterable[str]) -> pd.DataFrame:
        """Look up the display columns of items.

        Args:
            items: Their ids.

        Returns:
            Column ``item``, then the display columns of the model.

        Raises:
            UnknownEntityError: An item is unknown.
        """
        return self._state.describe(items)

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
            filter: Items that may be recommended: ids (unknown ones have no effect), or an
                expression over display columns, such as ``year > 1990 and 'Comedy' in class``.
            candidates: Ids of the items that compete; None for all.
            exclude_seen: Leave out the training items of each user.

        Returns:
            Columns ``user``, ``item``, ``rank`` (from 1) and ``score``, best first.

        Raises:
            UnknownEntityError: A user or candidate is unknown.
            DataError: The filter is no expression over display columns.
            ConfigError: ``k`` is no positive integer.
        """
        blocks = self.recommend_blocks(
            users, k, filter=filter, candidates=candidates, exclude_seen=exclude_seen
        )
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
        """Recommend items block by block; see :meth:`recommend`.

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
        check_k(k)
        index = self._state.entities.tokens["user"]
        numbers = np.arange(self.n_users) if users is None else index.known_numbers(users)
        search = self._state.search(filter, candidates)

        # Without users there is one block, empty but with all columns.
        for start in range(0, max(len(numbers), 1), block):
            part = numbers[start : start + block]
            seen = [self._state.seen(user) for user in part] if exclude_seen else None
            ranking = search.rank(self._state.users.take(part), k, seen)
            yield self._state.table(ranking, index.tokens(part), "user", "item")

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
            user: Fields of the user, as in the ``.user`` file; the others are missing.
            k: Number of items.
            filter: Items that may be recommended; see :meth:`recommend`.
            candidates: Ids of the items that compete; None for all.
            exclude_seen: Leave out the items of the history.

        Returns:
            Columns ``user``, ``item``, ``rank`` and ``score``; the user is ``new`` without an id.

        Raises:
            UnknownEntityError: An item is unknown.
            DataError: A field cannot be read, or the model cannot encode a new user.
            PortableModelError: The model has embeddings of known users alone.
        """
        index = self._state.entities.tokens["item"]
        clicked = index.tokens(index.known_numbers(history))
        fields = dict(user or {})
        if clicked:
            fields[INTERACTIONS] = clicked
        if not fields:
            raise DataError("found neither a history nor fields, one of which a new user needs")

        if user and INTERACTIONS in user:
            # Refuses unknown items, which a table of many users may have.
            self._state.frame_of(fields, "user")
        return self.recommend_new(
            [fields], k, filter=filter, candidates=candidates, exclude_seen=exclude_seen
        )

    def recommend_new(
        self,
        table: TableLike,
        k: int = 10,
        *,
        filter: ItemFilter = None,
        candidates: Iterable[str] | None = None,
        exclude_seen: bool = True,
    ) -> pd.DataFrame:
        """Recommend items to many new users; see :meth:`recommend_for`.

        Args:
            table: Users in the form of the ``.user`` file; the column ``interactions`` has ids of
                clicked items. Known users are encoded from these fields and their training history.
            k: Number of items for each.
            filter: Items that may be recommended; see :meth:`recommend`.
            candidates: Ids of the items that compete; None for all.
            exclude_seen: Leave out the clicked items, and the training items of known users.

        Returns:
            Columns ``user``, ``item``, ``rank`` and ``score``.

        Raises:
            DataError: A field cannot be read, or the model cannot encode new users.
            PortableModelError: The model has embeddings of known users alone.
        """
        check_k(k)
        frame = read_table(table, self.manifest.users, "user")
        self._state.entities.check_new("user", frame)
        vectors = self._state.entities.encode("user", frame).embeddings
        seen = self._state.seen_by(frame) if exclude_seen else None
        ranking = self._state.search(filter, candidates).rank(vectors, k, seen)
        return self._state.table(ranking, list(frame.tokens or [NEW] * frame.n), "user", "item")

    def audience(self, item: ItemLike, k: int = 100, *, exclude_seen: bool = True) -> pd.DataFrame:
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
        check_k(k)
        token, number, vector = self._state.item(item)
        scores = self._state.scores_of_users(vector)
        if exclude_seen and number >= 0:
            scores.values[0, torch.from_numpy(self._state.owners(number))] = -torch.inf
        return self._state.table(scores.best(k), [token], "item", "user")

    def similar_items(
        self,
        item: ItemLike,
        k: int = 10,
        *,
        modalities: Sequence[str] | None = None,
        filter: ItemFilter = None,
    ) -> pd.DataFrame:
        """Find the items most similar to an item, by the cosine of their embeddings.

        Args:
            item: Id of an item, or the fields of a new one.
            k: Number of items.
            modalities: Modalities to compare, with a model exported with ``--modalities``; None
                for all.
            filter: Items that may be found; see :meth:`recommend`.

        Returns:
            Columns ``item``, ``similar``, ``rank`` and ``score``, best first.

        Raises:
            UnknownEntityError: The item is unknown.
            DataError: A modality is unknown, or the item has none of them.
            PortableModelError: The model was exported without ``--modalities``.
        """
        check_k(k)
        search = self._state.search(filter)
        catalogue = search.catalogue
        if modalities is None:
            token, number, vector = self._state.item(item)
            scores = similarity(catalogue, vector)
        else:
            token, number, parts = self._state.item_parts(item)
            scores = self._state.parts["item"].similarity(parts, modalities, catalogue)

        if search.allowed is not None:
            scores = scores.without(~search.allowed)
        # An item is most similar to itself.
        if 0 <= number < catalogue.n:
            scores.values[0, number] = -torch.inf
        return self._state.table(scores.best(k), [token], "item", "similar")

    def explain(self, user: ItemLike, item: ItemLike) -> pd.DataFrame:
        """Divide a score among the modalities of user and item; the parts sum to the score.

        With mean aggregation the part of two modalities is the dot product of their embeddings,
        divided by the numbers of modalities of both sides. With max aggregation each dimension of
        an embedding counts for the modality that it is from.

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
        user_token, user_parts = self._state.user_parts(user)
        item_token, _, item_parts = self._state.item_parts(item)
        return self._state.explanation(user_token, item_token, user_parts, item_parts)

    def encode_items(
        self, table: TableLike, *, modalities: Sequence[str] | None = None
    ) -> pd.DataFrame:
        """Encode items from their fields; known ones keep their training interactions.

        Args:
            table: Items in the form of the ``.item`` file: a pandas or Arrow table, or dictionaries
                of fields. The column ``interactions`` has ids of users, for first interactions.
            modalities: Modalities to use; None for those of the evaluation.

        Returns:
            Columns ``item`` and ``embedding`` (float32 arrays ``[k]``).

        Raises:
            DataError: A column is unknown, or a cell holds no value of its field's type.
            PortableModelError: The model has embeddings of known items alone.
        """
        return self._state.encode("item", table, modalities)

    def encode_users(
        self, table: TableLike, *, modalities: Sequence[str] | None = None
    ) -> pd.DataFrame:
        """Encode users from their fields and interactions; see :meth:`encode_items`."""
        return self._state.encode("user", table, modalities)

    def add_items(self, table: TableLike) -> pd.DataFrame:
        """Add items, which compete from now on; known ones are replaced.

        Args:
            table: Items in the form of the ``.item`` file, with their ids.

        Returns:
            Columns ``item`` and ``status``: ``replaced``, or ``added``, also if one comes back.

        Raises:
            DataError: Ids are missing, a column is unknown, or a cell has no value of its type.
            PortableModelError: The model has embeddings of known items alone.
        """
        frame = read_table(table, self.manifest.items, "item")
        if frame.tokens is None:
            raise DataError(f"items: the column '{self.manifest.items.id_field}' is missing")
        return pd.DataFrame({"item": list(frame.tokens), "status": self._state.put(frame)})

    def remove_items(self, items: Iterable[str]) -> int:
        """Let items no longer compete; :meth:`add_items` brings one back.

        Args:
            items: Their ids; those that were removed earlier are left as they are.

        Returns:
            Number of items that competed until now.

        Raises:
            UnknownEntityError: An item is unknown.
        """
        return self._state.remove(items)
