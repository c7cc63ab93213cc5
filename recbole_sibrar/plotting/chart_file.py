"""Figures for papers: PDF and PNG, in colours distinct for colour-blind readers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from recbole_sibrar.plotting.chart import Chart, Series
from recbole_sibrar.plotting.style import COLOURS, LINES, MARKERS, STYLE, save_figure

__all__ = ["draw", "save"]

_PLAIN: Any = {**STYLE, "hatch.linewidth": 0.6, "text.parse_math": False}  # a dollar sign in a name is no mathematics

_HATCHES = ("", "//", "..", "xx", "\\\\", "oo", "--")
"""Patterns of bars, for print without colours."""


def draw(chart: Chart) -> Figure:
    """Draw a figure with Matplotlib.

    Args:
        chart: Content of the figure.
    """
    with matplotlib.rc_context(_PLAIN):
        figure = Figure(figsize=(5.6, 3.6), layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.add_subplot()
        handles = _draw_lines(axes, chart) if chart.kind == "line" else _draw_bars(axes, chart)

        axes.set_xlabel(chart.x_title)
        axes.set_ylabel(chart.y_title)
        if chart.from_zero and all(y >= 0 for series in chart.series for y in series.y):
            axes.set_ylim(bottom=0)
        if chart.kind == "line" or chart.grouped:
            columns = 2 if max(map(len, handles), default=0) > 16 else 3
            figure.legend(list(handles.values()), list(handles), loc="outside upper left", ncols=columns)
    return figure


def save(chart: Chart, folder: Path) -> list[Path]:
    """Write a figure as PDF and PNG.

    Args:
        chart: Content of the figure.
        folder: Folder of the files.

    Returns:
        The files.
    """
    figure = draw(chart)
    paths = [folder / f"{chart.name}.{suffix}" for suffix in ("pdf", "png")]
    for path in paths:
        save_figure(figure, path)
    return paths


def _errors(series: Series) -> list[list[float]] | None:
    """Lengths of the error bars below and above."""
    if series.low is None or series.high is None:
        return None

    y = np.asarray(series.y, dtype=float)
    below = y - np.asarray(series.low)
    above = np.asarray(series.high) - y
    lengths: list[list[float]] = np.nan_to_num([below, above]).clip(min=0).tolist()
    return lengths


def _draw_lines(axes: Axes, chart: Chart) -> dict[str, Any]:
    """Draw lines, and return the entries of the legend."""
    handles: dict[str, Any] = {}
    for series in chart.series:
        i = series.style
        handle = axes.errorbar(
            np.asarray(series.x, dtype=float),
            np.asarray(series.y, dtype=float),
            yerr=_errors(series),
            color=COLOURS[i % len(COLOURS)],
            marker=MARKERS[i % len(MARKERS)],
            linestyle=LINES[i % len(LINES)],
            linewidth=1.3,
            markersize=4.5,
            markerfacecolor="none",  # coinciding points stay visible
            capsize=2.5,
        )
        handles.setdefault(series.group, handle)

    if all(float(x).is_integer() for series in chart.series for x in series.x):
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    return handles


def _draw_bars(axes: Axes, chart: Chart) -> dict[str, Any]:
    """Draw bars, several series side by side, and return the entries of the legend."""
    categories = {name: i for i, name in enumerate(chart.categories)}
    width = 0.8 / len(chart.series) if chart.grouped else 0.7
    handles: dict[str, Any] = {}
    for position, series in enumerate(chart.series):
        shift = (position - (len(chart.series) - 1) / 2) * width if chart.grouped else 0.0
        handles[series.group] = axes.bar(
            [categories[x] + shift for x in series.x_texts],
            np.asarray(series.y, dtype=float),
            width,
            yerr=_errors(series),
            color=COLOURS[series.style % len(COLOURS)],
            hatch=_HATCHES[series.style % len(_HATCHES)],
            edgecolor="white",
            linewidth=0.5,
            error_kw={"elinewidth": 0.9, "capsize": 2.5},
        )

    crowded = max(map(len, categories)) * len(categories) > 60
    labels: Any = {"rotation": 30, "ha": "right", "rotation_mode": "anchor"} if crowded else {}
    axes.set_xticks(range(len(categories)), list(categories), **labels)
    axes.grid(False, axis="x")
    return handles
