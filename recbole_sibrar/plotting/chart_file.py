"""Figures for papers: PDF and PNG, in colours distinct for colour-blind readers."""

from __future__ import annotations

from itertools import chain
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from recbole_sibrar.plotting.chart import Chart, Series
from recbole_sibrar.plotting.square import Square, draw_square
from recbole_sibrar.plotting.style import LINES, STYLE, place_legend, save_figure, wrapped

__all__ = ["draw", "save"]

_PLAIN: Any = {**STYLE, "text.parse_math": False}  # a dollar sign in a name is no mathematics

_ROW = 0.24
"""Height of a row of dots, in inches."""

_MAX_POINTS = 12
"""Largest number of points of a line for a dot at each, as on the page."""


def draw(chart: Chart | Square) -> Figure:
    """Draw a figure with Matplotlib.

    Args:
        chart: Content of the figure.
    """
    if isinstance(chart, Square):
        return draw_square(chart)

    is_line = chart.kind == "line"
    n_rows = len(chart.categories) * (len(chart.series) if chart.in_groups else 1)
    height = 3.6 if is_line else 1.1 + _ROW * max(n_rows, 3)
    with matplotlib.rc_context(_PLAIN):
        # Without pyplot, which keeps every figure until it is closed.
        figure = Figure(figsize=(5.6, height), layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.add_subplot()
        handles = _draw_lines(axes, chart) if is_line else _draw_dots(axes, chart)

        axes.set_xlabel(chart.x_title if is_line else chart.y_title)
        axes.set_ylabel(chart.y_title if is_line else chart.x_title)
        # After drawing, so that Matplotlib has found the other end.
        if chart.from_zero:
            axes.set(**{"ylim" if is_line else "xlim": (0, None)})
        if chart.grouped and not is_line:
            place_legend(figure, handles, loc="outside upper left")
    return figure


def save(chart: Chart | Square, folder: Path) -> list[Path]:
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
    # A single seed has no error bar, not one of length 0.
    if np.isnan(below).all():
        return None
    lengths: list[list[float]] = np.clip([below, above], 0, None).tolist()  # NaN stays: no bar
    return lengths


def _draw_lines(axes: Axes, chart: Chart) -> dict[str, Any]:
    """Draw lines with their names at their ends, and return one handle for each name."""
    handles: dict[str, Any] = {}
    ends: dict[str, list[float]] = {}
    for series in chart.series:
        colour = series.colour
        x = np.asarray(series.x, dtype=float)
        y = np.asarray(series.y, dtype=float)
        # Greys differ little: the lines of baselines differ by their dashes too.
        line = LINES[0] if colour.own else LINES[1 + colour.number % (len(LINES) - 1)]
        look: Any = {
            "color": colour.light,
            "linestyle": line,
            "linewidth": 1.4 if colour.own else 1.0,
        }
        handle = axes.errorbar(x, y, yerr=_errors(series), capsize=2.5, **look)
        handles.setdefault(series.group, handle)

        dot: Any = {"marker": "o", "color": colour.light}
        if series.mark is not None:
            axes.plot(x[series.mark], y[series.mark], markersize=4.5, **dot)
        elif len(x) <= _MAX_POINTS:
            axes.plot(x, y, markersize=3.5, linestyle="none", **dot)

        # A line may end in missing values.
        if series.finite:
            ends.setdefault(series.group, []).append(series.finite[-1])

    places = chain.from_iterable(series.numbers for series in chart.series)
    if all(place.is_integer() for place in places):
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))

    # Runs of one model share a name at their mean end.
    means = {name: float(np.mean(values)) for name, values in ends.items()}
    _name_ends(axes, chart, means)
    return handles


def _name_ends(axes: Axes, chart: Chart, ends: dict[str, float]) -> None:
    """Write the names right of the lines, moved apart where lines end together."""
    colours = {series.group: series.colour.light for series in chart.series}
    low, high = axes.get_ylim()
    # The axis begins there later, when all is drawn.
    if chart.from_zero:
        low = 0.0

    # From the top: each name begins below the one above it.
    top = 1.0
    for name in sorted(ends, key=lambda name: -ends[name]):
        text = wrapped(name, 1.4)
        height = 0.065 * (text.count("\n") + 1)  # of a line of 9 points in the panel
        wanted = (ends[name] - low) / max(high - low, 1e-12)
        place = min(wanted, top - height / 2)
        top = place - height / 2
        axes.annotate(
            text,
            (1.02, place),
            xycoords="axes fraction",
            va="center",
            color=colours[name],
            annotation_clip=False,
        )


def _draw_dots(axes: Axes, chart: Chart) -> dict[str, Any]:
    """Draw a row for each name, or for each series of each name; return the series' handles."""
    n_series = len(chart.series) if chart.in_groups else 1
    # Groups of rows stand a little apart.
    step = n_series + 0.8 * chart.in_groups
    tops = step * np.arange(len(chart.categories))
    rows = dict(zip(chart.categories, tops, strict=True))

    handles: dict[str, Any] = {}
    for position, series in enumerate(chart.series):
        shift = position if chart.in_groups else 0
        y = [rows[name] + shift for name in series.x_texts]
        colour = series.colour.light
        # Not strict: a series may have no values of single runs.
        for place, values in zip(y, series.seeds, strict=False):
            places = [place] * len(values)
            axes.plot(values, places, "|", color=colour, markersize=6, markeredgewidth=0.8)
        handles[series.group] = axes.errorbar(
            np.asarray(series.y, dtype=float),
            y,
            xerr=_errors(series),
            fmt="o" if series.colour.own else "s",
            color=colour,
            markerfacecolor="white" if series.hollow else colour,
            markersize=5,
            elinewidth=1.1,
        )

    for level in chart.levels:
        axes.axvline(level.value, color="#555555", linewidth=0.8, linestyle=":", zorder=0)
        label = axes.annotate(
            level.name, (level.value, 1.01), xycoords=("data", "axes fraction"), fontsize=8
        )
        # Two levels can lie close together.
        label.set_rotation(30)

    names = [wrapped(name, 1.8) for name in rows]
    axes.set_yticks(tops + (n_series - 1) / 2, names)
    # The first row on top.
    axes.invert_yaxis()
    axes.grid(False, axis="y")
    # More numbers would touch beside long names.
    axes.xaxis.set_major_locator(MaxNLocator(nbins=5))
    return handles
