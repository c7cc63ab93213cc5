"""Settings of the study of values that are missing in training too.

A setting is a share of hidden values and a way to fill them in.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

from recbole_sibrar.config import ConfigError, listed, refuse
from recbole_sibrar.config.choices import TRAINING_RATES
from recbole_sibrar.names import IMPUTATIONS
from recbole_sibrar.studies.options import read_names, read_rate, split_names

__all__ = ["Plan", "Setting", "read_plan"]

_SET_BY = {"hide_values": "--rates and --fields", "impute": "--imputations", "seed": "--seeds"}
"""Key -> options of the study that set it."""


@dataclass(frozen=True)
class Setting:
    """Training data of a run."""

    rate: float
    """Share of the values to hide before training, from 0 to below 1."""
    way: str
    """Value of the key ``impute``."""
    fields: tuple[str, ...] = ()
    """Fields with hidden values; empty for all."""

    @property
    def keys(self) -> dict[str, str]:
        """Keys of the configuration, with values as on a command line.

        Example:
            >>> Setting(0.5, "mean", ("text",)).keys
            {'hide_values': '{text: 0.5}', 'impute': 'mean'}
        """
        # As a command line takes them: a number for all fields, or a mapping in yaml.
        rates = ", ".join(f"{field}: {self.rate:g}" for field in self.fields)
        hidden = f"{{{rates}}}" if rates else f"{self.rate:g}"
        return {"hide_values": hidden, "impute": self.way}

    @property
    def label(self) -> str:
        """Name of the setting, for names of runs."""
        return f"{self.way} {self.rate:g}"


@dataclass(frozen=True)
class Plan:
    """All settings of a study."""

    rates: tuple[float, ...]
    """Shares of hidden values."""
    ways: tuple[str, ...]
    """Ways to fill them in."""
    fields: tuple[str, ...]
    """Fields with hidden values; empty for all."""

    @property
    def settings(self) -> list[Setting]:
        """The settings, by way and then by rate."""
        return [Setting(rate, way, self.fields) for way, rate in product(self.ways, self.rates)]

    def check_keys(self, keys: Sequence[str]) -> None:
        """Refuse keys that the study sets.

        Args:
            keys: Keys of the command line and of the models.

        Raises:
            ConfigError: There is one.
        """
        for key in keys:
            if key in _SET_BY:
                reason = f"{_SET_BY[key]} of the study set it"
                raise ConfigError(f"{key}: cannot be given here, as {reason}")


def read_plan(rates: str, ways: str, fields: str | None) -> Plan:
    """Read the options of the command.

    Args:
        rates: Numbers from 0 to below 1, separated by commas.
        ways: Values of ``impute``, separated by commas.
        fields: Names of fields, separated by commas; None for all.

    Raises:
        ConfigError: An option has a value that is not allowed.
    """
    numbers = tuple(sorted({read_rate(text, False, TRAINING_RATES) for text in split_names(rates)}))
    chosen = tuple(dict.fromkeys(split_names(ways)))
    for way in chosen:
        if way not in IMPUTATIONS:
            refuse("--imputations", way, f"any of {listed(IMPUTATIONS, way)}")

    names = () if fields is None else read_names("--fields", fields, "text,genres")
    return Plan(numbers, chosen, names)
