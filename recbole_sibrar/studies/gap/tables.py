"""Tables of the modality gap, for the terminal and for LaTeX."""

from __future__ import annotations

from itertools import starmap

import pandas as pd

LABELS = {
    "items": "{side}s",
    "cosine_same": "cosine distance, same {side}",
    "cosine_different": "cosine distance, different {side}s",
    "cosine_ratio": "cosine ratio, same / different",
    "euclidean_same": "Euclidean distance, same {side}",
    "euclidean_different": "Euclidean distance, different {side}s",
    "euclidean_ratio": "Euclidean ratio, same / different",
    "centroid_distance": "distance of the centroids",
    "centroid_ratio": "centroids / different {side}s",
    "recall@1": "retrieval recall@1",
    "recall@10": "retrieval recall@10",
    "mrr": "retrieval MRR",
    "recall@1_reverse": "retrieval recall@1, reverse",
    "recall@10_reverse": "retrieval recall@10, reverse",
    "mrr_reverse": "retrieval MRR, reverse",
    "alignment": "alignment",
    "uniformity": "uniformity",
    "classifier_accuracy": "accuracy of a linear classifier",
    "classifier_chance": "its accuracy by chance",
}
"""Measure -> its name in tables and figures."""


def pair_name(first: str, second: str) -> str:
    """Name two modalities in tables and figures.

    Example:
        >>> pair_name("text", "genres"), pair_name("text", "text"), pair_name("", "")
        ('text - genres', 'within text', 'all modalities')
    """
    if not first:
        return "all modalities"
    return f"within {first}" if first == second else f"{first} - {second}"


def number(value: float, low: float, high: float) -> str:
    """Write a value, with its interval if it has one.

    Example:
        >>> number(0.51234, 0.51234, 0.51234), number(0.5, 0.4123, 0.61)
        ('0.5123', '0.5000 [0.4123, 0.6100]')
        >>> number(3260.0, 3260.0, 3260.0)
        '3260'
    """
    # Counts of items; a measure of 0 or 1 keeps its decimals.
    if value == round(value) and abs(value) >= 2 and low == high:
        return f"{value:.0f}"
    return f"{value:.4f}" + (f" [{low:.4f}, {high:.4f}]" if low < high else "")


def side_by_side(frame: pd.DataFrame) -> pd.DataFrame:
    """Arrange measures as rows and checkpoints as columns.

    Args:
        frame: Rows with ``name``, ``side``, ``first``, ``second``, ``measure``, ``value``, ``low``
            and ``high``.

    Returns:
        ``modalities`` and ``measure``, then a column for each name; empty if a model lacks a
        modality.
    """
    side = frame["side"].iloc[0]
    pairs = zip(frame["first"], frame["second"], strict=True)
    numbers = zip(frame["value"], frame["low"], frame["high"], strict=True)
    rows = pd.DataFrame(
        {
            "modalities": list(starmap(pair_name, pairs)),
            "key": frame["measure"].to_numpy(),
            "name": frame["name"].to_numpy(),
            "text": list(starmap(number, numbers)),
        }
    )

    # unstack sorts rows and columns; order restores both.
    table = rows.set_index(["modalities", "key", "name"])["text"].unstack("name")
    order = list(dict.fromkeys(zip(rows["modalities"], rows["key"], strict=True)))
    table = table.loc[order, list(dict.fromkeys(rows["name"]))].fillna("").reset_index()

    table.insert(1, "measure", [LABELS[key].format(side=side) for key in table["key"]])
    return table.drop(columns="key").rename_axis(columns=None)


def table(frame: pd.DataFrame) -> str:
    """Write the measures of each pair for the terminal, a column for each checkpoint."""
    parts = [_about(frame)]
    for name, rows in side_by_side(frame).groupby("modalities", sort=False):
        # A terminal is short; the CSV file has the measures within a modality too.
        if not str(name).startswith("within "):
            width = rows["measure"].str.len().max()
            lines = rows.drop(columns="modalities").assign(measure=rows["measure"].str.ljust(width))
            parts += ["", str(name), lines.rename(columns={"measure": ""}).to_string(index=False)]
    return "\n".join(parts)


def _about(frame: pd.DataFrame) -> str:
    """Name the measured side and its entities."""
    side = frame["side"].iloc[0]
    return f"{side} modalities, {frame['items'].iloc[0]} {side}s"


def latex(frame: pd.DataFrame) -> str:
    """Write a LaTeX table (package booktabs) of all measures."""
    shown = side_by_side(frame)
    # The name of a pair stands in its first row only.
    shown["modalities"] = shown["modalities"].mask(shown["modalities"].duplicated(), "")

    # pandas escapes neither cells nor titles by itself.
    plain = shown.style.hide(axis="index")
    escaped = plain.format(escape="latex").format_index(escape="latex", axis=1)
    return escaped.to_latex(
        column_format="ll" + "r" * (len(shown.columns) - 2),
        caption=f"Modality gap: {_about(frame)}.",
        hrules=True,
        position_float="centering",
    )
