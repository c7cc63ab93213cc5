"""Lines with their names at their ends."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil, isfinite

import numpy as np

from recbole_sibrar.plotting.chart import Chart, Series
from recbole_sibrar.report.drawing.scale import Scale, Tick, fit, short

__all__ = ["EndName", "Line", "Lines", "Point", "draw_lines", "spread"]

UNITS = 10_000
"""Width and height of the panel in the coordinates of its lines."""

MAX_POINTS = 12
"""Largest number of points for a mark at each; longer lines have one at the best epoch alone."""

_LINE_OF_TEXT = 6.2
"""Height of a line of text in percent of the panel."""

_SHIFT = 0.6
"""Percent between the intervals of two lines."""

_LETTERS = 24
"""Letters of a name on one line beside the panel."""


@dataclass(frozen=True)
class Point:
    """A mark on a line."""

    x: float
    """Percent from the left."""
    y: float
    """Percent from the top."""
    low: float | None
    """Place of the lower end of its interval."""
    high: float | None
    """Place of the upper end."""
    hint: str
    """Text for a pointer."""


@dataclass(frozen=True)
class Line:
    """A line of a run or a model."""

    series: Series
    """Its data."""
    paths: Sequence[str]
    """Pieces between missing values, as points of SVG."""
    points: Sequence[Point]
    """Its marks."""
    shift: float = 0.0
    """Shift of its intervals in percent, so that those of other lines stay visible."""

    def at(self, point: Point) -> float:
        """Place of an interval in percent from the left."""
        return round(point.x + self.shift, 2)


@dataclass(frozen=True)
class EndName:
    """Name of a model beside the ends of its lines."""

    name: str
    """The name."""
    series: Series
    """One of its lines."""
    place: float
    """Percent from the top."""


@dataclass(frozen=True)
class Lines:
    """View of a line chart."""

    chart: Chart
    """The figure."""
    lines: Sequence[Line]
    """In order."""
    names: Sequence[EndName]
    """Names, from the top."""
    x_ticks: Sequence[Tick]
    """Numbers on the horizontal axis."""
    y_ticks: Sequence[Tick]
    """Numbers on the vertical axis, in percent from the top."""
    x: Scale
    """Horizontal axis."""
    y: Scale
    """Vertical axis."""

    @property
    def kind(self) -> str:
        """Name of the template."""
        return "lines"

    @property
    def loose(self) -> list[Series]:
        """Series of points without a line, which have no end for their name."""
        return [series for series in self.chart.series if not series.is_joined]

    @property
    def has_values(self) -> bool:
        """True for few points, whose values stand in a table."""
        longest = max((len(series.x) for series in self.chart.series), default=0)
        return longest <= MAX_POINTS and not self.is_curve

    @property
    def is_curve(self) -> bool:
        """True for learning curves, whose values are in files."""
        return any(series.mark is not None for series in self.chart.series)


def draw_lines(chart: Chart) -> Lines:
    """Place the lines of a figure.

    Args:
        chart: A figure of the kind ``line``.
    """
    places: list[float] = []
    values: list[float] = []
    for series in chart.series:
        places += series.numbers
        values += [*series.y, *(series.low or []), *(series.high or [])]
    x = fit(places, room=0.015)
    y = fit(values, chart.from_zero)

    # Intervals of lines with equal values stand beside each other.
    middle = (len(chart.series) - 1) / 2
    lines = []
    for i, series in enumerate(chart.series):
        lines.append(_line(series, chart, x, y, _SHIFT * (i - middle)))

    whole = all(place.is_integer() for place in places)
    # The page counts from the top.
    y_ticks = [Tick(round(100 - tick.place, 2), tick.text) for tick in y.ticks(5)]
    return Lines(chart, lines, _names(chart, y), x.ticks(6, whole), y_ticks, x, y)


def _line(series: Series, chart: Chart, x: Scale, y: Scale, shift: float) -> Line:
    paths = _paths(series, x, y) if series.is_joined else []

    marked: Sequence[int] = []
    if series.mark is not None:
        marked = [series.mark]
    # A point without a line has nothing but its mark.
    elif len(series.x) <= MAX_POINTS or not series.is_joined:
        marked = range(len(series.x))
    points = [_point(series, i, chart, x, y) for i in marked if isfinite(series.y[i])]
    return Line(series, paths, points, shift)


def _paths(series: Series, x: Scale, y: Scale) -> list[str]:
    """Write the pieces of a line between missing values."""
    pieces: list[list[str]] = [[]]
    for place, value in zip(series.numbers, series.y, strict=True):
        if isfinite(value):
            right = x.at(place) * UNITS / 100
            down = (100 - y.at(value)) * UNITS / 100
            pieces[-1].append(f"{right:.0f},{down:.0f}")
        elif pieces[-1]:
            pieces.append([])
    return [" ".join(piece) for piece in pieces if piece]


def _point(series: Series, i: int, chart: Chart, x: Scale, y: Scale) -> Point:
    place = series.numbers[i]
    about = chart.x_title
    if series.mark is not None:
        # Of "epoch, as the log counts: from 0" the first word.
        about = f"best {about.partition(',')[0]}"
    hint = f"{series.name}\n{about}: {place:g}\n{chart.y_title}: {short(series.y[i])}"
    low = high = None
    ends = series.interval(i)
    if ends:
        low = round(100 - y.at(ends[0]), 2)
        high = round(100 - y.at(ends[1]), 2)
        hint += f" ({short(ends[0])} to {short(ends[1])})"
    if i < len(series.details):
        hint += f"\n{series.details[i]}"
    return Point(x.at(place), round(100 - y.at(series.y[i]), 2), low, high, hint)


def _names(chart: Chart, y: Scale) -> list[EndName]:
    """Place a name at the mean end of the lines of each model."""
    ends: dict[str, list[float]] = {}
    first: dict[str, Series] = {}
    for series in chart.series:
        # A line may end in missing values.
        finite = series.finite
        if finite and series.is_joined:
            ends.setdefault(series.group, []).append(100 - y.at(finite[-1]))
            first.setdefault(series.group, series)

    wanted = {}
    heights = {}
    for name, places in ends.items():
        wanted[name] = float(np.mean(places))
        heights[name] = _LINE_OF_TEXT * ceil(len(name) / _LETTERS)
    placed = spread(wanted, heights)

    names = []
    for name, place in placed.items():
        names.append(EndName(name, first[name], round(place, 2)))
    return names


def spread(wanted: Mapping[str, float], heights: Mapping[str, float]) -> dict[str, float]:
    """Move texts apart that would cover each other.

    Args:
        wanted: Name -> place of its middle, in percent from the top.
        heights: Name -> height in percent.

    Returns:
        Name -> place, from the top to the bottom. Texts beyond the bottom move up together.

    Example:
        >>> spread({"a": 50, "b": 51}, {"a": 10, "b": 10})
        {'a': 50, 'b': 60.0}
    """
    # Downwards first: each begins below the end of the one above it.
    placed = {}
    end = float("-inf")
    for name in sorted(wanted, key=lambda name: wanted[name]):
        placed[name] = max(wanted[name], end + heights[name] / 2)
        end = placed[name] + heights[name] / 2

    # Then upwards from the bottom, for what has left the panel.
    limit = 100.0
    for name in reversed(placed):
        placed[name] = min(placed[name], limit - heights[name] / 2)
        limit = placed[name] - heights[name] / 2
    return placed
