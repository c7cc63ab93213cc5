"""Significance as a square of all pairs, and as intervals of the differences to the best model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from recbole_sibrar.plotting.chart import Chart, Level, Series
from recbole_sibrar.plotting.colours import Colour
from recbole_sibrar.plotting.square import Square, SquareCell
from recbole_sibrar.plotting.style import metric_title
from recbole_sibrar.quick_start.group.results import LEVEL
from recbole_sibrar.report.figures import slug
from recbole_sibrar.report.page_tables import corrected_interval, p_text
from recbole_sibrar.report.story import is_smaller_better

__all__ = ["differences_chart", "pair_square"]


def pair_square(frame: pd.DataFrame, metric: str, order: Sequence[str]) -> Square:
    """Arrange the tests of one metric.

    Args:
        frame: The table of :func:`~recbole_sibrar.studies.significance.measures.compare_all`.
        metric: Name of a metric.
        order: The models, the best first.
    """
    rows = {(row["a"], row["b"]): row for row in _records(frame, metric)}
    names = [name for name in order if any(name in pair for pair in rows)]
    cells = [[_cell(rows, a, b, is_smaller_better(metric)) for b in names] for a in names]
    title = f"{metric_title(metric)} of the model of a row minus that of a column"
    return Square(slug("pairs", metric), title, names, cells)


def _records(frame: pd.DataFrame, metric: str) -> list[dict[str, Any]]:
    records: list[dict[str, Any]] = frame[frame["metric"] == metric].to_dict("records")  # type: ignore[assignment]
    return records


def _cell(
    rows: Mapping[tuple[str, str], Mapping[str, Any]], a: str, b: str, smaller: bool
) -> SquareCell:
    row = rows.get((a, b)) or rows.get((b, a))
    if row is None:
        return SquareCell("")
    difference = (row["mean_a"] - row["mean_b"]) * (1 if (a, b) in rows else -1)
    p = row["p_t_bonferroni"]
    verdict = ""
    if p < LEVEL and difference:
        verdict = "better" if (difference > 0) != smaller else "worse"
    return SquareCell(f"{difference:+.4f}", p_text(p), verdict)


def differences_chart(
    frame: pd.DataFrame, metric: str, order: Sequence[str], colours: Mapping[str, Colour]
) -> Chart | None:
    """Make a figure of the differences to the best model with their corrected intervals.

    Args:
        frame: The table of :func:`~recbole_sibrar.studies.significance.measures.compare_all`.
        metric: Name of a metric.
        order: The models, the best first.
        colours: Colour of each model.

    Returns:
        None if the best model is in no test.
    """
    records = _records(frame, metric)
    pairs = {frozenset((row["a"], row["b"])): row for row in records}
    best = next((name for name in order if any(name in pair for pair in pairs)), None)
    series = []
    for name in order:
        row = pairs.get(frozenset((best, name)))
        if best is None or name == best or row is None:
            continue
        low, high = corrected_interval(row, len(records))
        if row["a"] == best:
            low, high = -high, -low
        p = f"{p_text(row['p_t_bonferroni'])}, corrected"
        series.append(
            Series(name, name, colours[name], [name], [(low + high) / 2], [low], [high], [p])
        )
    if not series:
        return None

    title = metric_title(metric)
    heading = f"Difference in {title} to {best}, the best; intervals of 95 % after Bonferroni's correction"
    levels = [Level("no difference", 0.0)]
    return Chart(
        slug("differences", metric),
        title,
        heading,
        "dots",
        "",
        f"difference in {title}",
        series,
        levels,
    )
