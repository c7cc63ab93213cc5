"""Values of a configuration as plain Python values, for checkpoints and other processes."""

from __future__ import annotations

import copy
import os
from collections.abc import Callable, Mapping
from datetime import date, time, timedelta
from decimal import Decimal
from enum import Enum
from fractions import Fraction
from logging import getLogger
from typing import Any

import numpy as np
import pandas as pd
import torch
from recbole.config import Config
from recbole.model.abstract_recommender import AbstractRecommender

from recbole_sibrar.data.record.training_data import FILE, KEY

__all__ = [
    "HELD_CLASSES",
    "HELD_ENUMS",
    "NotHeldError",
    "held",
    "held_config",
    "merge_external_config_dict",
    "plain",
    "set_item",
]

HELD_CLASSES = (
    type(None),
    bool,
    int,
    float,
    complex,
    str,
    bytes,
    torch.Tensor,
    torch.nn.Parameter,
    torch.device,
)
"""Classes with unchanged values in a checkpoint, beside lists and dictionaries of them."""

_SCALARS: tuple[Any, ...] = (str, bytes, int, float)

HELD_ENUMS = ("ModelType", "InputType", "EvaluatorType", "FeatureType", "FeatureSource")
"""RecBole's own enumerations with unchanged values in a checkpoint."""

_GIVEN = ("file_config_dict", "variable_config_dict", "cmd_config_dict")
"""Attributes of RecBole's ``Config`` with keys of the user, by source."""

_DICTIONARIES = (*_GIVEN, "external_config_dict", "internal_config_dict", "final_config_dict")
"""Attributes of RecBole's ``Config`` with keys."""


class NotHeldError(ValueError):
    """A value that no checkpoint can hold; the message is its type."""


def merge_external_config_dict(original: Callable[[Config], None], config: Config) -> None:
    """Make the user's values plain, from files, dictionaries and the command line."""
    for name in _GIVEN:
        values = {str(key): plain(value) for key, value in getattr(config, name).items()}
        setattr(config, name, values)

    # RecBole merges the sources here and reads no value before.
    original(config)
    for key, value in config.external_config_dict.items():
        _warn(key, value)


def set_item(
    original: Callable[[Config, str, object], None],
    config: Config,
    key: str,
    value: object,
) -> None:
    """Set a key to a plain value."""
    original(config, key, plain(value))
    _warn(key, config[key])


def plain(value: object) -> Any:
    """Turn paths and dates into text, numbers of NumPy into Python's, arrays and sets into lists.

    Other values stay, alone or within lists and dictionaries.

    Args:
        value: Any value of a configuration.

    Example:
        >>> plain({"sizes": np.array([8, 4]), "since": date(2018, 12, 31)})
        {'sizes': [8, 4], 'since': '2018-12-31'}
    """
    if isinstance(value, Mapping):
        return {plain(key): plain(entry) for key, entry in value.items()}
    # not isinstance: a named tuple cannot be made of a list
    if type(value) is list or type(value) is tuple:
        return type(value)(plain(entry) for entry in value)
    if isinstance(value, (set, frozenset)):
        # the order of a set changes from process to process; different types have no order
        entries = [plain(entry) for entry in value]
        return sorted(entries, key=lambda entry: (type(entry).__name__, str(entry)))
    if isinstance(value, range):
        return list(value)

    if isinstance(value, (np.generic, np.ndarray, pd.Series, pd.Index)):
        return _plain_numbers(value)
    if isinstance(value, os.PathLike):
        return os.fsdecode(value)
    if isinstance(value, (date, time, timedelta)):
        return str(value)
    if isinstance(value, (Decimal, Fraction)):
        return float(value)
    return value


def _plain_numbers(
    value: np.generic | np.ndarray[Any, Any] | pd.Series[Any] | pd.Index[Any],
) -> Any:
    # tolist would turn some dates into numbers.
    if getattr(value.dtype, "kind", "O") in "mM":
        return plain(value.astype(str).tolist())
    return plain(value.tolist())


def held(value: object) -> Any:
    """Turn a value into one for a checkpoint.

    It becomes plain; enumerations become their values, and objects of derived classes those of the
    base class.

    Args:
        value: Any value of a configuration.

    Raises:
        NotHeldError: A checkpoint cannot hold it; an example is a function.
    """
    value = plain(value)
    kind = type(value)
    if kind in HELD_CLASSES or kind in _declared_safe() or isinstance(value, torch.dtype):
        return value
    if _is_model(value):
        return value

    if isinstance(value, Enum):
        is_recboles = kind.__module__ == "recbole.utils.enum_type" and kind.__name__ in HELD_ENUMS
        return value if is_recboles else held(value.value)
    if isinstance(value, dict):
        return {held(key): held(entry) for key, entry in value.items()}
    for base in (list, tuple):
        if isinstance(value, base):
            return base(held(entry) for entry in value)

    for scalar in _SCALARS:
        if isinstance(value, scalar):
            return scalar(value)

    name = f"{kind.__module__}.{kind.__qualname__}"
    raise NotHeldError(name.removeprefix("builtins."))


def held_config(config: Config) -> Config:
    """Copy a configuration for a checkpoint, without keys that no checkpoint can hold.

    Args:
        config: RecBole's ``Config``; it stays unchanged.
    """
    kept = copy.copy(config)
    if not _is_model(config.model_class):
        kept.model_class = None
    # Of another checkpoint, if the configuration was read from one.
    for name in (KEY, FILE):
        kept.__dict__.pop(name, None)

    for name in _DICTIONARIES:
        setattr(kept, name, _held_keys(getattr(config, name)))
    return kept


def _held_keys(keys: Mapping[str, object]) -> dict[str, Any]:
    kept = {}
    for key, value in keys.items():
        try:
            kept[key] = held(value)
        except NotHeldError:
            continue
    return kept


def _is_model(value: object) -> bool:
    """Tell if a value is the class of a model; other processes find it by its name."""
    if not isinstance(value, type) or not issubclass(value, AbstractRecommender):
        return False
    # pickle cannot find a class inside a function
    return "<locals>" not in value.__qualname__


def _warn(key: str, value: object) -> None:
    """Warn of a value that a checkpoint will not hold."""
    try:
        kept = held(value)
    except NotHeldError as error:
        getLogger().warning(
            f"the key '{key}' has a value of type {error}, which no checkpoint can hold: it is "
            "left out of checkpoints, and a program that loads one has to set it again"
        )
        return
    if isinstance(value, Enum) and kept is not value and kept != value:
        getLogger().warning(
            f"the key '{key}' is {value}, of which checkpoints hold the value {kept!r}"
        )


def _declared_safe() -> set[type]:
    """Return the classes declared safe to load by the user."""
    # torch also takes functions, and pairs of an object and its name
    declared = torch.serialization.get_safe_globals()
    return {one for one in declared if isinstance(one, type)}
