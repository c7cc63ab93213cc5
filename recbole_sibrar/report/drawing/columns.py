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
    titles = []
    columns = []
    for chart in charts:
        titles.append(chart.y_title)
        columns.append(_column(chart))

    rows = []
    for name in columns[0]:
        rows.append((name, [column[name] for column in columns]))
    return Columns(titles, rows)


def _column(chart: Chart) -> dict[str, tuple[Mark, str]]:
    """Name of each row -> its dot and its value."""
    return {row.name: (row.marks[0], row.value) for row in draw_dots(chart).rows}
