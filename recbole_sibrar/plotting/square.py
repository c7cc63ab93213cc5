"""Tests of all pairs of models as a square: its content, and its drawing in a file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from recbole_sibrar.plotting.style import STYLE, wrapped

__all__ = ["Square", "SquareCell", "draw_square"]

_SETTINGS: Any = {**STYLE, "axes.grid": False, "text.parse_math": False}

_FILLS = {"better": "#dcebf8", "worse": "#fbe6d6", "": "#ffffff"}
"""Grounds of the cells, the same as on the page."""

_WIDTH, _HEIGHT = 0.95, 0.42
"""Size of a cell in inches."""

_NAMES = 1.5
"""Width of the names of the rows in inches."""

_LINE = 0.15
"""Height of a line of 8 points in inches."""


@dataclass(frozen=True)
class SquareCell:
    """Comparison of the model of a row with that of a column."""

    text: str
    """Difference of the means; empty on the diagonal."""
    minor: str = ""
    """Its p-value."""
    verdict: str = ""
    """``better`` or ``worse``, for a significant difference."""


@dataclass(frozen=True)
class Square:
    """All pairs of models in one metric."""

    name: str
    """Name of its files."""
    title: str
    """Its caption."""
    names: Sequence[str]
    """The models, the best first."""
    rows: Sequence[Sequence[SquareCell]]
    """A cell for each column, in the order of the names."""

    @property
    def kind(self) -> str:
        """Name of the template."""
        return "square"


def draw_square(square: Square) -> Figure:
    """Draw the square with Matplotlib: differences and p-values, on a coloured ground.

    Args:
        square: Its content.
    """
    n = len(square.names)
    width = _NAMES + _WIDTH * n
    rows = [wrapped(name, _NAMES - 0.1, 8) for name in square.names]
    columns = [wrapped(name, _WIDTH - 0.05, 8) for name in square.names]
    colours = "Blue: significantly better; orange: significantly worse."
    about = wrapped(f"{square.title}, and p-value. {colours}", width - 0.2, 8)

    # Rows are as high as the longest name, so that names of neighbours stay apart.
    row_height = max(_HEIGHT, _LINE * (_n_lines(*rows) + 0.5))
    height = row_height * n + _LINE * (_n_lines(*columns) + _n_lines(about) + 1)

    with matplotlib.rc_context(_SETTINGS):
        figure = Figure(figsize=(width, height), layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.add_subplot()

        # The first row on top.
        axes.set(xlim=(0, n), ylim=(n, 0))
        for i, row in enumerate(square.rows):
            for j, cell in enumerate(row):
                _draw_cell(axes, cell, i, j)

        middles = np.arange(n) + 0.5
        axes.set_yticks(middles, rows)
        axes.set_xticks(middles, columns)
        axes.tick_params(top=True, labeltop=True, bottom=False, labelbottom=False)
        axes.tick_params(length=0, labelsize=8)
        axes.spines[:].set_visible(False)
        figure.supxlabel(about, fontsize=8)
    return figure


def _n_lines(*texts: str) -> int:
    """Count the lines of the longest text."""
    counts = [text.count("\n") for text in texts]
    return max(counts) + 1


def _draw_cell(axes: Axes, cell: SquareCell, i: int, j: int) -> None:
    """Draw the cell of row ``i`` and column ``j``."""
    fill = _FILLS[cell.verdict]
    ground: Any = {"facecolor": fill, "edgecolor": "#cccccc", "linewidth": 0.6, "clip_on": False}
    axes.add_patch(Rectangle((j, i), 1, 1, **ground))

    star = "*" if cell.verdict else ""
    axes.text(j + 0.5, i + 0.34, f"{cell.text}{star}", ha="center", va="center", fontsize=9)
    axes.text(j + 0.5, i + 0.72, cell.minor, ha="center", va="center", fontsize=7)
