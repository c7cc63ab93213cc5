"""Recommendations and explanations as if some modalities were missing."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import replace
from threading import Lock

import pandas as pd
import torch
from torch import Tensor

from recbole_sibrar.errors import DataError, PortableModelError, listed, refuse
from recbole_sibrar.names import Side
from recbole_sibrar.serving.catalogue import Catalogue
from recbole_sibrar.serving.explaining import Parts
from recbole_sibrar.serving.ranking import Vectors
from recbole_sibrar.serving.recommender import Recommender
from recbole_sibrar.serving.state import ItemFilter, ItemLike

__all__ = ["WhatIf"]

_REMEMBERED = 4
"""Number of sets of modalities whose catalogue is kept."""


class WhatIf:
    """A model with some modalities of users or items switched off.

    An embedding is made again from the modalities that are left; without any of them it is the mean
    embedding of training, as for an entity that has none.

    Args:
        recommender: The model, exported with ``--modalities``.

    Example:
        >>> from recbole_sibrar.serving.example import example_model
        >>> what_if = WhatIf(example_model())
        >>> without_year = what_if.recommend("ann", 2, item_modalities=["genre"])
        >>> list(without_year.columns)
        ['user', 'item', 'rank', 'score']
    """

    def __init__(self, recommender: Recommender) -> None:
        self._state = recommender._state
        self._bases: OrderedDict[tuple[str, ...], Vectors] = OrderedDict()
        self._lock = Lock()

    def recommend(
        self,
        user: ItemLike,
        k: int,
        *,
        filter: ItemFilter = None,
        candidates: Sequence[str] | None = None,
        exclude_seen: bool = True,
        user_modalities: Sequence[str] | None = None,
        item_modalities: Sequence[str] | None = None,
    ) -> pd.DataFrame:
        """Recommend items.

        Args:
            user: Id of a user, or the fields of a new one.
            k: Number of items.
            filter: Items that may be recommended.
            candidates: Ids of the items that compete; None for all.
            exclude_seen: Leave out the training items of the user.
            user_modalities: Modalities of the user to use; None for all.
            item_modalities: Modalities of the items to use; None for all.

        Raises:
            UnknownEntityError: The user is unknown.
            DataError: A modality is unknown, or the model encodes all modalities at once.
            PortableModelError: The model was exported without ``--modalities``.
        """
        token, parts = self._state.user_parts(user)
        vector = self._restricted(parts, "user", user_modalities).embedding[None]

        # The index holds the embeddings of all modalities.
        search = self._state.search(filter, candidates)
        if item_modalities is not None:
            catalogue = self._catalogue(search.catalogue, item_modalities)
            search = replace(search, catalogue=catalogue, index=None)

        # A new user has no history but the clicks among the fields.
        seen = None
        if exclude_seen and isinstance(user, str):
            seen = [self._state.seen(self._state.entities.tokens["user"].number(user))]
        elif exclude_seen:
            seen = self._state.seen_by(self._state.frame_of(user, "user"))  # type: ignore[arg-type]
        return self._state.table(search.rank(vector, k, seen), [token], "user", "item")

    def explain(
        self,
        user: ItemLike,
        item: ItemLike,
        user_modalities: Sequence[str] | None = None,
        item_modalities: Sequence[str] | None = None,
    ) -> pd.DataFrame:
        """Divide a score of :meth:`recommend` among modalities; see ``Recommender.explain``."""
        user_token, user_parts = self._state.user_parts(user)
        item_token, _, item_parts = self._state.item_parts(item)
        of_user = self._restricted(user_parts, "user", user_modalities)
        of_item = self._restricted(item_parts, "item", item_modalities)
        return self._state.explanation(user_token, item_token, of_user, of_item)

    def _restricted(self, parts: Parts, side: Side, modalities: Sequence[str] | None) -> Parts:
        """Leave out the modalities that are switched off."""
        if modalities is None:
            return parts

        self._check(side, modalities)
        alone = {name: vector for name, vector in parts.alone.items() if name in modalities}
        if not alone:
            return Parts(self._stand_in(side), {}, parts.aggregation)

        views = torch.stack(list(alone.values()))
        made = {"mean": views.mean(0), "sum": views.sum(0), "max": views.amax(0)}
        embedding = made[str(parts.aggregation)]
        return Parts(embedding, alone, parts.aggregation)

    def _check(self, side: Side, modalities: Sequence[str]) -> None:
        key = f"{side}_modalities"
        store = self._state.parts[side]
        known = store.spec.modalities
        for name in modalities:
            if name not in known:
                refuse(key, name, f"among {listed(known, name)}")
        if store.aggregation is None:
            raise DataError(
                f"{key}: {self._state.manifest.model} encodes all modalities of a {side} at once"
            )

    def _stand_in(self, side: Side) -> Tensor:
        vector = self._state.entities.content.weights.get(f"{side}_stand_in")
        if vector is None:
            raise PortableModelError(
                f"the model holds no mean embedding of the {side}s; export it again"
            )
        return vector.float()

    def _catalogue(self, catalogue: Catalogue, modalities: Sequence[str]) -> Catalogue:
        """Make the items again from some modalities."""
        self._check("item", modalities)
        store = self._state.parts["item"]
        # In the order of the model, so that one set of modalities is remembered once.
        chosen = tuple(name for name in store.spec.modalities if name in modalities)
        base = self._remembered_base(chosen, len(catalogue.base))

        vectors = catalogue.vectors.clone()
        for row, number in enumerate(catalogue.changed):
            parts = store.of(int(number), catalogue.vectors[row])
            vectors[row] = self._restricted(parts, "item", chosen).embedding
        return replace(catalogue, stored=base, vectors=vectors)

    def _remembered_base(self, modalities: tuple[str, ...], n: int) -> Vectors:
        """Make the items of the portable model from some modalities; remember the latest."""
        with self._lock:  # several threads ask at once, and another may remove an entry
            if modalities not in self._bases:
                self._bases[modalities] = Vectors(self._base(modalities, n))
            self._bases.move_to_end(modalities)
            if len(self._bases) > _REMEMBERED:
                self._bases.popitem(last=False)
            return self._bases[modalities]

    def _base(self, modalities: Sequence[str], n: int) -> Tensor:
        """Aggregate some modalities of the items of the portable model, ``[n, k]``."""
        store = self._state.parts["item"]
        if store.available is None:
            raise PortableModelError(
                "the model holds no embeddings of single modalities; export it with --modalities"
            )

        base = self._stand_in("item").repeat(n, 1)
        if not modalities:
            return base

        columns = [store.spec.modalities.index(name) for name in modalities]
        has = store.available[:, columns]  # [n, n_modalities]
        # One modality at a time: all of them at once would be [n, n_modalities, k].
        if store.aggregation == "max":
            made = torch.full_like(base, -torch.inf)
            for column, name in enumerate(modalities):
                held = torch.where(has[:, column, None], store.stored[name].float(), -torch.inf)
                made = torch.maximum(made, held)
        else:
            made = torch.zeros_like(base)
            for column, name in enumerate(modalities):
                made += store.stored[name].float() * has[:, column, None]
            if store.aggregation == "mean":
                made = made / has.sum(1, keepdim=True).clamp(min=1)
        return torch.where(has.any(1, keepdim=True), made, base)
