"""The space of a search: RecBole's ``.hyper`` files, a line ``name type values`` for each key."""

from __future__ import annotations

import ast
import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import yaml

from recbole_sibrar.config import ConfigError, nearest, refuse
from recbole_sibrar.config.choices import properties
from recbole_sibrar.names import MODELS

_FORMS = {
    "choice": "choice [VALUE, VALUE, ...]",
    "uniform": "uniform LOW,HIGH",
    "quniform": "quniform LOW,HIGH,STEP",
    "loguniform": "loguniform LN_LOW,LN_HIGH",
}
"""What may stand behind a name, by its first word."""

_LARGEST_EXPONENT = 700.0


@dataclass(frozen=True)
class Parameter:
    """A key and what values it may take."""

    name: str
    """The key."""
    kind: str
    """``choice``, ``uniform``, ``quniform`` or ``loguniform``."""
    values: tuple[Any, ...]
    """The choices; or low and high, and the step of ``quniform``. Those of ``loguniform`` are natural logarithms."""

    @property
    def n_values(self) -> int | None:
        """How many values there are; None where they are no choices."""
        return len(self.values) if self.kind == "choice" else None

    def node(self) -> Any:
        """Hyperopt's expression; what it draws of choices is their position, as it would turn lists into tuples."""
        from hyperopt import hp

        if self.kind == "choice":
            return hp.choice(self.name, list(range(len(self.values))))
        return getattr(hp, self.kind)(self.name, *self.values)

    def value(self, drawn: Any) -> Any:
        """The value of what Hyperopt has drawn.

        A multiple of a whole step between whole numbers is an integer, so that sizes can be searched; other numbers are
        rounded to six digits, so that they can be read and written down.
        """
        if self.kind == "choice":
            return self.values[int(drawn)]
        whole = self.kind == "quniform" and all(number == int(number) for number in self.values)
        return round(float(drawn)) if whole else float(f"{drawn:.6g}")

    def ends(self) -> tuple[Any, ...]:
        """All choices, or the lowest and the highest value."""
        if self.kind == "choice":
            return self.values
        low, high = (math.exp(end) if self.kind == "loguniform" else end for end in self.values[:2])
        return self.value(low), self.value(high)


@dataclass(frozen=True)
class Space:
    """All parameters of a search."""

    file: Path
    """Where they are from."""
    parameters: tuple[Parameter, ...]
    """At least one."""

    @property
    def n_values(self) -> int | None:
        """How many combinations there are; None if a parameter is no choice."""
        numbers = [parameter.n_values for parameter in self.parameters]
        return None if None in numbers else math.prod(number or 1 for number in numbers)

    def nodes(self) -> dict[str, Any]:
        """The space as Hyperopt takes it."""
        return {parameter.name: parameter.node() for parameter in self.parameters}

    def combination(self, number: int) -> dict[str, int]:
        """What Hyperopt would draw for one of the ``n_values`` combinations."""
        drawn = {}
        for parameter in reversed(self.parameters):
            number, drawn[parameter.name] = divmod(number, len(parameter.values))
        return drawn

    def values(self, drawn: dict[str, Any]) -> dict[str, Any]:
        """Keys and values of what Hyperopt has drawn, in the order of the file."""
        return {parameter.name: parameter.value(drawn[parameter.name]) for parameter in self.parameters}

    def text(self) -> list[list[Any]]:
        """What tells two spaces apart, as plain values."""
        return [[parameter.name, parameter.kind, list(parameter.values)] for parameter in self.parameters]


def shipped_files() -> dict[str, Path]:
    """The files that come with the plugin, by the name of their model."""
    return {file.stem: file for file in sorted((properties() / "hyper").glob("*.hyper"))}


def find_file(name: str | None, model: str) -> Path:
    """The file of ``--params_file``.

    Args:
        name: A path, the name of a shipped file, or None for that of the model.
        model: Name of the model.

    Raises:
        ConfigError: There is none.
    """
    shipped = shipped_files()
    if name is None:
        if model not in shipped:
            raise ConfigError(
                f"--params_file: no file of parameters comes with {model}; write one with lines such as "
                "'learning_rate loguniform -9.2,-4.6' and name it (there are files for " + ", ".join(shipped) + ")"
            )
        return shipped[model]
    if Path(name).is_file():
        return Path(name)
    stem = name.removesuffix(".hyper")
    if stem in shipped:
        return shipped[stem]
    allowed = f"a file, or one of {', '.join(shipped)}"
    raise ConfigError(f"--params_file: found '{name}', allowed is {allowed}{nearest(stem, shipped)}")


