"""Content of a figure, independent of its drawing on a page or in a file for a paper."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import chain
from math import isfinite, isnan
from typing import Literal

import numpy as np
import pandas as pd

from recbole_sibrar.plotting.colours import Colour

__all__ = ["Chart", "Kind", "Level", "Series", "seed_values", "summary"]

Kind = Literal["line", "dots"]


@dataclass(frozen=True)
class Series:
    """A line, or the dots of one colour."""

    name: str
    """Name, such as that of a run."""
    group: str
    """Entry of the legend, such as the model of the run; several series can share it."""
    colour: Colour
    """Colour of the model; with it go the dashes of a line."""
    x: Sequence[float] | Sequence[str]
    """Numbers of a line, names of dots."""
    y: Sequence[float]
    """NaN for a missing value."""
    low: Sequence[float] | None = None
    """Lower ends of the error bars; NaN without an error bar."""
    high: Sequence[float] | None = None
    """Upper ends."""
    details: Sequence[str] = field(default_factory=list)
    """A text for each point, shown beside its value."""
    seeds: Sequence[Sequence[float]] = field(default_factory=list)
    """For each point the values of the single runs; may be empty."""
    mark: int | None = None
    """Position of the best epoch of a line."""
    is_joined: bool = True
    """False for points without a line between them."""
    hollow: bool = False
    """True for an outlined dot, to tell two dots of one colour apart."""

    @property
    def numbers(self) -> list[float]:
        """``x`` of a line."""
        found: list[float] = np.asarray(self.x, dtype=float).tolist()
        return found

    @property
    def finite(self) -> list[float]:
        """``y`` without missing and infinite values."""
        return [value for value in self.y if isfinite(value)]

    @property
    def x_texts(self) -> list[str]:
        """``x`` as text."""
        return [x if isinstance(x, str) else f"{x:g}" for x in self.x]

    def interval(self, position: int) -> tuple[float, float] | None:
        """Return the ends of the error bar of a point; None without one, as for a single run.

        Args:
            position: Position of the point.
        """
        if self.low is None or self.high is None:
            return None
        ends = self.low[position], self.high[position]
        return ends if all(map(isfinite, ends)) else None


@dataclass(frozen=True)
class Level:
    """A value to compare all others with, such as chance."""

    name: str
    """Its name."""
    value: float
    """Its value."""


@dataclass(frozen=True)
class Chart:
    """A figure."""

    name: str
    """Name of its files, made of letters, digits, ``-`` and ``_``."""
    choice: str
    """Difference from its siblings, such as the metric."""
    title: str
    """Title of the figure."""
    kind: Kind
    """Lines, or dots in rows."""
    x_title: str
    """Title of the horizontal axis of lines; of dots, the meaning of the rows.

    It is empty if the names of the rows say enough.
    """
    y_title: str
    """Title of the values: the vertical axis of lines, the horizontal one of dots."""
    series: Sequence[Series]
    """In the order of the legend, and of the rows of dots."""
    levels: Sequence[Level] = field(default_factory=list)
    """Levels, drawn as lines."""
    form: str = ""
    """Format of the values; empty for four digits."""
    overlaid: bool = False
    """True to put the dots of all series with one name in one row."""

    @property
    def grouped(self) -> bool:
        """True if several series have dots at one name."""
        names: set[float | str] = set()
        for series in self.series:
            if not names.isdisjoint(series.x):
                return True
            names.update(series.x)
        return False

    @property
    def in_groups(self) -> bool:
        """True for a row for each series of each name."""
        return self.grouped and not self.overlaid

    @property
    def categories(self) -> list[str]:
        """Names of the rows of dots, in order of their first appearance."""
        return list(dict.fromkeys(chain.from_iterable(series.x_texts for series in self.series)))

    @property
    def from_zero(self) -> bool:
        """True to start the axis of the values at 0, if they come near it."""
        numbers: list[float] = []
        for series in self.series:
            numbers += [*series.y, *(series.low or [])]
        ends = [number for number in numbers if not isnan(number)]
        # Values far from 0 would lie close together on an axis from 0.
        return not ends or 0 <= min(ends) < 0.5 * max(ends)


def summary(values: pd.Series) -> tuple[float, float, float]:
    """Compute the mean, and the mean less and plus the standard deviation (n - 1).

    The last two are NaN for fewer than two values.

    Example:
        >>> [round(x, 3) for x in summary(pd.Series([1.0, 3.0]))]
        [2.0, 0.586, 3.414]
    """
    mean, deviation = float(values.mean()), float(values.std())
    return mean, mean - deviation, mean + deviation


def seed_values(rows: pd.DataFrame, column: str) -> str:
    """Write the values behind a mean.

    Args:
        rows: A row for each run, with the column ``seed``.
        column: Column of the values.

    Example:
        >>> seed_values(pd.DataFrame({"seed": [1, 2], "ndcg@10": [0.25, 0.5]}), "ndcg@10")
        'seed 1: 0.2500, seed 2: 0.5000'
    """
    known = rows.dropna(subset=[column])
    pairs = zip(known["seed"], known[column], strict=True)
    return ", ".join(f"seed {seed}: {value:.4f}" for seed, value in pairs)
