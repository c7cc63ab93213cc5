"""Table of the study of missing modalities, for the terminal."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from recbole_sibrar.studies.missing.measures import COLUMNS

__all__ = ["table"]


def table(frame: pd.DataFrame, metric: str, width: int = 5) -> str:
    """Write the results for the terminal.

    A cell is the mean over the seeds, and their standard deviation (n - 1) for several.

    Args:
        frame: Rows of studies.
        metric: Metric of the first column.
        width: Number of metrics; the CSV file has all of them.
    """
    others = [name for name in frame.columns if name not in COLUMNS and name != metric]
    metrics = [metric, *others][:width]

    parts = []
    for (model, checkpoint), rows in frame.groupby(["model", "checkpoint"], sort=False):
        side = rows["side"].iloc[0]
        parts.append(f"{model} ({checkpoint}), {side} modalities")
        parts.append(_model_table(rows, metrics))
    return "\n".join(parts)


def _model_table(rows: pd.DataFrame, metrics: Sequence[str]) -> str:
    """Write the rows of one checkpoint, a line for each set of hidden values."""
    lines = []
    for (experiment, modalities, rate), group in rows.groupby(
        ["experiment", "modalities", "rate"],
        sort=False,
        dropna=False,  # subsets have no rate
    ):
        line = {
            "": "values lost of" if experiment == "loss" else "only",
            "modalities": modalities,
            "rate": "" if experiment == "subset" else f"{rate:g}",
            "missing": f"{group['share_missing'].mean():.3f}",
        }
        for name in metrics:
            line[name] = _mean(group[name])
        lines.append(line)
    return pd.DataFrame(lines).to_string(index=False)


def _mean(values: pd.Series[float]) -> str:
    mean = f"{values.mean():.4f}"
    return f"{mean} ± {values.std():.4f}" if len(values) > 1 else mean
