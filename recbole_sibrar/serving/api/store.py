"""Items that were put and removed, in an SQLite file that workers share and that stays."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any

from recbole_sibrar.errors import DataError, one_line

__all__ = ["Change", "ItemStore", "StoreError", "StoreVersion"]

_VERSION = 1
"""Version of the tables, in ``user_version`` of the file."""

_TABLES = """
CREATE TABLE IF NOT EXISTS items (token TEXT PRIMARY KEY, fields TEXT, sequence INTEGER NOT NULL) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS by_sequence ON items (sequence);
CREATE TABLE IF NOT EXISTS counters (sequence INTEGER NOT NULL, generation INTEGER NOT NULL);
INSERT INTO counters SELECT 0, 0 WHERE NOT EXISTS (SELECT * FROM counters);
"""


class StoreError(RuntimeError):
    """The store cannot be read or written at this moment."""


@dataclass(frozen=True)
class StoreVersion:
    """State of the store, as two numbers that only grow."""

    sequence: int
    """Number of the latest change."""
    generation: int
    """Number of reloads that were asked for."""


@dataclass(frozen=True)
class Change:
    """Latest change of an item."""

    token: str
    """Id of the item."""
    fields: dict[str, Any] | None
    """Its fields; None if it was removed, or if the store holds no readable fields."""
    is_removed: bool
    """True if it was removed."""


class ItemStore:
    """SQLite file with the latest change of each item.

    Args:
        path: The file. It is made if it is missing.

    Raises:
        DataError: The file cannot be opened, or is no store.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = Lock()
        try:
            # The lock lets one thread at a time use the connection. No isolation level: Python
            # would begin and end transactions by itself, beside ours.
            self._connection = sqlite3.connect(
                path, timeout=30, isolation_level=None, check_same_thread=False
            )
            self._prepare()
        except sqlite3.Error as error:
            raise DataError(f"--store: cannot use {path}: {one_line(error)}") from None

    def _prepare(self) -> None:
        connection = self._connection
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        if version > _VERSION:
            raise DataError(
                f"--store: {self.path} has version {version}, allowed are versions up to {_VERSION}"
            )
        # With a write-ahead log readers and a writer do not wait for each other.
        connection.execute("PRAGMA journal_mode = WAL")
        # An acknowledged item survives a power failure.
        connection.execute("PRAGMA synchronous = FULL")
        # In one transaction: two workers start at the same time.
        connection.executescript(
            f"BEGIN IMMEDIATE; {_TABLES} PRAGMA user_version = {_VERSION}; COMMIT;"
        )
        # Another program's table of that name would fail later, at the first request.
        connection.execute("SELECT token, fields, sequence FROM items LIMIT 1").fetchone()

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._connection.close()

    def version(self) -> StoreVersion:
        """Read the number of the latest change and of the latest reload."""
        rows = self._read("SELECT sequence, generation FROM counters")
        return StoreVersion(*rows[0])

    def _read(self, query: str, parameters: tuple[int, ...] = ()) -> list[Any]:
        """Read the rows of a query.

        Raises:
            StoreError: They cannot be read.
        """
        with self._lock:
            try:
                return self._connection.execute(query, parameters).fetchall()
            except sqlite3.Error as error:
                reason = one_line(error)
                raise StoreError(f"the store of the items cannot be read: {reason}") from None

    def put(self, items: Mapping[str, Mapping[str, Any]]) -> None:
        """Store items; they are on the disk when this returns.

        Args:
            items: Token -> fields.

        Raises:
            StoreError: They cannot be written; none of them is stored.
        """
        self._change([(token, json.dumps(fields)) for token, fields in items.items()])

    def remove(self, tokens: Iterable[str]) -> None:
        """Store the removal of items."""
        # Their rows stay, without fields, so that other workers learn of the removal.
        self._change([(token, None) for token in tokens])

    def _change(self, rows: list[tuple[str, str | None]]) -> None:
        statement = (
            "INSERT INTO items VALUES (?, ?, ?) ON CONFLICT (token) DO UPDATE "
            "SET fields = excluded.fields, sequence = excluded.sequence"
        )
        with self._lock, self._writing() as connection:
            (start,) = connection.execute("SELECT sequence FROM counters").fetchone()
            numbered = [(*row, number) for number, row in enumerate(rows, start=start + 1)]
            connection.executemany(statement, numbered)
            connection.execute("UPDATE counters SET sequence = ?", (start + len(rows),))

    def ask_for_reload(self) -> int:
        """Ask all workers to load the model again; return the number of that reload."""
        with self._lock, self._writing() as connection:
            connection.execute("UPDATE counters SET generation = generation + 1")
            (generation,) = connection.execute("SELECT generation FROM counters").fetchone()
        return int(generation)

    def _writing(self) -> _Transaction:
        return _Transaction(self._connection)

    def changes(self, after: int) -> tuple[list[Change], int]:
        """Read the changes after a number.

        Args:
            after: Number of the latest change that is known.

        Returns:
            Latest change of each changed item, and the number of the latest of all.
        """
        query = "SELECT token, fields, sequence FROM items WHERE sequence > ? ORDER BY sequence"
        changes: list[Change] = []
        latest = after
        for token, text, number in self._read(query, (after,)):
            changes.append(Change(str(token), _fields(text), text is None))
            latest = int(number)
        return changes, latest


class _Transaction:
    """Transaction that begins with the lock for writing."""

    # A transaction that begins with reading cannot wait for the lock: SQLite ends it at once if
    # another worker has written in between.

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def __enter__(self) -> sqlite3.Connection:
        try:
            self._connection.execute("BEGIN IMMEDIATE")
        except sqlite3.Error as error:
            raise StoreError(
                f"the store of the items cannot be written: {one_line(error)}"
            ) from None
        return self._connection

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: object
    ) -> None:
        if error is None:
            try:
                self._connection.execute("COMMIT")
                return
            except sqlite3.Error as failure:
                error = failure
        with suppress(sqlite3.Error):
            self._connection.execute("ROLLBACK")
        if isinstance(error, sqlite3.Error):
            raise StoreError(
                f"the store of the items cannot be written: {one_line(error)}"
            ) from None


def _fields(text: str | None) -> dict[str, Any] | None:
    """Read stored fields; None if they are damaged."""
    if text is None:
        return None
    try:
        fields = json.loads(text)
    except (ValueError, RecursionError, TypeError):
        return None
    return fields if isinstance(fields, dict) else None
