"""Parts of messages for the user."""

from __future__ import annotations

from collections.abc import Sequence


def one_line(error: BaseException | str, longest: int | None = None) -> str:
    r"""Write the message of an error in one line; the name of its class if it has none.

    Args:
        error: The error, or its message.
        longest: Number of characters to keep; None for all of them.

    Example:
        >>> one_line("no column\n  'price'")
        "no column 'price'"
    """
    return " ".join(str(error).split())[:longest] or type(error).__name__


def some(names: Sequence[str], shown: int = 3) -> str:
    """Write the number of names, and the first of them.

    Example:
        >>> some(["a", "b", "c", "d", "e"])
        '5 (a, b, c, ...)'
    """
    more = ", ..." if len(names) > shown else ""
    return f"{len(names)} ({', '.join(names[:shown])}{more})"
