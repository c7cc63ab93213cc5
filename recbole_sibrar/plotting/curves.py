"""Figures of results as curves."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Any

import matplotlib
import pandas as pd
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from recbole_sibrar.files import replacing

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
"""The colours of Okabe and Ito, which colour-blind readers tell apart; the palest one is left out."""

MARKERS = ("o", "s", "^", "D", "v", "P", "X")
LINES: tuple[str | tuple[float, tuple[float, ...]], ...] = ("-", "--", "-.", ":", (0, (6, 1.5, 1, 1.5, 1, 1.5)))

_ABBREVIATIONS = ("mrr", "map", "gauc", "auc", "mae", "rmse", "arp", "aplt", "aclt", "pl", "ild")
"""Metrics in capitals."""

_WORDS = {"placeshare": "Share of places", "candidateshare": "Share of candidates"}
"""Values of groups of items that are no metrics of their own."""

STYLE: Any = {
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#DDDDDD",
    "grid.linewidth": 0.6,
    "axes.axisbelow": True,
    "legend.frameon": False,
    "pdf.fonttype": 42,  # letters stay letters, as publishers ask
}
"""Matplotlib's settings for every figure."""
"""What all figures share."""


def line_names(frame: pd.DataFrame) -> dict[str, str]:
    """What each checkpoint is called in a figure: its model, and its file where a model occurs twice.

    Args:
        frame: Rows with the columns ``checkpoint`` and ``model``.

    Returns:
        Checkpoint -> name, in the order of the rows.
    """
    models = dict(zip(frame["checkpoint"], frame["model"], strict=True))
    counts = pd.Series(list(models.values())).value_counts()
    files = pd.Series([os.path.basename(checkpoint) for checkpoint in models]).value_counts()
    names = {}
    for checkpoint, model in models.items():
        file = os.path.basename(checkpoint)
        names[checkpoint] = f"{model} ({file if files[file] == 1 else checkpoint})" if counts[model] > 1 else model
    return names


def missing_curves(frame: pd.DataFrame, metric: str) -> Figure:
    """A metric against the share of values that are missing, one line for each checkpoint.

    A point is the mean over the seeds, its bar their standard deviation (n - 1).

    Args:
        frame: The rows of a study of missing modalities: ``model``, ``checkpoint``, ``side``, ``experiment``,
            ``rate``, ``share_missing`` and the metric. Rows of other experiments than ``loss`` are left out.
        metric: Name of the column to draw.
    """
    losses = frame[frame["experiment"] == "loss"]
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(5.2, 3.4), layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.add_subplot()
        for i, (checkpoint, name) in enumerate(line_names(losses).items()):
            groups = losses[losses["checkpoint"] == checkpoint].groupby("rate")
            axes.errorbar(
                groups["share_missing"].mean().to_numpy(),
                groups[metric].mean().to_numpy(),
                yerr=groups[metric].std().fillna(0).to_numpy(),
                label=name,
                color=COLOURS[i % len(COLOURS)],
                marker=MARKERS[i % len(MARKERS)],
                linestyle=LINES[i % len(LINES)],
                linewidth=1.4,
                markersize=5.5,
                markerfacecolor="none" if i else None,  # points that coincide stay visible
                capsize=2.5,
            )
        sides = "/".join(losses["side"].unique())
        axes.set_xlabel(f"share of {sides} modality values missing")
        axes.set_ylabel(metric_title(metric))
        axes.set_xlim(-0.03, 1.03)
        axes.set_ylim(bottom=0)
        figure.legend(loc="outside upper left", handlelength=3)
    return figure


def metric_title(metric: str) -> str:
    """The usual spelling of a metric that RecBole names in small letters.

    Example:
        >>> metric_title("ndcg@10"), metric_title("recall@5")
        ('nDCG@10', 'Recall@5')
    """
    name, at, k = metric.partition("@")
    usual = {"ndcg": "nDCG", **_WORDS, **{short: short.upper() for short in _ABBREVIATIONS}}
    return f"{usual.get(name, name.capitalize())}{at}{k}"


def save_figure(figure: Figure, path: Path) -> None:
    """Write a figure in the format of the path's suffix; a file of that name is replaced when all is written.

    Args:
        figure: The figure.
        path: Where to, for example ``missing.pdf``.
    """
    logging.getLogger("fontTools").setLevel(logging.WARNING)  # it tells a log what it does to every font in a PDF
    with matplotlib.rc_context(STYLE), replacing(path) as temporary:
        figure.savefig(temporary, format=path.suffix.removeprefix("."), dpi=300)
