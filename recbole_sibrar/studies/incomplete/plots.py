"""Figure of the study of values that are missing in training too."""

from __future__ import annotations

import matplotlib
import pandas as pd
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from recbole_sibrar.plotting.style import COLOURS, LINES, MARKERS, STYLE, metric_title, place_legend

__all__ = ["incomplete_curves"]


def incomplete_curves(frame: pd.DataFrame, metric: str) -> Figure:
    """Draw a metric against the share of hidden values.

    There is a line for each model and way to fill values in. A point is the mean over the seeds,
    its bar their standard deviation (n - 1). A way has a colour, a model a mark.

    Args:
        frame: A row for each run: ``model``, ``impute``, ``rate`` and the metric.
        metric: Name of the column to draw.
    """
    ways = list(dict.fromkeys(frame["impute"]))
    models = list(dict.fromkeys(frame["model"]))
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(5.2, 3.4), layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.add_subplot()

        for (model, way), rows in frame.groupby(["model", "impute"], sort=False):
            groups = rows.groupby("rate")[metric]
            # One seed has no error bar.
            several = bool((groups.size() > 1).any())
            axes.errorbar(
                groups.mean().index.to_numpy(),
                groups.mean().to_numpy(),
                yerr=groups.std().fillna(0).to_numpy() if several else None,
                label=way if len(models) == 1 else f"{model}, {way}",
                color=COLOURS[ways.index(way) % len(COLOURS)],
                marker=MARKERS[models.index(model) % len(MARKERS)],
                linestyle=LINES[models.index(model) % len(LINES)],
                linewidth=1.4,
                markersize=5.5,
                capsize=2.5,
            )

        axes.set_xlabel("share of values hidden before training")
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
