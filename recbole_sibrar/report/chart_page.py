"""Data of the figures on the page; the page's script hands them to Plotly in the colours of the theme."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any

from recbole_sibrar.plotting.chart import Chart, Series

__all__ = ["ChartSet", "describe"]


@dataclass(frozen=True)
class ChartSet:
    """A place on the page for one of several figures at a time."""

    label: str
    """Label of the choice, such as ``metric``."""
    charts: Sequence[Chart]
    """The figures; the first one is shown first."""

    @property
    def slug(self) -> str:
        """Identifies the place on the page."""
        return f"chart-{self.charts[0].name}"

    def data(self) -> list[dict[str, Any]]:
        """Convert all figures to plain values, for JSON."""
        return [_chart(chart) for chart in self.charts]


def describe(chart: Chart) -> str:
    """Describe a figure in words, for screen readers.

    Args:
        chart: The figure.
    """
    kind = "Line chart" if chart.kind == "line" else "Dot plot"
    names = ", ".join(dict.fromkeys(series.group for series in chart.series))
    values = [y for series in chart.series for y in series.y if isfinite(y)]
    extent = f" Values from {min(values):.4g} to {max(values):.4g}." if values else ""
    return f"{kind}. {chart.title}: {names}.{extent} All values stand in the table below it."


def _chart(chart: Chart) -> dict[str, Any]:
    return {
        "name": chart.name,
        "choice": chart.choice,
        "title": chart.title,
        "kind": chart.kind,
        "xTitle": chart.x_title,
        "yTitle": chart.y_title,
        "grouped": chart.grouped,
        "fromZero": chart.from_zero,
        "description": describe(chart),
        "levels": [{"name": level.name, "value": _number(level.value)} for level in chart.levels],
        "series": [_series(series) for series in chart.series],
    }


def _series(series: Series) -> dict[str, Any]:
    errors = None
    if series.low is not None and series.high is not None and any(map(isfinite, series.low)):
        errors = {
            "low": [_number(y - low) for y, low in zip(series.y, series.low, strict=True)],
            "high": [_number(high - y) for y, high in zip(series.y, series.high, strict=True)],
        }
    return {
        "name": series.name,
        "group": series.group,
        "light": series.colour.light,
        "dark": series.colour.dark,
        "own": series.colour.own,
        "number": series.colour.number,
        "mark": series.mark,
        "seeds": [[_number(value) for value in values] for values in series.seeds],
        "x": list(series.x),
        "y": [_number(y) for y in series.y],
        "errors": errors,
        "details": list(series.details),
    }


def _number(value: float) -> float | None:
    """Round a number to six digits for JSON; None for NaN and infinity, unknown to JSON."""
    return float(f"{value:.6g}") if isfinite(value) else None