def read_space(file: Path) -> Space:
    """Read a file of parameters. Empty lines, and lines that begin with ``#``, are skipped.

    Raises:
        ConfigError: A line cannot be used; the message names it.
    """
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeError) as error:
        raise ConfigError(f"--params_file: cannot read {file}: {error}") from None
    parameters: dict[str, Parameter] = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        place = f"{file}, line {number}"
        parameter = _read_line(place, line.split(maxsplit=2))
        if parameter.name in parameters:
            refuse(place, parameter.name, "each key once")
        parameters[parameter.name] = parameter
    if not parameters:
        raise ConfigError(f"{file}: found no parameter, allowed are lines such as 'learning_rate loguniform -9.2,-4.6'")
    return Space(file, tuple(parameters.values()))


def _read_line(place: str, words: list[str]) -> Parameter:
    if len(words) < 3:
        refuse(place, " ".join(words), f"NAME followed by one of {'; '.join(_FORMS.values())}")
    name, kind, text = words
    if kind not in _FORMS:
        refuse(place, kind, f"one of {', '.join(_FORMS)}{nearest(kind, _FORMS)}")
    if kind == "choice":
        return Parameter(name, kind, _read_choices(place, name, text))
    return Parameter(name, kind, _read_bounds(place, name, kind, text))


def _read_choices(place: str, name: str, text: str) -> tuple[Any, ...]:
    """A Python list, or one in yaml, whose words need no quotation marks."""
    try:
        choices = ast.literal_eval(text)
    except (ValueError, SyntaxError):
        try:
            choices = yaml.safe_load(text)
        except yaml.YAMLError:
            choices = None
    if not isinstance(choices, (list, tuple)) or not choices:
        refuse(place, text, f"{name} {_FORMS['choice']}")
    twice = [choice for i, choice in enumerate(choices) if repr(choice) in map(repr, choices[:i])]
    if twice:
        refuse(place, text, f"each choice once, {twice[0]!r} occurs several times")
    return tuple(list(choice) if isinstance(choice, tuple) else choice for choice in choices)


def _read_bounds(place: str, name: str, kind: str, text: str) -> tuple[float, ...]:
    def wrong(allowed: str) -> NoReturn:
        refuse(place, text, allowed)

    try:
        numbers = tuple(float(word) for word in "".join(text.split()).split(","))
    except ValueError:
        wrong(f"numbers: {name} {_FORMS[kind]}")
    if len(numbers) != 2 + (kind == "quniform") or not all(map(math.isfinite, numbers)):
        wrong(f"{2 + (kind == 'quniform')} finite numbers: {name} {_FORMS[kind]}")
    if numbers[0] >= numbers[1]:
        wrong(f"a first number below the second: {name} {_FORMS[kind]}")
    if kind == "quniform" and not 0 < numbers[2] <= numbers[1] - numbers[0]:
        wrong(f"a step above 0 and up to HIGH - LOW: {name} {_FORMS[kind]}")
    if kind == "loguniform" and numbers[1] > _LARGEST_EXPONENT:
        wrong(f"natural logarithms up to {_LARGEST_EXPONENT:g}: {name} {_FORMS[kind]}")
    return numbers


def check_names(space: Space, model: str, known: Iterable[str], fixed: Iterable[str]) -> list[str]:
    """Check that the model reads the keys, and that the command line gives none of them a value.

    Args:
        space: The parameters.
        model: Name of the model.
        known: The keys that RecBole and the model read.
        fixed: The keys of the command line.

    Returns:
        A warning for each key that a model of RecBole may not read.

    Raises:
        ConfigError: A model of ours does not read a key, or a key has a value already.
    """
    known, fixed, warnings = set(known), set(fixed), []
    for name in (parameter.name for parameter in space.parameters):
        if name in fixed:
            raise ConfigError(f"--{name}: {space.file} searches this key; take it out of the file or of the command")
        if name in ("model", "dataset", "valid_metric"):
            raise ConfigError(f"{space.file}: '{name}' cannot be searched; compare models with run_recbole_group")
        if name not in known:
            line = f"{space.file}: {model} does not read the key '{name}'{nearest(name, known)}"
            if model in MODELS:
                raise ConfigError(line)
            warnings.append(line)
    return warnings
