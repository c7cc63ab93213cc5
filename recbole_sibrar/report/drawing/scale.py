"""Places of values in percent of a panel, and round numbers along its axis."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import isfinite

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
        room = 1e-9 * (self.high - self.low)
        inside = [
            x
            for x in locator.tick_values(self.low, self.high)
            if self.low - room <= x <= self.high + room
        ]
        n_digits = max((_n_decimals(float(x)) for x in inside), default=0)
        return [Tick(self.at(float(x)), f"{x + 0.0:.{n_digits}f}") for x in inside]


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
    if low == high:
        low -= extent / 2
    return Scale(low if from_zero else low - room * extent, high + room * extent)


def short(value: float) -> str:
    """Write a value with four digits.

    Example:
        >>> short(0.123456), short(1234.5), short(float("nan"))
        ('0.1235', '1234', '-')
    """
    if value != value:
        return "-"
    return (
        f"{value:.0f}"
        if 1000 <= abs(value) < 1e7
        else f"{value:.4f}"
        if 0.001 <= abs(value) < 1
        else f"{value:.4g}"
    )
