"""Readers of single values: each returns the value in its type, or refuses it in one line."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from recbole_sibrar.config.text import has_brackets, read_brackets
from recbole_sibrar.errors import ConfigError, nearest, refuse
from recbole_sibrar.names import INTERACTIONS
from recbole_sibrar.protocols import ConfigLike

__all__ = [
    "ACTIVATIONS",
    "BY_SPLIT",
    "ByField",
    "ConfigError",
    "ConfigLike",
    "WeightByField",
    "as_list",
    "as_mapping",
    "batch_norm_value",
    "by_field_value",
    "choice_value",
    "flag_value",
    "interval_value",
    "is_given",
    "is_number",
    "modalities_value",
    "names_value",
    "nearest",
    "number_or_default",
    "number_value",
    "optional",
    "optional_name_value",
    "optional_names_value",
    "path_value",
    "positive_value",
    "probability_value",
    "rate_by_field_value",
    "refuse",
    "share_value",
    "size_value",
    "sizes_value",
    "unless_empty",
    "up_to_one_value",
    "weight_by_field_value",
    "weight_value",
    "word_or_default",
]

Value = TypeVar("Value")

ACTIVATIONS = ("relu", "leakyrelu", "selu", "tanh", "sigmoid", "none")
"""Activations by RecBole's names."""

BY_SPLIT = "by_split"
"""Value of ``user_modalities``: ``[interactions]`` if the evaluated users have some in training,
else ``auto``."""


def is_given(config: ConfigLike, key: str) -> bool:
    """Tell the user's keys from defaults; without any record of it, a key counts as given."""
    return key in getattr(config, "external_config_dict", {key})


def as_list(value: object) -> Any:
    """Convert a tuple, or a list written as text; return other values as they are."""
    # RecBole leaves lists of the command line a text: [a, b]
    if has_brackets(value):
        return read_brackets(value)
    return list(value) if isinstance(value, tuple) else value


def names_value(key: str, value: object) -> tuple[str, ...]:
    """Read a list of modality names, each once."""
    value = as_list(value)
    if isinstance(value, str) and value:
        value = [name.strip() for name in value.split(",")]

    if not isinstance(value, list) or not value or not _are_names(value):
        refuse(key, value, "a list of modality names such as [interactions, class]")

    for name in value:
        n_times = value.count(name)
        if n_times > 1:
            refuse(key, value, f"each modality once, '{name}' occurs {n_times} times")
    return tuple(value)


def _are_names(values: Iterable[object]) -> bool:
    """Tell texts of at least one character."""
    return all(isinstance(value, str) and value for value in values)


def modalities_value(key: str, value: object) -> tuple[str, ...] | None:
    """Read a list of modality names; None for ``auto``."""
    # settle_modalities has replaced the word, unless there is no split
    if value == BY_SPLIT:
        return (INTERACTIONS,)
    return None if value == "auto" else names_value(key, value)


def optional_names_value(key: str, value: object) -> tuple[str, ...] | None:
    """Read an optional list of modality names."""
    return None if value in (None, "None", "auto") else names_value(key, value)


def optional_name_value(key: str, value: object) -> str | None:
    """Read an optional name."""
    # "None" on the command line stays a text
    if value in (None, "None"):
        return None
    return value if isinstance(value, str) else refuse(key, value, "the name of a modality")


def size_value(key: str, value: object) -> int:
    """Read a positive integer."""
    # bool is a subclass of int, here and below
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        refuse(key, value, "a positive integer")
    return value


def sizes_value(key: str, value: object) -> tuple[int, ...]:
    """Read a list of positive integers; it may be empty."""
    value = as_list(value)
    if not isinstance(value, list):
        refuse(key, value, "a list of layer sizes such as [512, 256], or []")
    return tuple(size_value(key, size) for size in value)


def flag_value(key: str, value: object) -> bool:
    """Read True or False."""
    return value if isinstance(value, bool) else refuse(key, value, "True or False")


def number_value(key: str, value: object, allowed: str, holds: Callable[[float], bool]) -> float:
    """Read a number for which ``holds``; ``allowed`` describes it in words."""
    # the comparisons of "holds" are all false for NaN
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not holds(value):
        refuse(key, value, allowed)
    return float(value)


def probability_value(key: str, value: object) -> float:
    """Read a number from 0 to below 1."""
    return number_value(key, value, "a number from 0 to below 1", lambda number: 0 <= number < 1)


def positive_value(key: str, value: object) -> float:
    """Read a finite number above 0."""
    return number_value(key, value, "a number above 0", lambda number: 0 < number < math.inf)


def weight_value(key: str, value: object) -> float:
    """Read a finite number of at least 0."""
    return number_value(key, value, "a number of at least 0", lambda number: 0 <= number < math.inf)


def up_to_one_value(key: str, value: object) -> float:
    """Read a number from 0 to 1."""
    return number_value(key, value, "a number from 0 to 1", lambda number: 0 <= number <= 1)


def share_value(key: str, value: object) -> float:
    """Read a number above 0 and below 1."""
    share = probability_value(key, value)
    return share if share > 0 else refuse(key, share, "a number above 0 and below 1")


