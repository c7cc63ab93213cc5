"""Figure of the study of missing modalities."""

from __future__ import annotations

import matplotlib
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from recbole_sibrar.plotting.style import (
    COLOURS,
    LINES,
    MARKERS,
    STYLE,
    line_names,
    metric_title,
    place_legend,
)

__all__ = ["missing_curves"]


def missing_curves(frame: pd.DataFrame, metric: str) -> Figure:
    """Draw a metric against the share of missing values, one line for each checkpoint.

    A point is the mean over the seeds, its bar their standard deviation (n - 1).

    Args:
        frame: Rows of a study: ``model``, ``checkpoint``, ``side``, ``experiment``, ``rate``, ``share_missing`` and the
            metric. Experiments other than ``loss`` are left out.
        metric: Name of the column to draw.
    """
    losses = frame[frame["experiment"] == "loss"]
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(5.2, 3.4), layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.add_subplot()
        for position, (checkpoint, name) in enumerate(line_names(losses).items()):
            rows = losses[losses["checkpoint"] == checkpoint]
            _draw_line(axes, rows, metric, name, position)

        sides = "/".join(losses["side"].unique())
        axes.set_xlabel(f"share of {sides} modality values missing")
        axes.set_ylabel(metric_title(metric))
        axes.set_xlim(-0.03, 1.03)
        axes.set_ylim(bottom=0)

        handles, labels = axes.get_legend_handles_labels()
        place_legend(
            figure,
            dict(zip(labels, handles, strict=True)),
            loc="outside upper left",
            handlelength=3,
        )
    return figure


def _draw_line(axes: Axes, rows: pd.DataFrame, metric: str, name: str, position: int) -> None:
    """Draw the line of one checkpoint."""
    groups = rows.groupby("rate")
    several = bool((groups.size() > 1).any())
    # One draw has no error bar.
    deviations = groups[metric].std().fillna(0).to_numpy() if several else None
    axes.errorbar(
        groups["share_missing"].mean().to_numpy(),
        groups[metric].mean().to_numpy(),
        yerr=deviations,
        label=name,
        color=COLOURS[position % len(COLOURS)],
        marker=MARKERS[position % len(MARKERS)],
        linestyle=LINES[position % len(LINES)],
        linewidth=1.4,
        markersize=5.5,
        # Coinciding points stay visible.
        markerfacecolor="none" if position else None,
        capsize=2.5,
    )
