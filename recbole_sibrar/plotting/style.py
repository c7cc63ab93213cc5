"""Style of all figures: colours, settings, names of models and metrics, writing to files."""

from __future__ import annotations

import logging
import os
import re
import textwrap
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.legend import Legend

from recbole_sibrar.files import replacing
from recbole_sibrar.names import without_view

__all__ = [
    "COLOURS",
    "LINES",
    "MARKERS",
    "STYLE",
    "line_names",
    "look",
    "metric_title",
    "place_legend",
    "save_figure",
    "wrapped",
]

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
"""Colours of Okabe and Ito, distinct for colour-blind readers; the palest one is left out."""

MARKERS = ("o", "s", "^", "D", "v", "P", "X")
# The last is dash, dot, dot: Matplotlib has a name for four styles only.
LINES: tuple[str | tuple[float, tuple[float, ...]], ...] = (
    "-",
    "--",
    "-.",
    ":",
    (0, (6, 1.5, 1, 1.5, 1, 1.5)),
)

_ABBREVIATIONS = ("mrr", "map", "gauc", "auc", "mae", "rmse", "arp", "aplt", "aclt", "pl", "ild")
"""Metrics in capitals."""

_SPELLINGS = {
    "ndcg": "nDCG",
    "placeshare": "Share of places",
    "candidateshare": "Share of candidates",
}
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
        >>> metric_title("ndcg@10"), metric_title("recall@5[cold]")
        ('nDCG@10', 'Recall@5 (cold)')
    """
    metric, view = without_view(metric)
    name, at, k = metric.partition("@")
    usual = _SPELLINGS.get(name, name.capitalize())
    spelled = name.upper() if name in _ABBREVIATIONS else usual
    return f"{spelled}{at}{k}{f' ({view})' if view else ''}"


def look(number: int) -> dict[str, str]:
    """Return colour and marker of a modality; the first 49 numbers have different pairs.

    Example:
        >>> look(0) != look(7)
        True
    """
    rounds, i = divmod(number, len(COLOURS))
    return {"color": COLOURS[i], "marker": MARKERS[(i + rounds) % len(MARKERS)]}


def wrapped(text: str, inches: float, points: float = 9) -> str:
    r"""Break a text into lines that fit a width.

    Lines break at spaces and after signs; inside a word or number only if it must be.

    Args:
        text: The text; its own line breaks stay.
        inches: Width.
        points: Size of the letters.

    Example:
        >>> wrapped("SiBraR without contrast", 1.2)
        'SiBraR without\ncontrast'
        >>> wrapped("SiBraR temperature=0.125", 1.2)
        'SiBraR\ntemperature=\n0.125'
    """
    # An inch has 72 points; a mean letter of DejaVu Sans is 0.62 of its size wide.
    n_letters = max(4, int(inches * 72 / (0.62 * points)))
    return "\n".join(_fill(line, n_letters) for line in text.split("\n"))


def _fill(text: str, n_letters: int) -> str:
    """Fill lines with pieces that end with a space or a sign."""
    lines = [""]
    for piece in re.findall(r".+?(?:[\s=,:_/+]+|$)", text):
        length = len(piece.rstrip())
        # A longer piece is broken anyway, and begins on the line before.
        fits_alone = length <= n_letters
        if lines[-1] and fits_alone and len(lines[-1]) + length > n_letters:
            lines.append("")
        lines[-1] += piece

    filled = [textwrap.fill(line.rstrip(), n_letters, break_on_hyphens=False) for line in lines]
    return "\n".join(filled)


def place_legend(figure: Figure, handles: Mapping[str, Any], **options: Any) -> Legend:
    """Add a legend with as many columns as fit the width of the figure.

    Args:
        figure: The figure.
        handles: Text of an entry -> its handle.
        options: Of Matplotlib's ``Figure.legend``.
    """
    width = figure.get_figwidth()
    texts = [wrapped(text, width - 0.7) for text in handles]
    # Only a legend in the figure has an extent.
    for n_columns in range(len(texts), 0, -1):
        legend = figure.legend(list(handles.values()), texts, ncols=n_columns, **options)
        extent = legend.get_window_extent(figure.canvas.get_renderer())  # type: ignore[attr-defined]
        if n_columns == 1 or extent.width <= width * figure.dpi:
            break
        legend.remove()
    return legend


def save_figure(figure: Figure, path: Path) -> None:
    """Write a figure in the format of the path's suffix.

    An existing file is replaced when all is written.

    Args:
        figure: The figure.
        path: Path of the file, for example ``missing.pdf``.
    """
    # It logs every step of embedding a font in a PDF.
    logging.getLogger("fontTools").setLevel(logging.WARNING)
    # Some settings, such as the type of a PDF's letters, act on writing.
    with matplotlib.rc_context(STYLE), replacing(path) as temporary:
        figure.savefig(temporary, format=path.suffix.removeprefix("."), dpi=300)
