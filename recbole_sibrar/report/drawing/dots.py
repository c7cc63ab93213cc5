"""Dots in rows, with intervals, single runs and levels to compare with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import chain
from math import isfinite

from recbole_sibrar.plotting.chart import Chart, Level, Series
from recbole_sibrar.report.drawing.scale import Scale, Tick, fit, short

__all__ = ["Dots", "LevelLine", "Mark", "Row", "draw_dots"]

_MAX_VALUES = 2
"""Largest number of values written beside a row; those of more dots stand in a table."""


@dataclass(frozen=True)
class Mark:
    """A value."""

    series: Series
    """Its series, with colour and shape."""
    place: float | None
    """Percent of the axis; None for a missing value."""
    low: float | None
    """Place of the lower end of its interval."""
    high: float | None
    """Place of the upper end."""
    seeds: Sequence[float]
    """Places of the single runs."""
    hint: str
    """Text for a pointer."""


@dataclass(frozen=True)
class Row:
    """A row of dots, or a heading above some."""

    name: str
    """Text on its left."""
    marks: Sequence[Mark] = field(default_factory=list)
    """Dots; none for a heading."""
    value: str = ""
    """Text on its right."""


@dataclass(frozen=True)
class LevelLine:
    """Line across all rows."""

    name: str
    """Its text, with the value."""
    place: float
    """Percent of the axis."""

    @property
    def is_right(self) -> bool:
        """True for a line in the right half; its text ends there."""
        return self.place > 50


@dataclass(frozen=True)
class Dots:
    """View of a dot plot."""

    chart: Chart
    """The figure."""
    rows: Sequence[Row]
    """In order."""
    ticks: Sequence[Tick]
    """Numbers on the axis."""
    levels: Sequence[LevelLine]
    """Levels to compare with."""

    @property
    def kind(self) -> str:
        """Name of the template."""
        return "dots"


def draw_dots(chart: Chart) -> Dots:
    """Place the dots of a figure.

    Args:
        chart: A figure of the kind ``dots``.
    """
    scale = fit(_values(chart), chart.from_zero)
    if chart.in_groups:
        rows = _grouped_rows(chart, scale)
    else:
        rows = [_row(name, points, scale, chart) for name, points in _points(chart).items()]

    # An infinite level, such as that of an error, has no place on an axis.
    finite = [level for level in chart.levels if isfinite(level.value)]
    levels = [LevelLine(_level_name(level), scale.at(level.value)) for level in finite]
    return Dots(chart, rows, scale.ticks(), levels)


def _level_name(level: Level) -> str:
    return f"{level.name} {short(level.value)}" if level.value else level.name


def _points(chart: Chart) -> dict[str, list[tuple[Series, int]]]:
    """Find the dots of each name: series and position."""
    points: dict[str, list[tuple[Series, int]]] = {}
    for series in chart.series:
        for i, name in enumerate(series.x_texts):
            points.setdefault(name, []).append((series, i))
    return points


def _grouped_rows(chart: Chart, scale: Scale) -> list[Row]:
    """Put the models below a heading for each category."""
    rows = []
    for category, points in _points(chart).items():
        rows.append(Row(f"{chart.x_title}: {category}" if chart.x_title else category))
        for series, i in points:
            rows.append(_row(series.name, [(series, i)], scale, chart))
    return rows


def _values(chart: Chart) -> list[float]:
    """List all numbers that the axis has to hold."""
    values = [level.value for level in chart.levels]
    for series in chart.series:
        values += [*series.y, *(series.low or []), *(series.high or [])]
        values += chain.from_iterable(series.seeds)
    return values


def _row(name: str, points: Sequence[tuple[Series, int]], scale: Scale, chart: Chart) -> Row:
    marks = []
    values = []
    for series, i in points:
        marks.append(_mark(series, i, scale, chart))
        values.append(_text(series.y[i], chart))
    return Row(name, marks, " / ".join(values) if len(values) <= _MAX_VALUES else "")


def _text(value: float, chart: Chart) -> str:
    return format(value, chart.form) if chart.form and value == value else short(value)


def _mark(series: Series, i: int, scale: Scale, chart: Chart) -> Mark:
    value = series.y[i]
    if not isfinite(value):
        return Mark(series, None, None, None, (), f"{series.name}: no value")

    name = series.x_texts[i]
    texts = [series.name if name == series.name else f"{series.name}, {name}"]
    texts.append(f"{chart.y_title}: {short(value)}")
    low = high = None
    ends = series.interval(i)
    if ends:
        low, high = scale.at(ends[0]), scale.at(ends[1])
        texts[-1] += f" ({short(ends[0])} to {short(ends[1])})"
    if i < len(series.details) and series.details[i]:
        texts.append(series.details[i])

    # A single run is the dot itself.
    seeds = series.seeds[i] if i < len(series.seeds) else ()
    several = scale.places(filter(isfinite, seeds)) if len(seeds) > 1 else []
    return Mark(series, scale.at(value), low, high, several, "\n".join(texts))
