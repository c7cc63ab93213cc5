"""Values written as text on a command line."""

from __future__ import annotations

from typing import Any, TypeGuard

import yaml

_PLAIN = (str, int, float, bool, type(None))

INTERVALS = (
    "user_inter_num_interval",
    "item_inter_num_interval",
    "entity_kg_num_interval",
    "relation_kg_num_interval",
)
"""Keys of intervals such as ``[5,inf)``: they begin with a bracket and are no lists."""


def has_brackets(value: object) -> TypeGuard[str]:
    """Tell a list or dictionary written as text, such as ``[a, b]`` or ``{a: 1}``."""
    return isinstance(value, str) and value.strip()[:1] in ("[", "{")


def is_plain(value: object) -> bool:
    """Tell values made of texts, numbers, flags, lists and dictionaries from all others."""
    # RecBole's eval() may have made functions and types of names such as id and max
    if isinstance(value, (list, tuple)):
        return all(map(is_plain, value))
    if isinstance(value, dict):
        return all(map(is_plain, value)) and all(map(is_plain, value.values()))
    return isinstance(value, _PLAIN)


def read_brackets(text: str, loader: Any = yaml.SafeLoader) -> Any:
    """Read a list or dictionary with or without inner quotes and spaces, as a shell may leave it.

    Args:
        text: The list or dictionary as yaml, with or without a space after the colon of a key.
        loader: Loader of yaml, with its rules for numbers.

    Returns:
        The list or dictionary; ``text`` itself where it is neither.

    Example:
        >>> read_brackets("{inter:[user_id,item_id]}"), read_brackets("{rating:3}")
        ({'inter': ['user_id', 'item_id']}, {'rating': 3})
        >>> read_brackets("[MRR@10")
        '[MRR@10'
    """
    # a ValueError: yaml takes 2020-13-40 for a date
    try:
        value = yaml.load(_with_spaces(text), Loader=loader)
    except (yaml.YAMLError, ValueError, TypeError):
        return text

    return value if isinstance(value, (list, dict)) else text


def _with_spaces(text: str) -> str:
    """Put a space after the colon of a key: yaml takes ``order:RO`` for one text."""
    spaced: list[str] = []
    open_brackets: list[str] = []
    quote = ""
    # only the first colon after "{" or "," of a dictionary ends a key
    in_key = False

    for character in text:
        spaced.append(character)
        if quote:
            quote = "" if character == quote else quote
        elif character in "'\"":
            quote = character
        elif character in "[{":
            open_brackets.append(character)
            in_key = character == "{"
        elif character in "]}":
            del open_brackets[-1:]
            in_key = False
        elif character == ",":
            # the next element of a list, or the next key of a dictionary
            in_key = open_brackets[-1:] == ["{"]
        elif character == ":" and in_key:
            spaced.append(" ")
            in_key = False
    return "".join(spaced)
