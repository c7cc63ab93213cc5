"""The keys of long runs: saved states, and the time limit."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from recbole_sibrar.config.keys import WITHOUT_EFFECT, read_key
from recbole_sibrar.protocols import ConfigLike


@dataclass(frozen=True)
class TrainingConfig:
    """Saved states and time limit of a run."""

    checkpoint_every: int | None
    """Epochs from one saved state to the next; None saves one only when the run is asked to
    stop."""
    max_hours: float | None
    """Hours from the start of the process until the run saves its state and ends; None for no
    limit."""


def training_config(config: ConfigLike) -> TrainingConfig:
    """Read the keys of long runs.

    Raises:
        ConfigError: A value is not allowed.
    """
    return TrainingConfig(
        checkpoint_every=read_key(config, "checkpoint_every"),
        max_hours=read_key(config, "max_hours"),
    )


def differences(
    earlier: Mapping[str, Any],
    now: Mapping[str, Any],
    ignored: Iterable[str] = WITHOUT_EFFECT,
) -> dict[str, tuple[Any, Any]]:
    """Compare the keys that two configurations both have.

    Args:
        earlier: Every key of the first and its value.
        now: Every key of the second.
        ignored: Keys that may differ.

    Returns:
        Key -> both values, where they differ.

    Example:
        >>> differences({"seed": 1, "epochs": 5}, {"seed": 2, "epochs": 5})
        {'seed': (1, 2)}
    """
    found: dict[str, tuple[Any, Any]] = {}
    for key in sorted((earlier.keys() & now.keys()).difference(ignored)):
        values = (earlier[key], now[key])
        if str(values[0]) != str(values[1]):
            found[key] = values
    return found
