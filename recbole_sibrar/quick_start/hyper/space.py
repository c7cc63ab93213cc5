"""Search space: RecBole's ``.hyper`` files, a line ``name type values`` for each key."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recbole_sibrar.config import ConfigError, listed, nearest, refuse
from recbole_sibrar.config.choices import properties
from recbole_sibrar.names import OWN_MODELS
from recbole_sibrar.quick_start.hyper.parameter import Parameter, read_parameter

__all__ = ["Space", "check_names", "find_file", "read_space", "shipped_files"]

_NOT_SEARCHED = ("model", "dataset", "valid_metric")
"""Keys that have to be the same in all trials."""


@dataclass(frozen=True)
class Space:
    """All parameters of a search."""

    file: Path
    """File of the space."""
    parameters: tuple[Parameter, ...]
    """One or more."""

    @property
    def n_values(self) -> int | None:
        """Number of combinations; None if a parameter is no choice."""
        product = 1
        for parameter in self.parameters:
            if parameter.n_values is None:
                return None
            product *= parameter.n_values
        return product

    def nodes(self) -> dict[str, Any]:
        """Return the space in Hyperopt's form."""
        return {parameter.name: parameter.node() for parameter in self.parameters}

    def combination(self, number: int) -> dict[str, int]:
        """Return one of the ``n_values`` combinations, in the form of Hyperopt's draws."""
        drawn = {}
        # The digits of the number in a mixed base: the last parameter changes first.
        for parameter in reversed(self.parameters):
            number, drawn[parameter.name] = divmod(number, len(parameter.values))
        return drawn

    def values(self, drawn: Mapping[str, Any]) -> dict[str, Any]:
        """Turn draws of Hyperopt into keys and values, in the order of the file."""
        values = {}
        for parameter in self.parameters:
            values[parameter.name] = parameter.value(drawn[parameter.name])
        return values

    def text(self) -> list[list[Any]]:
        """Return the parameters as plain values, to compare two spaces."""
        rows = []
        for parameter in self.parameters:
            rows.append([parameter.name, parameter.kind, list(parameter.values)])
        return rows


def shipped_files() -> dict[str, Path]:
    """Return the files of the plugin, by the name of their model."""
    return {file.stem: file for file in sorted((properties() / "hyper").glob("*.hyper"))}


def find_file(name: str | None, model: str) -> Path:
    """Find the file of ``--params_file``.

    Args:
        name: A path, the name of a shipped file, or None for the file of the model.
        model: Name of the model.

    Raises:
        ConfigError: There is no such file.
    """
    shipped = shipped_files()
    if name is None:
        return _file_of_model(model, shipped)
    if Path(name).is_file():
        return Path(name)

    stem = name.removesuffix(".hyper")
    if stem in shipped:
        return shipped[stem]
    allowed = f"a file, or one of {listed(shipped, stem)}"
    raise ConfigError(f"--params_file: found '{name}', allowed is {allowed}")


def _file_of_model(model: str, shipped: Mapping[str, Path]) -> Path:
    if model not in shipped:
        raise ConfigError(
            f"--params_file: no file of parameters comes with {model}; write one with lines such "
            "as 'learning_rate loguniform -9.2,-4.6' and name it "
            f"(there are files for {', '.join(shipped)})"
        )
    return shipped[model]


def read_space(file: Path) -> Space:
    """Read a file of parameters. Empty lines and comments (``#``) are skipped.

    Args:
        file: The file.

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
        parameter = read_parameter(place, line)
        if parameter.name in parameters:
            refuse(place, parameter.name, "each key once")
        parameters[parameter.name] = parameter

    if not parameters:
        allowed = "lines such as 'learning_rate loguniform -9.2,-4.6'"
        raise ConfigError(f"{file}: found no parameter, allowed are {allowed}")
    return Space(file, tuple(parameters.values()))


def check_names(space: Space, model: str, known: Iterable[str], fixed: Iterable[str]) -> list[str]:
    """Check that the model reads the searched keys, and that the command line sets none of them.

    Args:
        space: The search space.
        model: Name of the model.
        known: Keys of RecBole and of the model.
        fixed: Keys of the command line.

    Returns:
        A warning for each key that a model of RecBole may not read.

    Raises:
        ConfigError: A model of ours does not read a key, or a key has a value already.
    """
    known = set(known)
    fixed = set(fixed)
    warnings: list[str] = []
    for parameter in space.parameters:
        name = parameter.name
        if name in fixed:
            advice = "take it out of the file or of the command"
            raise ConfigError(f"--{name}: {space.file} searches this key; {advice}")
        if name in _NOT_SEARCHED:
            advice = "compare models with run_recbole_group"
            raise ConfigError(f"{space.file}: '{name}' cannot be searched; {advice}")
        if name in known:
            continue

        # A model of RecBole may read a key that none of its files names.
        line = f"{space.file}: {model} does not read the key '{name}'{nearest(name, known)}"
        if model in OWN_MODELS:
            raise ConfigError(line)
        warnings.append(line)
    return warnings
