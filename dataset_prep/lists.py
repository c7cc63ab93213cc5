"""Lists of names: written in one text, numbered, or with a name twice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable


def parts_of(text: str, separator: str = ",") -> list[str]:
    """Divide a text into its parts, without the spaces around them.

    Example:
        >>> parts_of("title, description,")
        ['title', 'description', '']
    """
    return [part.strip() for part in text.split(separator)]


def filled_parts(text: str, separator: str = ",") -> list[str]:
    """Divide a text like :func:`parts_of`, and leave out empty parts.

    Example:
        >>> filled_parts("rock| |pop", "|")
        ['rock', 'pop']
    """
    return [part for part in parts_of(text, separator) if part]


def numbered(n: int, start: int = 0) -> list[str]:
    """Write ``n`` numbers as names.

    Example:
        >>> numbered(3, start=1)
        ['1', '2', '3']
    """
    return [str(number) for number in range(start, start + n)]


def first_repeated(names: Iterable[str]) -> str | None:
    """Find the first name with a second place in a list; None if all are different.

    Example:
        >>> first_repeated(["id", "title", "year", "year", "title"])
        'title'
    """
    # A Counter keeps the order of the first places.
    for name, count in Counter(names).items():
        if count > 1:
            return name
    return None
