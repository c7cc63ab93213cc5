"""Content of a figure, independent of its drawing on a page or in a file for a paper."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal

import pandas as pd

__all__ = ["Chart", "Kind", "Series", "seed_values", "styles", "summary"]

Kind = Literal["line", "bar"]


@dataclass(frozen=True)
class Series:
    """A line, or the bars of one colour."""

    name: str
    """Name, such as that of a run."""
    group: str
    """Entry of the legend, such as the model of the run; several series can share it."""
    style: int
    """Number of the colour, from 0; with it go the marker and the dashes of a line."""
    x: Sequence[float] | Sequence[str]
    """Numbers of a line, names of bars."""
    y: Sequence[float]
    """NaN for a missing value."""
    low: Sequence[float] | None = None
    """Lower ends of the error bars; NaN without an error bar."""
    high: Sequence[float] | None = None
    """Upper ends."""
    details: Sequence[str] = field(default_factory=list)
    """A text for each point, shown beside its value."""

    @property
    def x_texts(self) -> list[str]:
        """``x`` as text."""
        return [x if isinstance(x, str) else f"{x:g}" for x in self.x]


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
    """Lines or bars."""
    x_title: str
    """Title of the horizontal axis; empty if the names of bars say enough."""
    y_title: str
    """Title of the vertical axis."""
    series: Sequence[Series]
    """In the order of the legend."""

    @property
    def grouped(self) -> bool:
        """True if several series have bars at one name, side by side."""
        names = [x for series in self.series for x in dict.fromkeys(series.x)]
        return len(set(names)) < len(names)

    @property
    def categories(self) -> list[str]:
        """Names of the bars, in order of their first appearance."""
        return list(dict.fromkeys(x for series in self.series for x in series.x_texts))

    @property
    def from_zero(self) -> bool:
        """True to start the vertical axis at 0: for bars, and for lines near 0."""
        ends = [y for series in self.series for y in (*series.y, *(series.low or [])) if y == y]
        return self.kind == "bar" or not ends or 0 <= min(ends) < 0.5 * max(ends)


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
    pairs = zip(rows["seed"], rows[column], strict=True)
    return ", ".join(f"seed {seed}: {value:.4f}" for seed, value in pairs if value == value)


def styles(names: Iterable[str]) -> dict[str, int]:
    """Give each name a number, for a model to have the same colour in all figures."""
    return {name: i for i, name in enumerate(dict.fromkeys(names))}
