"""The option ``--columns``: types of columns, patterns, and fields made of several columns."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from recbole_sibrar.errors import DataError, nearest
from recbole_sibrar.names import FIELD_TYPES, SIDES

from ...lists import parts_of

SKIP = "skip"
"""Type of a column to leave out."""

_SHAPE = (
    "user:COLUMN=TYPE or item:COLUMN=TYPE, or a pattern and a name, as in "
    "'item:img_*=float_seq image'"
)
_NUMBER = re.compile(r"\d+")


@dataclass(frozen=True)
class Choice:
    """One value of ``--columns``."""

    text: str
    """The value, for messages."""
    pattern: str
    """A column, a pattern with ``*``, ``?`` or ``[...]``, or several, separated by commas."""
    type: str
    """Type of the field, or :data:`SKIP`."""
    name: str
    """Name of the field; empty for the name of the column."""


@dataclass(frozen=True)
class Group:
    """Columns of a choice."""

    choice: Choice
    """The choice."""
    columns: tuple[str, ...]
    """The columns, in the order of the field."""

    @property
    def is_one_field(self) -> bool:
        """True if several columns become one field."""
        return bool(self.choice.name) and len(self.columns) > 1


def parse_choices(texts: Sequence[str]) -> dict[str, list[Choice]]:
    """Read the values of ``--columns``.

    Returns:
        ``user`` and ``item`` -> choices, in their order.

    Raises:
        DataError: A value is not as it should be.
    """
    choices: dict[str, list[Choice]] = {side: [] for side in SIDES}
    allowed = (*FIELD_TYPES, SKIP)
    for text in texts:
        # The last sign divides: the name of a column can have one.
        left, equals, right = text.rpartition("=")
        side, colon, pattern = left.partition(":")
        if not equals or not colon or not pattern or side not in choices:
            raise DataError(f"--columns: found '{text}', allowed is {_SHAPE}")

        kind, _, name = right.strip().partition(" ")
        if kind not in allowed:
            raise DataError(
                f"--columns: found '{text}', allowed types are "
                f"{', '.join(allowed)}{nearest(kind, allowed)}"
            )
        choices[side].append(Choice(text, pattern, kind, "_".join(name.split())))
    return choices


def resolve(choices: Sequence[Choice], names: Sequence[str], source: str) -> list[Group]:
    """Find the columns of each choice.

    Args:
        choices: The choices of one side.
        names: The columns of the table, without the column of ids.
        source: The table, for messages.

    Returns:
        A group for each choice. A column with a choice of its own belongs to no pattern.

    Raises:
        DataError: A choice matches no column, two match one, or several columns cannot become such
            a field.
    """
    # Names go before patterns: a name can have the signs of a pattern, as img[0] has.
    exact = {choice.pattern for choice in choices if choice.pattern in names}
    owners: dict[str, Choice] = {}
    groups = []

    for choice in choices:
        columns = [choice.pattern]
        if choice.pattern not in exact:
            columns = _matching(choice.pattern, names, exact)
        if not columns:
            raise DataError(
                f"--columns: found '{choice.pattern}', allowed are the columns of {source}: "
                f"{', '.join(names)}{nearest(choice.pattern, names)}"
            )
        for column in columns:
            if column in owners:
                raise DataError(
                    f"--columns: '{owners[column].text}' and '{choice.text}' both match the "
                    f"column '{column}'"
                )
            owners[column] = choice

        group = Group(choice, tuple(in_order(columns)))
        _check(group)
        groups.append(group)

    return groups


def in_order(names: Sequence[str]) -> list[str]:
    """Sort names by the numbers in them, ``img_2`` before ``img_10``."""
    # Names that differ in more than numbers stay as they stand.
    if len({_NUMBER.sub("0", name) for name in names}) > 1:
        return list(names)
    return sorted(names, key=lambda name: [int(number) for number in _NUMBER.findall(name)])


def _matching(pattern: str, names: Sequence[str], exact: set[str]) -> list[str]:
    """Find the columns that match a pattern, or one of several names and patterns."""
    patterns = parts_of(pattern)
    found = []
    for name in names:
        is_free = name not in exact
        is_matched = is_free and any(fnmatchcase(name, part) for part in patterns)
        if name in patterns or is_matched:
            found.append(name)
    return found


def _check(group: Group) -> None:
    choice = group.choice
    if len(group.columns) > 1 and choice.type == "float_seq" and not choice.name:
        raise DataError(
            f"--columns: '{choice.text}' matches {len(group.columns)} columns; name the field "
            f"that they become, as in '{choice.text} {stem(choice.pattern)}'"
        )
    if group.is_one_field and choice.type not in ("float_seq", "token_seq"):
        raise DataError(
            f"--columns: '{choice.text}' makes one field of {len(group.columns)} columns, allowed "
            "are the types float_seq and token_seq"
        )


def stem(pattern: str) -> str:
    """Name the field of several columns: the text before the first number or pattern.

    Example:
        >>> stem("img_*"), stem("*")
        ('img', 'vector')
    """
    head = re.split(r"[*?\[\d,]", pattern, maxsplit=1)[0]
    return head.strip("_-. :") or "vector"