def is_number(value: object) -> bool:
    """Tell numbers from other values, True and False among them."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def interval_value(key: str, value: object) -> int | None:
    """Read a number of epochs; None or 0 for never."""
    return None if value is None or value == 0 else size_value(key, value)


def batch_norm_value(key: str, value: object) -> str | int:
    """Read ``none``, ``last``, ``hidden`` (all layers but the last), or n for every n-th layer."""
    if value is None:
        return "none"
    if value in ("none", "last", "hidden"):
        return str(value)
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        refuse(key, value, "none, last, hidden, or a positive integer n for after every n-th layer")
    return value


def word_or_default(*options: str) -> Callable[[str, Any], str]:
    """Make a reader of one of several words; the first stands for a key that is not set."""
    read = choice_value(*options)
    return lambda key, value: read(key, options[0] if value is None else value)


def number_or_default(
    default: float, read: Callable[[str, Any], Value]
) -> Callable[[str, Any], Value]:
    """Make a reader with a number for a key that is not set."""
    return lambda key, value: read(key, default if value is None else value)


def choice_value(*options: str) -> Callable[[str, Any], str]:
    """Make a reader of one of several words; None is ``none`` where that is one of them."""

    def read(key: str, value: object) -> str:
        # yaml reads ~ and an empty value as None
        value = "none" if value is None and "none" in options else value
        if value not in options:
            hint = nearest(str(value), options)
            refuse(key, value, f"one of {', '.join(options)}{hint}")
        return str(value)

    return read


def optional(read: Callable[[str, Any], Value]) -> Callable[[str, Any], Value | None]:
    """Make a reader that leaves None as it is."""
    return lambda key, value: None if value is None else read(key, value)


def unless_empty(read: Callable[[str, Any], Value]) -> Callable[[str, Any], Value | None]:
    """Make a reader that takes None, 0, and empty texts and lists for None."""
    return lambda key, value: read(key, value) if value else None


def path_value(*suffixes: str) -> Callable[[str, Any], Path | None]:
    """Make a reader of the optional path of a file with a suffix; without suffixes of a folder."""
    kinds = f"a file that ends in {', '.join(suffixes)}" if suffixes else "a folder"

    def read(key: str, value: object) -> Path | None:
        if value is None:
            return None
        if not isinstance(value, str) or not value:
            refuse(key, value, f"the path of {kinds}")
        if suffixes and Path(value).suffix not in suffixes:
            refuse(key, value, f"the path of {kinds}")
        return Path(value)

    return read


@dataclass(frozen=True)
class ByField:
    """Choice for every field, with exceptions.

    Example:
        >>> ByField("none", (("text", "l2"),)).of("text"), ByField("none").of("image")
        ('l2', 'none')
    """

    default: str
    """Choice for all other fields."""
    fields: tuple[tuple[str, str], ...] = ()
    """Names of fields, each with a choice of its own."""

    def of(self, name: str) -> str:
        """Return the choice for the field ``name``."""
        return dict(self.fields).get(name, self.default)


def by_field_value(default: str, *options: str) -> Callable[[str, Any], ByField]:
    """Make a reader of a word for all fields, or of a mapping from fields to words.

    Args:
        default: Word for fields without one in the mapping.
        options: The words; ``none`` is one of them and stands for a key that is not set.
    """
    read_word = choice_value(*options)

    def read(key: str, value: object) -> ByField:
        value = as_mapping(value)
        if not isinstance(value, dict):
            return ByField(read_word(key, value))

        if not _are_names(value):
            refuse(key, value, f"names of fields, each with one of {', '.join(options)}")

        words = []
        for name, word in value.items():
            words.append((name, read_word(f"{key}: {name}", word)))
        return ByField(default, tuple(words))

    return read


@dataclass(frozen=True)
class WeightByField:
    """Weight of every field, with exceptions.

    Example:
        >>> WeightByField(1.0, {"text": 3.0}).of("text")
        3.0
    """

    default: float = 1.0
    """Weight of all other fields."""
    fields: Mapping[str, float] = field(default_factory=dict)
    """Name of a field -> its weight."""

    def of(self, name: str) -> float:
        """Return the weight of the field ``name``."""
        return self.fields.get(name, self.default)


def weight_by_field_value(key: str, value: object) -> WeightByField:
    """Read one weight for all fields, or a mapping from fields to weights; the others have 1."""
    value = as_mapping(value)
    if not isinstance(value, dict):
        return WeightByField(weight_value(key, value))
    return WeightByField(fields=_numbers_by_field(key, value, weight_value))


def rate_by_field_value(key: str, value: object) -> WeightByField:
    """Read a share from 0 to below 1 for all fields, or a mapping to shares; the others have 0."""
    value = as_mapping(value)
    if not isinstance(value, dict):
        return WeightByField(probability_value(key, value or 0.0))
    return WeightByField(0.0, _numbers_by_field(key, value, probability_value))


def _numbers_by_field(
    key: str, value: Mapping[Any, Any], read: Callable[[str, Any], float]
) -> dict[str, float]:
    """Read a number for each field of a mapping."""
    numbers: dict[str, float] = {}
    for name, number in value.items():
        numbers[str(name)] = read(f"{key}: {name}", number)
    return numbers


def as_mapping(value: object) -> Any:
    """Convert a mapping written as text; return other values as they are."""
    # RecBole leaves mappings of the command line a text: {a: b}
    return read_brackets(value) if has_brackets(value) else value
