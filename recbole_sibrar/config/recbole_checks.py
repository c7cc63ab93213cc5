"""Checks of single values of RecBole's own keys.

RecBole takes most values as they come and fails at the first computation with them, often after the
data were read. Only values with which RecBole fails are refused here; it keeps any other value, of
whatever type.
"""

from __future__ import annotations

import codecs
import math
import re
import sys
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from typing import Any

from recbole_sibrar.config.values import is_number, number_value
from recbole_sibrar.errors import refuse

Check = Callable[[str, Any], None]
"""Refuses a wrong value of a key."""

_INTERVAL = re.compile(r"\s*[\[(]\s*[-+.\w]+\s*,\s*[-+.\w]+\s*[\])]\s*")


def _whole(least: float, allowed: str, accepts_floats: bool = False) -> Check:
    """Make the check of a whole number.

    Args:
        least: Smallest allowed number.
        allowed: Description for the message.
        accepts_floats: Accept a float without a fraction as well.
    """

    def check(key: str, value: object) -> None:
        is_whole = isinstance(value, int) and not isinstance(value, bool)
        if accepts_floats and isinstance(value, float):
            is_whole = value.is_integer()

        is_allowed = is_whole and isinstance(value, (int, float)) and value >= least
        if not is_allowed:
            refuse(key, value, allowed)

    return check


SIZE = _whole(1, "a positive integer")
COUNT = _whole(0, "a whole number of at least 0")
EPOCHS = _whole(-math.inf, "a whole number of epochs", accepts_floats=True)
VALIDATIONS = _whole(0, "a whole number of validations", accepts_floats=True)


def check_seed(key: str, value: object) -> None:
    """Check a seed of NumPy."""
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 2**32:
        refuse(key, value, "a whole number from 0 to 4294967295, as NumPy's generators take it")


def check_number(key: str, value: object) -> None:
    """Check a finite number of at least 0."""
    number_value(key, value, "a number of at least 0", lambda number: 0 <= number < math.inf)


def check_text(key: str, value: object) -> None:
    """Check a text."""
    if not isinstance(value, str):
        refuse(key, value, "a text")


def check_separator(key: str, value: object) -> None:
    """Check a text of at least one character."""
    if not isinstance(value, str) or not value:
        refuse(key, value, "a text of at least one character")


def check_dictionary(key: str, value: object) -> None:
    """Check a dictionary."""
    if not isinstance(value, Mapping):
        refuse(key, value, "a dictionary")


def check_names(key: str, value: object) -> None:
    """Check a list of names."""
    if not isinstance(value, (list, tuple)) or not all(isinstance(name, str) for name in value):
        refuse(key, value, "a list of names")


def check_columns(key: str, value: object) -> None:
    """Check names of columns by suffix, the form of ``load_col``."""
    if not isinstance(value, Mapping):
        refuse(key, value, "a dictionary")

    # RecBole makes a set of the names: of a text, the set of its letters
    for suffix, names in value.items():
        if names != "*" and not isinstance(names, (list, tuple, set)):
            refuse(f"{key}: {suffix}", names, f"a list of fields such as [{names}]")


def check_cutoffs(key: str, value: object) -> None:
    """Check one or several cut-offs."""
    cutoffs = value if isinstance(value, list) else [value]
    for k in cutoffs or [None]:
        if isinstance(k, bool) or not isinstance(k, int) or k < 1:
            allowed = "a positive integer such as 10, or a list of them such as [5, 10]"
            refuse(key, value, allowed)


def check_encoding(key: str, value: object) -> None:
    """Check the name of an encoding."""
    try:
        # a value of another type is refused below
        codecs.lookup(value)  # type: ignore[arg-type]
    except (LookupError, TypeError, ValueError):
        refuse(key, value, "the name of an encoding such as utf-8 or latin-1")


def check_interval(key: str, value: object) -> None:
    """Check one or several intervals, separated by semicolons."""
    parts = str(value).split(";")
    if not all(_INTERVAL.fullmatch(part) and _is_ascending(part) for part in parts):
        refuse(key, value, "an interval such as '[5,inf)', or several separated by semicolons")


def _is_ascending(interval: str) -> bool:
    ends = interval.strip()[1:-1].split(",")
    try:
        # float reads "inf" as well
        left, right = map(float, ends)
    except ValueError:
        return False
    return left <= right


def check_weights_and_biases(key: str, value: object) -> None:
    """Check that the package is installed where the key asks for it."""
    # find_spec fails for a module that was put into sys.modules by hand
    if value and "wandb" not in sys.modules and find_spec("wandb") is None:
        refuse(key, value, "False where the package wandb is not installed: pip install wandb")


def are_shares(value: object) -> bool:
    """Tell three shares of training, validation and test from other values.

    Example:
        >>> are_shares([0.8, 0.1, 0.1]), are_shares([0.8, 0.2]), are_shares([0, 0.5, 0.5])
        (True, False, False)
    """
    if not isinstance(value, list) or len(value) != 3:
        return False
    # RecBole cannot train on an empty part
    return all(map(is_number, value)) and min(value) >= 0 and value[0] > 0
