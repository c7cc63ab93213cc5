"""Style of all figures: colours, settings, names of models and metrics, writing to files."""

from __future__ import annotations

import logging
import os
from collections import Counter
from pathlib import Path
from typing import Any

import matplotlib
import pandas as pd
from matplotlib.figure import Figure

from recbole_sibrar.files import replacing

__all__ = ["COLOURS", "LINES", "MARKERS", "STYLE", "line_names", "metric_title", "save_figure"]

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
"""Colours of Okabe and Ito, distinct for colour-blind readers; the palest one is left out."""

MARKERS = ("o", "s", "^", "D", "v", "P", "X")
LINES: tuple[str | tuple[float, tuple[float, ...]], ...] = ("-", "--", "-.", ":", (0, (6, 1.5, 1, 1.5, 1, 1.5)))

_ABBREVIATIONS = ("mrr", "map", "gauc", "auc", "mae", "rmse", "arp", "aplt", "aclt", "pl", "ild")
"""Metrics in capitals."""

_SPELLINGS = {"ndcg": "nDCG", "placeshare": "Share of places", "candidateshare": "Share of candidates"}
"""Spellings of other metrics, and of two values of groups of items."""

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


def line_names(frame: pd.DataFrame) -> dict[str, str]:
    """Name each checkpoint in a figure: its model, and its file if a model occurs twice.

    Args:
        frame: Rows with the columns ``checkpoint`` and ``model``.

    Returns:
        Checkpoint -> name, in the order of the rows.
    """
    models: dict[str, str] = dict(zip(frame["checkpoint"], frame["model"], strict=True))
    n_checkpoints = Counter(models.values())
    n_paths = Counter(map(os.path.basename, models))

    names = {}
    for checkpoint, model in models.items():
        file = os.path.basename(checkpoint)
        shown = file if n_paths[file] == 1 else checkpoint
        names[checkpoint] = model if n_checkpoints[model] == 1 else f"{model} ({shown})"
    return names


def metric_title(metric: str) -> str:
    """Spell a metric as usual; RecBole names it in small letters.

    Example:
        >>> metric_title("ndcg@10"), metric_title("recall@5")
        ('nDCG@10', 'Recall@5')
    """
    name, at, k = metric.partition("@")
    usual = _SPELLINGS.get(name, name.capitalize())
    spelled = name.upper() if name in _ABBREVIATIONS else usual
    return f"{spelled}{at}{k}"


def save_figure(figure: Figure, path: Path) -> None:
    """Write a figure in the format of the path's suffix; an existing file is replaced when all is written.

    Args:
        figure: The figure.
        path: Path of the file, for example ``missing.pdf``.
    """
    logging.getLogger("fontTools").setLevel(logging.WARNING)  # it logs every step of embedding a font in a PDF
    with matplotlib.rc_context(STYLE), replacing(path) as temporary:
        figure.savefig(temporary, format=path.suffix.removeprefix("."), dpi=300)
