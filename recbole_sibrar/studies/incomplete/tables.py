"""Table of the study of values that are missing in training too."""

from __future__ import annotations

import pandas as pd

__all__ = ["COLUMNS", "markdown", "pivoted"]

COLUMNS = ("model", "impute", "rate", "seed", "minutes", "valid_score")
"""Columns of the study's table before the metrics."""


def pivoted(frame: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Arrange a metric with a row for each model and way, and a column for each rate.

    A cell is the mean over the seeds, and their standard deviation (n - 1) for several; ``-``
    without a result.

    Args:
        frame: A row for each run: :data:`COLUMNS`, then the metrics.
        metric: Name of the column to arrange.

    Example:
        >>> rows = [("SiBraR", "none", 0.0, 1, 0.25), ("SiBraR", "none", 0.5, 1, 0.125)]
        >>> frame = pd.DataFrame(rows, columns=["model", "impute", "rate", "seed", "ndcg@10"])
        >>> pivoted(frame, "ndcg@10").iloc[0].tolist()
        ['SiBraR', 'none', '0.2500', '0.1250']
    """
    cells: dict[tuple[str, str], dict[str, str]] = {}
    for (model, way, rate), rows in frame.groupby(["model", "impute", "rate"], sort=False):
        cells.setdefault((str(model), str(way)), {})[f"{rate:g}"] = _mean(rows[metric])

    rates = [f"{rate:g}" for rate in sorted(frame["rate"].unique())]
    lines = []
    for (model, way), row in cells.items():
        lines.append([model, way, *(row.get(rate, "-") for rate in rates)])
    return pd.DataFrame(lines, columns=["model", "impute", *rates])


def markdown(frame: pd.DataFrame, metric: str) -> str:
    """Write the table of :func:`pivoted` in Markdown, with the metric above it."""
    table = pivoted(frame, metric)
    lines = [list(table.columns), ["---"] * len(table.columns), *table.to_numpy().tolist()]
    rows = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    return f"{metric}, by the share of values hidden before training\n\n{rows}\n"


def _mean(values: pd.Series[float]) -> str:
    mean = f"{values.mean():.4f}"
    return f"{mean} ± {values.std():.4f}" if len(values) > 1 else mean
