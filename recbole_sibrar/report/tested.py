"""Significance as a square of all pairs, and as intervals of the differences to the best model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain
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
    tested = set(chain.from_iterable(rows))
    names = [name for name in order if name in tested]

    smaller = is_smaller_better(metric)
    cells = []
    for a in names:
        cells.append([_cell(rows, a, b, smaller) for b in names])
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
    # The table has each pair once, in one of the two orders.
    sign = 1 if (a, b) in rows else -1
    difference = (row["mean_a"] - row["mean_b"]) * sign
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
    # Sets, because the best model is the first of some pairs and the second of others.
    pairs = {frozenset((row["a"], row["b"])): row for row in records}
    tested = set(chain.from_iterable(pairs))
    names = [name for name in order if name in tested]
    if not names:
        return None

    best, *others = names
    series = []
    for name in others:
        row = pairs.get(frozenset((best, name)))
        if row is None:
            continue
        low, high = corrected_interval(row, len(records))
        # The table has the first minus the second.
        if row["a"] == best:
            low, high = -high, -low
        middle = (low + high) / 2
        p = f"{p_text(row['p_t_bonferroni'])}, corrected"
        series.append(Series(name, name, colours[name], [name], [middle], [low], [high], [p]))
    if not series:
        return None

    title = metric_title(metric)
    heading = f"Difference in {title} to {best}, the best; "
    heading += "intervals of 95 % after Bonferroni's correction"
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
