"""Values of a configuration as plain Python values, which a checkpoint can hold and any process can read."""

from __future__ import annotations

import copy
import os
from collections.abc import Mapping
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

HELD_CLASSES = (type(None), bool, int, float, complex, str, bytes, torch.Tensor, torch.nn.Parameter, torch.device)
"""Classes whose values a checkpoint holds as they are, beside lists and dictionaries of them."""

_SCALARS: tuple[Any, ...] = (str, bytes, int, float)

HELD_ENUMS = ("ModelType", "InputType", "EvaluatorType", "FeatureType", "FeatureSource")
"""RecBole's own enumerations that a checkpoint holds."""

_DICTIONARIES = (
    *("file_config_dict", "variable_config_dict", "cmd_config_dict"),
    *("external_config_dict", "internal_config_dict", "final_config_dict"),
)
"""Attributes of RecBole's ``Config`` that hold values of keys."""


class NotHeldError(ValueError):
    """A value that no checkpoint can hold; the message says what it is."""


def merge_external_config_dict(original: Any, config: Config) -> None:
    """Make the user's values plain, of whatever files and dictionaries."""
    for name in _DICTIONARIES[:3]:
        setattr(config, name, {str(key): plain(value) for key, value in getattr(config, name).items()})
    original(config)
    for key, value in config.external_config_dict.items():
        _warn(key, value)


def set_item(original: Any, config: Config, key: str, value: Any) -> None:
    """Set a key to a plain value."""
    original(config, key, plain(value))
    _warn(key, config[key])


def plain(value: Any) -> Any:
    """A value with paths and dates as text, numbers of NumPy as Python's, arrays and sets as lists.

    What is none of these stays as it is, alone or within lists and dictionaries.

    Args:
        value: Any value of a configuration.

    Example:
        >>> plain({"sizes": np.array([8, 4]), "since": date(2018, 12, 31)})
        {'sizes': [8, 4], 'since': '2018-12-31'}
    """
    if isinstance(value, Mapping):
        return {plain(key): plain(held) for key, held in value.items()}
    if type(value) in (list, tuple):
        return type(value)(plain(held) for held in value)
    if isinstance(value, (set, frozenset)):
        return sorted((plain(held) for held in value), key=lambda held: (type(held).__name__, str(held)))
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


def _plain_numbers(value: Any) -> Any:
    if getattr(value.dtype, "kind", "O") in "mM":  # NumPy's tolist makes numbers of some dates
        value = value.astype(str)
    return plain(value.tolist())


def held(value: Any) -> Any:
    """A value as a checkpoint can hold it: plain, enumerations by their values, subclasses as what they extend.

    Args:
        value: Any value of a configuration.

    Raises:
        NotHeldError: A checkpoint cannot hold it, such as a function.
    """
    value = plain(value)
    kind = type(value)
    if kind in HELD_CLASSES or kind in _declared_safe() or isinstance(value, torch.dtype):
        return value
    if _is_model(value):
        return value
    if isinstance(value, Enum):
        own = kind.__module__ == "recbole.utils.enum_type" and kind.__name__ in HELD_ENUMS
        return value if own else held(value.value)
    if isinstance(value, dict):
        return {held(key): held(entry) for key, entry in value.items()}
    for base in (list, tuple):
        if isinstance(value, base):
            return base(held(entry) for entry in value)
    scalar = next((base for base in _SCALARS if isinstance(value, base)), None)
    if scalar is not None:
        return scalar(value)
    raise NotHeldError(kind.__name__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}")


def held_config(config: Config) -> Config:
    """A configuration for a checkpoint: a copy without the keys whose values no checkpoint can hold.

    Args:
        config: RecBole's ``Config``, which stays as it is.
    """
    kept = copy.copy(config)
    if not _is_model(config.model_class):
        kept.model_class = None
    for name in (KEY, FILE):  # of another checkpoint, where the configuration was read from one
        kept.__dict__.pop(name, None)
    for name in _DICTIONARIES:
        values = {}
        for key, value in getattr(config, name).items():
            try:
                values[key] = held(value)
            except NotHeldError:
                continue
        setattr(kept, name, values)
    return kept


def _is_model(value: Any) -> bool:
    """Whether a value is the class of a model, which another process can look up by its name."""
    return isinstance(value, type) and issubclass(value, AbstractRecommender) and "<locals>" not in value.__qualname__


def _warn(key: str, value: Any) -> None:
    """Say what a checkpoint will not hold."""
    try:
        kept = held(value)
    except NotHeldError as error:
        getLogger().warning(
            f"the key '{key}' has a value of type {error}, which no checkpoint can hold: it is left out of "
            "checkpoints, and a program that loads one has to set it again"
        )
        return
    if isinstance(value, Enum) and kept is not value and kept != value:
        getLogger().warning(f"the key '{key}' is {value}, of which checkpoints hold the value {kept!r}")


def _declared_safe() -> set[Any]:
    """Classes that the user has declared safe to load."""
    return {declared for declared in torch.serialization.get_safe_globals() if isinstance(declared, type)}
