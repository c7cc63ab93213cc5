"""The model in service, with the items of the store; a reload replaces it as a whole."""

from __future__ import annotations

import time
from collections.abc import Callable
from logging import getLogger
from threading import Lock
from typing import Any

from recbole_sibrar.errors import ConfigError, DataError, PortableModelError, one_line
from recbole_sibrar.serving.api.settings import ServerSettings
from recbole_sibrar.serving.api.store import Change, ItemStore, StoreError
from recbole_sibrar.serving.look_ups import LookUps
from recbole_sibrar.serving.recommender import Recommender
from recbole_sibrar.serving.what_if import WhatIf

__all__ = ["ModelInService", "Service"]


class ModelInService:
    """A loaded model, with the changes of the store up to a number.

    Args:
        recommender: The model.
        store: Store of the items; None without one.
    """

    def __init__(self, recommender: Recommender, store: ItemStore | None) -> None:
        self.recommender = recommender
        self.look_ups = LookUps(recommender)
        self.what_if = WhatIf(recommender)
        self.unreadable: set[str] = set()
        self._store = store
        self._sequence = 0
        self._lock = Lock()
        self.catch_up()

    def catch_up(self) -> None:
        """Apply the changes that this or another worker has stored since the last time."""
        # Asked before each request, and without the lock: most find nothing new.
        if self._store is None or self._store.version().sequence == self._sequence:
            return

        with self._lock:
            changes, sequence = self._store.changes(self._sequence)
            put: list[Change] = []
            removed: list[str] = []
            for change in changes:
                if change.is_removed:
                    removed.append(change.token)
                else:
                    put.append(change)

            # An item has one change, its latest: the two do not meet.
            self._put(put)
            self._remove(removed)
            self._sequence = sequence

    def _put(self, changes: list[Change]) -> None:
        """Put items; those that this model cannot read stay in the store for one that can."""
        readable: dict[str, dict[str, Any]] = {}
        for change in changes:
            if change.fields is None:
                self.unreadable.add(change.token)
            else:
                self.unreadable.discard(change.token)
                readable[change.token] = change.fields
        if not readable:
            return

        # One encoding of all takes less time than one of each.
        try:
            self.recommender.add_items(list(readable.values()))
            return
        except Exception:  # of one of them, which the next loop finds
            pass

        for token, fields in readable.items():
            # Whatever the fault is, one stored item must not end every request and every start.
            try:
                self.recommender.add_items([fields])
            except Exception as error:
                getLogger(__name__).error("a stored item cannot be read: %s", type(error).__name__)
                self.unreadable.add(token)

    def _remove(self, tokens: list[str]) -> None:
        self.unreadable.difference_update(tokens)
        for token in tokens:
            try:
                self.recommender.remove_items([token])
            except DataError:
                continue  # a model of later data may not have it


class Service:
    """The model in service and its store.

    Args:
        settings: Settings of the server.

    Raises:
        PortableModelError: The model cannot be loaded.
        DataError: The store cannot be used.
    """

    def __init__(self, settings: ServerSettings) -> None:
        self.settings = settings
        # A server that only reads needs no file, unless items were put earlier.
        needs_store = settings.token_file is not None or settings.store.exists()
        self.store = ItemStore(settings.store) if needs_store else None
        self.on_reload: Callable[[str], object] = lambda result: None
        """Called with ``done`` or ``failed`` after each reload, whoever asked for it."""
        self._generation = self.store.version().generation if self.store else 0
        self._reloading = Lock()
        self._current = self._loaded(settings.verify)

    def _loaded(self, verify: bool) -> ModelInService:
        started = time.perf_counter()
        model = ModelInService(Recommender.load(self.settings.model, verify), self.store)
        held = model.recommender
        seconds = time.perf_counter() - started
        counts = f"{held.n_users} users, {held.n_items} items, {len(model.unreadable)} unreadable"
        getLogger(__name__).info("loaded in %.2f s: %s", seconds, counts)
        return model

    def current(self) -> ModelInService:
        """Return the model, with all items that any worker has acknowledged.

        Raises:
            StoreError: The store cannot be read.
        """
        model = self._current
        model.catch_up()
        return model

    def reload(self) -> ModelInService:
        """Load the model again, and put the new one into service.

        Raises:
            PortableModelError: The new model cannot be loaded. The earlier one stays in service.
        """
        # Requests in work keep the model they began with, and end with it.
        with self._reloading:
            try:
                model = self._loaded(verify=True)
            except BaseException:
                self.on_reload("failed")
                raise
            self._current = model
        self.on_reload("done")
        return model

    def reload_everywhere(self) -> ModelInService:
        """Load the model again in this worker, then ask the others to do so."""
        model = self.reload()
        if self.store is not None:
            generation = self.store.ask_for_reload()
            # Otherwise another worker has asked too, maybe for a later folder: that reload is
            # followed as well.
            if generation == self._generation + 1:
                self._generation = generation
        return model

    def follow(self) -> None:
        """Reload if another worker has asked for it."""
        if self.store is None:
            return

        generation = self.store.version().generation
        if generation == self._generation:
            return
        # Noted before: a reload that fails is not tried again and again.
        self._generation = generation
        self.try_reload()

    def try_reload(self) -> None:
        """Reload; write the reason of a failure to the log."""
        try:
            self.reload()
        except (PortableModelError, DataError, ConfigError, StoreError) as error:
            getLogger(__name__).error("not reloaded: %s", one_line(error))

    def close(self) -> None:
        """Close the store."""
        if self.store is not None:
            self.store.close()
