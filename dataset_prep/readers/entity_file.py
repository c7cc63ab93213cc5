"""Files with a line or a vector for each user or item, compared with the interactions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from recbole_sibrar.errors import DataError

from .id_differences import recognise

LOW_SHARE = 0.8
"""Below this share of users or items with a line, a warning is due."""

COMPARED = 200_000
"""Number of ids without a counterpart to search for a reason."""


@dataclass(frozen=True)
class Expected:
    """Users or items with an expected line in a file."""

    side: str
    """``user`` or ``item``."""
    ids: pd.Index
    """Ids with an interaction."""
    known: pd.Index
    """Ids of the data set: those with an interaction, and those of its tables."""
    other_side: pd.Index
    """Ids with an interaction on the other side, to recognise a file of the wrong side."""


class EntityFile:
    """A file with a line or a vector for each user or item.

    Its readers pass on the ids of its lines. It counts the users or items with a line, and refuses
    a file without any match. A file of several fields is compared once.

    Args:
        name: Name of the file, for messages.
        is_table: True for a table of the users or items, False for a file of vectors.
        read_ids: Reads the ids of the file, to find those without an interaction.
        other_columns: Reads other columns of the file by their names, to recognise a wrong column
            of ids.
        column_option: The option for the column of ids.
    """

    def __init__(
        self,
        name: str,
        is_table: bool,
        read_ids: Callable[[], pd.Index],
        other_columns: Mapping[str, Callable[[], Iterable[str]]] | None = None,
        column_option: str = "",
    ) -> None:
        self.name = name
        self.is_table = is_table
        self.read_ids = read_ids
        self.notes: list[str] = []
        self.warnings: list[str] = []
        self._other_columns = other_columns or {}
        self._column_option = column_option
        self._expected: Expected | None = None
        self._seen = np.zeros(0, dtype=bool)
        self._foreign: list[str] = []
        self._n_lines = 0
        self._matches_known = False

    def expect(self, expected: Expected) -> None:
        """Set the entities to compare the file with; without them nothing is compared."""
        self._expected = expected
        self._seen = np.zeros(len(expected.ids), dtype=bool)

    def add(self, ids: Sequence[str] | pd.Index | NDArray[Any]) -> None:
        """Take note of the ids of some lines of the file."""
        if self._expected is None:
            return

        names = pd.Index(ids, dtype=object)
        rows = self._expected.ids.get_indexer(names)
        self._n_lines += len(names)
        self._seen[rows[rows >= 0]] = True
        foreign = names[rows < 0]
        self._matches_known |= bool(self._expected.known.get_indexer(foreign).max(initial=-1) >= 0)

        # Enough of them to search for a reason; a large file of other ids would fill memory.
        self._foreign.extend(map(str, foreign[: COMPARED - len(self._foreign)]))

    def close(self) -> None:
        """Compare, after the last line.

        Raises:
            DataError: The file matches nobody.
        """
        # Several fields of one file close it: the first one compares, the others find nothing.
        expected = self._expected
        self._expected = None
        if expected is None:
            return
        if not self._n_lines:
            self.warnings.append(f"{self.name} has no line below its header.")
            return

        # Vectors of new items alone are right if a table lists these items.
        if not self._seen.any() and not self._matches_known:
            raise DataError(self._nobody(expected))
        self._compare(expected)

    def _nobody(self, expected: Expected) -> str:
        side = "a user" if expected.side == "user" else "an item"
        found = (
            f"{self.name}: none of its ids, such as {_some(self._foreign)}, is that of {side} of "
            f"the interactions, such as {_some(expected.ids)}"
        )
        return f"{found}{self._reason(expected, expected.ids)}"

    def _compare(self, expected: Expected) -> None:
        n = len(expected.ids)
        n_seen = int(self._seen.sum())
        if n_seen == n:
            return

        without = expected.ids[~self._seen]
        what = "line" if self.is_table else "vector"
        said = (
            f"{self.name} has a {what} for {n_seen:,} of the {n:,} {expected.side}s with "
            f"interactions ({n_seen / n:.1%}); without one are {_some(without)}"
        )
        found = recognise(list(without[:COMPARED]), self._foreign) if self._foreign else None
        if found is not None:
            count = f"{found.count:,} more would have one: " if found.count else ""
            said = (
                f"{said}; {count}{found.ours!r} of the interactions is {found.theirs!r} here, "
                f"{found.advice}"
            )
        elif n_seen / n < LOW_SHARE and self._foreign:
            said = (
                f"{said}; {_some(self._foreign)} of the file belong to no {expected.side} with an "
                "interaction"
            )

        # A difference of spelling is a mistake, however few ids it concerns.
        is_low = found is not None or n_seen / n < LOW_SHARE
        (self.warnings if is_low else self.notes).append(f"{said}.")

    def _reason(self, expected: Expected, ours: pd.Index) -> str:
        """Explain the lack of matching ids, as the end of a sentence."""
        found = recognise(list(ours[:COMPARED]), self._foreign)
        column, n_in_column = self._column_with(ours)
        if n_in_column and (found is None or n_in_column >= found.count):
            return (
                f"; those stand in its column '{column}': name it with {self._column_option} "
                f"{column}"
            )
        if found is not None:
            return f"; {found.ours!r} and {found.theirs!r}: {found.advice}"

        # The last reason: whole numbers that count both sides from 1 on are ids of both.
        if pd.Index(self._foreign, dtype=object).isin(expected.other_side).any():
            other = "item" if expected.side == "user" else "user"
            return f"; they are ids of {other}s: is this the file of the {other}s?"
        return "; both need the original ids of the data set"

    def _column_with(self, ours: pd.Index) -> tuple[str, int]:
        """Find the column with most of some ids, and their number."""
        best = ""
        most = 0
        for name, read in self._other_columns.items():
            n_found = int(ours.isin(list(read())).sum())
            if n_found > most:
                best = name
                most = n_found
        return best, most


def _some(ids: Sequence[str] | pd.Index) -> str:
    """Write two ids as examples."""
    return " and ".join(repr(str(name)) for name in ids[:2])
