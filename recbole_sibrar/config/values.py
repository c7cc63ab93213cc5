"""Reading single values of a configuration, and the one line that every wrong value gets."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from recbole_sibrar.config.text import has_brackets, read_brackets
from recbole_sibrar.errors import ConfigError as ConfigError
from recbole_sibrar.errors import nearest, refuse
from recbole_sibrar.names import INTERACTIONS
from recbole_sibrar.protocols import ConfigLike

BY_SPLIT = "by_split"
"""Value of ``user_modalities``: ``[interactions]`` where the evaluated users have some in training, else ``auto``."""


def is_given(config: ConfigLike, key: str) -> bool:
    """Tell keys that the user has given from defaults; where nothing is known of it, a key counts as given."""
    return key in getattr(config, "external_config_dict", {key})


def as_list(value: Any) -> Any:
    """A list written on the command line (``[a, b]``, which RecBole leaves a string) as a list."""
    if has_brackets(value):
        return read_brackets(value)
    return list(value) if isinstance(value, tuple) else value


def names_value(key: str, value: Any) -> tuple[str, ...]:
    """A list of modality names, each once."""
    value = as_list(value)
    if isinstance(value, str) and value:
        value = [name.strip() for name in value.split(",")]
    if not isinstance(value, list) or not value or not all(isinstance(name, str) and name for name in value):
        refuse(key, value, "a list of modality names such as [interactions, class]")
    twice = [name for name in value if value.count(name) > 1]
    if twice:
        refuse(key, value, f"each modality once, '{twice[0]}' occurs {value.count(twice[0])} times")
    return tuple(value)


def modalities_value(key: str, value: Any) -> tuple[str, ...] | None:
    """A list of modality names; None for ``auto``, and interactions for ``by_split`` where no split is known."""
    if value == BY_SPLIT:
        return (INTERACTIONS,)
    return None if value == "auto" else names_value(key, value)


def optional_names_value(key: str, value: Any) -> tuple[str, ...] | None:
    """A list of modality names; None where none is given."""
    return None if value in (None, "None", "auto") else names_value(key, value)


def optional_name_value(key: str, value: Any) -> str | None:
    """A name; None where none is given."""
    if value in (None, "None"):
        return None
    return value if isinstance(value, str) else refuse(key, value, "the name of a modality")


def size_value(key: str, value: Any) -> int:
    """A positive integer."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        refuse(key, value, "a positive integer")
    return value


def sizes_value(key: str, value: Any) -> tuple[int, ...]:
    """A list of positive integers, which may be empty."""
    value = as_list(value)
    if not isinstance(value, list):
        refuse(key, value, "a list of layer sizes such as [512, 256], or []")
    return tuple(size_value(key, size) for size in value)


def flag_value(key: str, value: Any) -> bool:
    """True or False."""
    return value if isinstance(value, bool) else refuse(key, value, "True or False")


def number_value(key: str, value: Any, allowed: str, holds: Callable[[float], bool]) -> float:
    """A number for which ``holds``; ``allowed`` says so in words."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not holds(value):
        refuse(key, value, allowed)
    return float(value)


def probability_value(key: str, value: Any) -> float:
    """A number from 0 to below 1."""
    return number_value(key, value, "a number from 0 to below 1", lambda number: 0 <= number < 1)


def positive_value(key: str, value: Any) -> float:
    """A finite number above 0."""
    return number_value(key, value, "a number above 0", lambda number: 0 < number < float("inf"))


def weight_value(key: str, value: Any) -> float:
    """A finite number of at least 0."""
    return number_value(key, value, "a number of at least 0", lambda number: 0 <= number < float("inf"))


def choice_value(*options: str) -> Callable[[str, Any], str]:
    """A reader of one of several words; None is ``none`` where that is one of them."""

    def parse(key: str, value: Any) -> str:
        value = "none" if value is None and "none" in options else value
        if value not in options:
            refuse(key, value, f"one of {', '.join(options)}{nearest(str(value), options)}")
        return value

    return parse


@dataclass(frozen=True)
class ByField:
    """A choice for every field, with exceptions.

    Example:
        >>> ByField("none", (("text", "l2"),)).of("text"), ByField("none").of("image")
        ('l2', 'none')
    """

    default: str
    """The choice for a field that is not named."""
    fields: tuple[tuple[str, str], ...] = ()
    """Names of fields, each with its choice."""

    def of(self, name: str) -> str:
        """Choice for the field ``name``."""
        return dict(self.fields).get(name, self.default)


def by_field_value(default: str, *options: str) -> Callable[[str, Any], ByField]:
    """A reader of one of several words for all fields, or of a mapping from fields to such words.

    Args:
        default: The word for fields that a mapping does not name.
        options: The words; ``none`` is one of them and stands for a key that is not set.
    """
    parse_word = choice_value(*options)

    def parse(key: str, value: Any) -> ByField:
        value = as_mapping(value)
        if not isinstance(value, dict):
            return ByField(parse_word(key, value))
        if not all(isinstance(name, str) and name for name in value):
            refuse(key, value, f"names of fields, each with one of {', '.join(options)}")
        words = tuple((name, parse_word(f"{key}: {name}", word)) for name, word in value.items())
        return ByField(default, words)

    return parse


def as_mapping(value: Any) -> Any:
    """A mapping written on the command line (``{a: b}``, which RecBole leaves a string) as a dictionary."""
    return read_brackets(value) if has_brackets(value) else value
