"""Places of values in percent of a panel, and round numbers along its axis."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import isfinite, isnan

import numpy as np
from matplotlib.ticker import MaxNLocator

__all__ = ["Scale", "Tick", "fit", "short"]

_ROOM = 0.04
"""Free share of the axis beyond the outermost values."""


@dataclass(frozen=True)
class Tick:
    """A round number on an axis."""

    place: float
    """Percent of the axis."""
    text: str
    """The number."""


@dataclass(frozen=True)
class Scale:
    """Axis from one number to another."""

    low: float
    """Number at 0 %."""
    high: float
    """Number at 100 %."""

    def at(self, value: float) -> float:
        """Place of a value in percent.

        Example:
            >>> Scale(0, 4).at(1)
            25.0
        """
        return round(100 * (value - self.low) / (self.high - self.low), 2)

    def places(self, values: Iterable[float]) -> list[float]:
        """Places of several values in percent."""
        return [self.at(value) for value in values]

    def ticks(self, n: int = 4, whole: bool = False) -> list[Tick]:
        """List round numbers inside the axis.

        Args:
            n: Largest number of steps.
            whole: True for whole numbers only.

        Example:
            >>> [tick.text for tick in Scale(0, 0.3).ticks()]
            ['0.0', '0.1', '0.2', '0.3']
        """
        locator = MaxNLocator(nbins=n, steps=[1, 2, 2.5, 5, 10], integer=whole)
        numbers = np.asarray(locator.tick_values(self.low, self.high), dtype=float)

        # Rounding may put an end of the axis a little beyond it.
        room = 1e-9 * (self.high - self.low)
        is_inside = (self.low - room <= numbers) & (numbers <= self.high + room)
        inside = numbers[is_inside].tolist()

        n_digits = max(map(_n_decimals, inside), default=0)
        # + 0.0 turns -0.0 into 0.0.
        return [Tick(self.at(number), f"{number + 0.0:.{n_digits}f}") for number in inside]


def _n_decimals(value: float) -> int:
    """Count the decimals of a round number."""
    return len(f"{value:.8f}".rstrip("0").partition(".")[2])


def fit(values: Iterable[float], from_zero: bool = False, room: float = _ROOM) -> Scale:
    """Make an axis for some values.

    Args:
        values: The values; infinity and NaN are left out.
        from_zero: True to begin at 0.
        room: Free share of the axis beyond the outermost values.

    Example:
        >>> fit([1, 3], room=0)
        Scale(low=1, high=3)
    """
    finite = [value for value in values if isfinite(value)]
    if not finite:
        return Scale(0, 1)

    low, high = min(finite), max(finite)
    if from_zero:
        low = 0.0
    extent = (high - low) or abs(high) or 1.0
    # A single value stands in the middle.
    if low == high:
        low -= extent / 2
    # An axis from 0 has no room below.
    return Scale(low if from_zero else low - room * extent, high + room * extent)


def short(value: float) -> str:
    """Write a value with four digits.

    Example:
        >>> short(0.123456), short(1234.5), short(float("nan"))
        ('0.1235', '1234', '-')
    """
    if isnan(value):
        return "-"
    # The general form would write 1234.5 as 1234 too, but 123456 as 1.235e+05.
    if 1000 <= abs(value) < 1e7:
        return f"{value:.0f}"
    # And 0.25 as 0.25, which does not align with 0.2512.
    if 0.001 <= abs(value) < 1:
        return f"{value:.4f}"
    return f"{value:.4g}"
