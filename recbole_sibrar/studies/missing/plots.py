"""Figure of the study of missing modalities."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from recbole_sibrar.plotting.chart import Chart, Series, summary
from recbole_sibrar.plotting.chart_file import draw
from recbole_sibrar.plotting.colours import Colour, model_colours
from recbole_sibrar.plotting.style import line_names, metric_title

__all__ = ["missing_chart", "missing_curves"]


def missing_curves(frame: pd.DataFrame, metric: str) -> Figure:
    """Draw a metric against the share of missing values, one line for each checkpoint.

    A point is the mean over the seeds, its bar their standard deviation (n - 1).

    Args:
        frame: Rows of a study of one side: ``model``, ``checkpoint``, ``side``, ``experiment``,
            ``rate``, ``share_missing`` and the metric. Experiments other than ``loss`` are left
            out.
        metric: Name of the column to draw.
    """
    losses = frame[frame["experiment"] == "loss"]
    names = line_names(losses)
    classes = dict(zip(losses["checkpoint"].map(names), losses["model"], strict=True))
    named = losses.assign(name=losses["checkpoint"].map(names))
    return draw(missing_chart("missing", named, metric, model_colours(classes)))


def missing_chart(
    name: str, losses: pd.DataFrame, metric: str, colours: Mapping[str, Colour]
) -> Chart:
    """Make the figure of a metric against the share of missing values, one line for each name.

    Args:
        name: Name of the figure's files.
        losses: Rows of the experiment ``loss`` of one side, with the column ``name``.
        metric: Name of the column to draw.
        colours: Colour of each name.
    """
    side = losses["side"].iloc[0]
    groups = losses.groupby("name", sort=False)
    series = [_series(rows, str(line), metric, colours) for line, rows in groups]
    title = metric_title(metric)
    heading = f"Test {title} while {side} modalities are missing"
    label = f"share of {side} modality values missing"
    return Chart(name, title, heading, "line", label, title, series)


def _series(rows: pd.DataFrame, name: str, metric: str, colours: Mapping[str, Colour]) -> Series:
    points = []
    shares = []
    details = []
    for _, part in rows.groupby("rate"):
        points.append(summary(part[metric]))
        # The drawn share, which is near the rate.
        shares.append(round(float(part["share_missing"].mean()), 6))
        details.append(f"mean of {len(part)} evaluation{'s' if len(part) > 1 else ''}")

    mean, low, high = np.transpose(points).tolist()
    return Series(name, name, colours[name], shares, mean, low, high, details)
