"""Several dot plots side by side, a row for each model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from recbole_sibrar.plotting.chart import Chart
from recbole_sibrar.report.drawing.dots import Mark, draw_dots

__all__ = ["Columns", "align"]


@dataclass(frozen=True)
class Columns:
    """View of dot plots with common rows."""

    titles: Sequence[str]
    """Title of each plot."""
    rows: Sequence[tuple[str, Sequence[tuple[Mark, str]]]]
    """Name of each row, with a mark and its value in each plot."""

    @property
    def kind(self) -> str:
        """Name of the template."""
        return "columns"


def align(charts: Sequence[Chart]) -> Columns:
    """Put dot plots with the same names side by side.

    Args:
        charts: Dot plots with one dot a name; the rows are those of the first one.
    """
    views = [draw_dots(chart) for chart in charts]
    known = [{row.name: (row.marks[0], row.value) for row in view.rows} for view in views]
    rows = [(name, [places[name] for places in known]) for name in known[0]]
    return Columns([chart.y_title for chart in charts], rows)
