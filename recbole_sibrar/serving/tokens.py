"""Look-up of tokens: the ids of users and items as the data files have them."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from heapq import nsmallest
from itertools import compress
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from recbole_sibrar.errors import DataError, UnknownEntityError, nearest
from recbole_sibrar.names import Side

__all__ = ["TokenIndex", "alphabetical_order", "has_twice"]

_MANY = 64
"""Number of tokens from which on a hash table is made for a look-up."""

Shown = Callable[[NDArray[np.int64]], NDArray[np.bool_]]
"""Function that marks numbers, ``[n]`` -> bool ``[n]``."""

_NEIGHBOURS = 200
"""Tokens before and after a place in alphabetical order that can be its nearest."""


class TokenIndex:
    """Tokens in the order of their numbers, and the number of each.

    The tokens stay in one Arrow array with their alphabetical order beside it: a million of them
    take a tenth of the memory of a dictionary.

    Args:
        side: Whose tokens they are, for messages.
        tokens: Arrow array of distinct texts.
        order: Their alphabetical order, from :func:`alphabetical_order`; None to compute it at the
            first look-up.

    Example:
        >>> index = TokenIndex("item", pa.array(["i7", "i2"]))
        >>> index.number("i2"), index.numbers(["i2", "i9"]).tolist(), index.tokens([1, 0])
        (1, [1, -1], ['i2', 'i7'])
    """

    def __init__(
        self, side: Side, tokens: pa.Array, order: NDArray[np.int32] | None = None
    ) -> None:
        self.side = side
        self.array = tokens
        self._given_order = order
        self._added: dict[str, int] = {}
        self._added_tokens: list[str] = []

    def __len__(self) -> int:
        return len(self.array) + len(self._added_tokens)

    @cached_property
    def _order(self) -> NDArray[np.int32]:
        """Positions of the tokens in alphabetical order."""
        if self._given_order is not None:
            return self._given_order
        return alphabetical_order(self.array)

    def add(self, token: str) -> int:
        """Give a new token the next number."""
        number = len(self)
        self._added[token] = number
        self._added_tokens.append(token)
        return number

    def find(self, token: str) -> int:
        """Return the number of a token; -1 for an unknown one."""
        if token in self._added:
            return self._added[token]

        place = self._place(token)
        if place < len(self.array):
            number = int(self._order[place])
            if self.array[number].as_py() == token:
                return number
        return -1

    def number(self, token: str) -> int:
        """Return the number of a token.

        Raises:
            UnknownEntityError: There is no such token; the message names the nearest.
        """
        found = self.find(str(token))
        if found < 0:
            raise UnknownEntityError(self.side, str(token), self.near(str(token)))
        return found

    def numbers(self, tokens: Sequence[str] | pa.Array) -> NDArray[np.int64]:
        """Return the number of each token, ``[n]``; -1 for unknown ones."""
        if len(tokens) < _MANY:
            listed = tokens.to_pylist() if isinstance(tokens, pa.Array) else tokens
            return np.array([self.find(str(token)) for token in listed], dtype=np.int64)

        # Arrow makes a hash table of all tokens for each call, which pays off for many only.
        texts: pa.Array = tokens
        if not isinstance(tokens, pa.Array):
            texts = pa.array(list(map(str, tokens)), self.array.type)
        rows = pc.index_in(texts, value_set=self.array).fill_null(-1)
        found: NDArray[np.int64] = rows.to_numpy(zero_copy_only=False).astype(np.int64)
        if self._added:
            for row in np.flatnonzero(found < 0):
                found[row] = self._added.get(texts[int(row)].as_py(), -1)
        return found

    def known_numbers(self, tokens: Iterable[str]) -> NDArray[np.int64]:
        """Return the number of each token, ``[n]``.

        Raises:
            UnknownEntityError: A token is unknown.
        """
        listed = _texts(tokens)
        found = self.numbers(listed)
        if len(found) and found.min() < 0:
            self.number(listed[int(found.argmin())])
        return found

    def tokens(self, numbers: Sequence[int] | NDArray[np.integer[Any]]) -> list[str]:
        """Return the tokens of some numbers."""
        taken = np.asarray(numbers, dtype=np.int64)
        n = len(self.array)
        if not self._added_tokens or not len(taken) or taken.max() < n:
            listed: list[str] = self.array.take(pa.array(taken)).to_pylist()
            return listed

        tokens: list[str] = []
        for number in taken:
            is_added = number >= n
            tokens.append(
                self._added_tokens[number - n] if is_added else self.array[number].as_py()
            )
        return tokens

    def near(self, token: str) -> str:
        """Return ``; did you mean 'x'?`` for the nearest token; nothing if none is near."""
        # Comparing a mistyped token with all others would take long; its neighbours in alphabetical
        # order begin alike.
        place = self._place(token)
        around = self._order[max(place - _NEIGHBOURS, 0) : place + _NEIGHBOURS]
        stored = self.array.take(pa.array(around)).to_pylist()
        return nearest(token, [*stored, *self._added_tokens[-_NEIGHBOURS:]])

    def starting_with(self, start: str, limit: int, shown: Shown | None = None) -> list[str]:
        """List the first tokens, in alphabetical order, that start with some characters.

        Args:
            start: The characters.
            limit: Largest number of tokens.
            shown: Function that marks the numbers to list; None for all.
        """
        order = self._order
        place = self._place(start)
        found: list[str] = []
        while place < len(order) and len(found) < limit:
            block = order[place : place + limit].astype(np.int64)
            place += limit
            tokens = self.tokens(block)
            kept = shown(block) if shown else np.ones(len(block), dtype=bool)
            found += [token for token in compress(tokens, kept) if token.startswith(start)]
            # Tokens with the same start are neighbours: behind the last of them there are no more.
            if not tokens[-1].startswith(start):
                break

        # Added tokens are not in the order. A copy of their list: another thread may add one.
        added = [token for token in list(self._added_tokens) if token.startswith(start)]
        if shown and added:
            numbers = np.array([self._added[token] for token in added])
            added = list(compress(added, shown(numbers)))
        return nsmallest(limit, [*found, *added])

    def _place(self, token: str) -> int:
        """Position in alphabetical order of the first token that is not before a text."""

        def text_of(number: np.int32) -> str:
            text: str = self.array[int(number)].as_py()
            return text

        # Arrow sorts by the bytes of UTF-8, which is the order of code points, as Python's.
        return bisect_left(self._order, token, key=text_of)


def alphabetical_order(tokens: pa.Array) -> NDArray[np.int32]:
    """Sort texts; the position of each in alphabetical order, int32 ``[n]``."""
    order: NDArray[np.int32] = pc.array_sort_indices(tokens).to_numpy().astype(np.int32)
    return order


def has_twice(tokens: pa.Array, order: NDArray[np.int32]) -> bool:
    """Tell if a text occurs twice; in alphabetical order equal ones are neighbours.

    Example:
        >>> tokens = pa.array(["b", "a", "b"])
        >>> has_twice(tokens, alphabetical_order(tokens))
        True
    """
    ordered = tokens.take(pa.array(order))
    is_repeated = pc.equal(ordered[1:], ordered[:-1])
    # Without min_count the answer for a single token would be null.
    return bool(pc.any(is_repeated, min_count=0).as_py())


def _texts(tokens: Iterable[str]) -> list[str]:
    # A text is itself a sequence, of its characters, each of which would be unknown.
    if isinstance(tokens, str):
        raise DataError(
            f"found the text {tokens!r}, allowed is a list of tokens, such as [{tokens!r}]"
        )
    return [str(token) for token in tokens]
