"""Options of ``recbole-sibrar missing``."""

from __future__ import annotations

from dataclasses import dataclass

from recbole_sibrar.config import refuse
from recbole_sibrar.config.choices import RATES
from recbole_sibrar.names import Side
from recbole_sibrar.studies.options import read_names, read_rate, read_side, split_names

__all__ = ["Plan", "read_plan"]


@dataclass(frozen=True)
class Plan:
    """Hidden values of a study."""

    side: Side = "item"
    """Side of the hidden values."""
    modalities: tuple[str, ...] | None = None
    """Modalities with lost values and in subsets; None for all evaluated ones."""
    rates: tuple[float, ...] = (0.0, 0.25, 0.5, 0.75, 1.0)
    """Probabilities, from 0 to 1, of the loss of an available value."""
    n_seeds: int = 5
    """Draws of the lost values at each rate between 0 and 1."""


def read_plan(side: str, modalities: str | None, rates: str, seeds: str) -> Plan:
    """Read the options of the command.

    Args:
        side: ``item`` or ``user``.
        modalities: Names separated by commas; None for all.
        rates: Numbers from 0 to 1, separated by commas.
        seeds: A positive integer.

    Raises:
        ConfigError: An option has a value that is not allowed.
    """
    whose = read_side(side)
    names = None if modalities is None else read_names("--modalities", modalities, "text,class")
    if not seeds.isascii() or not seeds.isdigit() or int(seeds) < 1:
        refuse("--seeds", seeds, "a positive integer, the number of seeds")

    numbers = [read_rate(rate, True, RATES) for rate in split_names(rates)]
    return Plan(whose, names, tuple(numbers), int(seeds))
