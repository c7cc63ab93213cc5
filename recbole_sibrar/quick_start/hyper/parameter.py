"""One parameter of a search space, and the reader of its line in a ``.hyper`` file."""

from __future__ import annotations

import ast
import math
from collections import Counter
from dataclasses import dataclass
from typing import Any, NoReturn

import yaml

from recbole_sibrar.config import listed, refuse

__all__ = ["Parameter", "read_parameter"]

_FORMS = {
    "choice": "choice [VALUE, VALUE, ...]",
    "uniform": "uniform LOW,HIGH",
    "quniform": "quniform LOW,HIGH,STEP",
    "loguniform": "loguniform LN_LOW,LN_HIGH",
}
"""Type of a parameter -> the rest of its line."""

_LARGEST_EXPONENT = 700.0
"""Largest bound of ``loguniform``; the exponential of 710 is no float any more."""


@dataclass(frozen=True)
class Parameter:
    """A searched key and its values."""

    name: str
    """The key."""
    kind: str
    """``choice``, ``uniform``, ``quniform`` or ``loguniform``."""
    values: tuple[Any, ...]
    """The choices; or low and high, and the step of ``quniform``.

    Bounds of ``loguniform`` are natural logarithms.
    """

    @property
    def n_values(self) -> int | None:
        """Number of choices; None for other types."""
        return len(self.values) if self.kind == "choice" else None

    def node(self) -> Any:
        """Return Hyperopt's expression; of choices it draws the position."""
        from hyperopt import hp

        # Hyperopt would turn choices that are lists into tuples.
        if self.kind == "choice":
            return hp.choice(self.name, list(range(len(self.values))))
        return getattr(hp, self.kind)(self.name, *self.values)

    def value(self, drawn: float) -> Any:
        """Turn a draw of Hyperopt into a value.

        A multiple of a whole step between whole numbers becomes an integer, so that sizes can be
        searched. Other numbers are rounded to six digits for readable results.

        Example:
            >>> Parameter("embedding_size", "quniform", (8.0, 64.0, 8.0)).value(16.0)
            16
        """
        if self.kind == "choice":
            return self.values[int(drawn)]
        # Hyperopt draws floats only, and RecBole passes them on: torch refuses 16.0 units.
        has_whole_values = all(number == int(number) for number in self.values)
        if self.kind == "quniform" and has_whole_values:
            return round(float(drawn))
        return float(f"{drawn:.6g}")

    def ends(self) -> tuple[Any, ...]:
        """Return all choices, or the lowest and the highest value."""
        if self.kind == "choice":
            return self.values
        low, high = self.values[:2]
        if self.kind == "loguniform":
            low, high = math.exp(low), math.exp(high)
        return self.value(low), self.value(high)


def read_parameter(place: str, line: str) -> Parameter:
    """Read a line of a file.

    Args:
        place: File and line, for messages.
        line: ``name type values``.

    Raises:
        ConfigError: The line has another form.
    """
    words = line.split(maxsplit=2)
    if len(words) < 3:
        refuse(place, " ".join(words), f"NAME followed by one of {'; '.join(_FORMS.values())}")

    name, kind, text = words
    if kind not in _FORMS:
        refuse(place, kind, f"one of {listed(_FORMS, kind)}")
    if kind == "choice":
        return Parameter(name, kind, _read_choices(place, name, text))
    return Parameter(name, kind, _read_bounds(place, name, kind, text))


def _read_choices(place: str, name: str, text: str) -> tuple[Any, ...]:
    """Read a list in Python's form, or in yaml without quotation marks."""
    choices = _parse_list(text)
    if not isinstance(choices, (list, tuple)) or not choices:
        refuse(place, text, f"{name} {_FORMS['choice']}")

    # Compared as text, because 1 == 1.0 == True, and lists have no hash.
    counts = Counter(repr(choice) for choice in choices)
    for choice, count in counts.items():
        if count > 1:
            refuse(place, text, f"each choice once, {choice} occurs several times")
    # A trial gets its values through yaml, which has no tuples.
    return tuple(list(choice) if isinstance(choice, tuple) else choice for choice in choices)


def _parse_list(text: str) -> object:
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        pass
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        return None


def _read_bounds(place: str, name: str, kind: str, text: str) -> tuple[float, ...]:
    """Read low, high and, of ``quniform``, the step."""

    def wrong(allowed: str) -> NoReturn:
        refuse(place, text, f"{allowed}: {name} {_FORMS[kind]}")

    n_numbers = 3 if kind == "quniform" else 2
    try:
        numbers = tuple(float(word) for word in "".join(text.split()).split(","))
    except ValueError:
        wrong("numbers")

    if len(numbers) != n_numbers or not all(map(math.isfinite, numbers)):
        wrong(f"{n_numbers} finite numbers")
    if numbers[0] >= numbers[1]:
        wrong("a first number below the second")
    if kind == "quniform" and not 0 < numbers[2] <= numbers[1] - numbers[0]:
        wrong("a step above 0 and up to HIGH - LOW")
    if kind == "loguniform" and numbers[1] > _LARGEST_EXPONENT:
        wrong(f"natural logarithms up to {_LARGEST_EXPONENT:g}")
    return numbers
