"""Figures of the page: what a reader chooses among, and a description for screen readers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from recbole_sibrar.plotting.chart import Chart
from recbole_sibrar.plotting.square import Square
from recbole_sibrar.report.drawing import draw_dots, draw_lines

__all__ = ["ChartSet", "PageFigure", "View", "chart_set", "describe", "page_figure"]


class View(Protocol):
    """Figure with all places computed."""

    @property
    def kind(self) -> str:
        """Name of its template."""


@dataclass(frozen=True)
class PageFigure:
    """A figure on the page."""

    name: str
    """Identifier."""
    choice: str
    """Difference from its siblings, such as the metric."""
    title: str
    """Its caption."""
    description: str
    """Description for screen readers."""
    views: Sequence[View]
    """Its panels, from the top."""
    charts: Sequence[Chart | Square] = field(default_factory=list)
    """Content of its files for papers."""


@dataclass(frozen=True)
class ChartSet:
    """A place on the page for one of several figures at a time."""

    label: str
    """Label of the choice, such as ``metric``."""
    figures: Sequence[PageFigure]
    """The figures; the first one is shown first."""

    @property
    def slug(self) -> str:
        """Identifies the place on the page."""
        return f"chart-{self.figures[0].name}"


def page_figure(chart: Chart) -> PageFigure:
    """Place everything in a figure.

    Args:
        chart: Its content.
    """
    view = draw_lines(chart) if chart.kind == "line" else draw_dots(chart)
    return PageFigure(chart.name, chart.choice, chart.title, describe(chart), [view], [chart])


def chart_set(label: str, charts: Sequence[Chart]) -> ChartSet:
    """Make a place for several figures.

    Args:
        label: Label of the choice.
        charts: Their content.
    """
    return ChartSet(label, [page_figure(chart) for chart in charts])


def describe(chart: Chart) -> str:
    """Describe a figure in words, for screen readers.

    Args:
        chart: The figure.
    """
    kind = "Line chart" if chart.kind == "line" else "Dot plot"
    groups = []
    values: list[float] = []
    for series in chart.series:
        groups.append(series.group)
        values += series.finite
    # The runs of a model have one entry of the legend.
    names = ", ".join(dict.fromkeys(groups))
    extent = f" Values from {min(values):.4g} to {max(values):.4g}." if values else ""
    return f"{kind}. {chart.title}: {names}.{extent}"
