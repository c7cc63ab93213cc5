"""Figures of a comparison: results, groups, learning curves, missing modalities, modality gap."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from itertools import chain, starmap
from math import inf, isnan

import numpy as np
import pandas as pd

from recbole_sibrar.names import is_of_group
from recbole_sibrar.plotting.chart import Chart, Level, Series, seed_values, summary
from recbole_sibrar.plotting.colours import Colour
from recbole_sibrar.plotting.style import metric_title
from recbole_sibrar.studies.gap.tables import LABELS, pair_name
from recbole_sibrar.studies.missing.plots import missing_chart

_EPOCH = "epoch, as the log counts: from 0"

_GROUP = re.compile(r"(?P<metric>[^\[\]]+)\[(?P<field>[^=]+)=(?P<value>.*)\]")
"""Column of a group, such as ``ndcg@10[gender=F]``."""


def slug(*parts: str) -> str:
    """Make the name of a file.

    Example:
        >>> slug("results", "ndcg@10")
        'results-ndcg-10'
    """
    pieces = []
    for part in parts:
        # A part of signs alone would leave nothing.
        pieces.append(re.sub(r"\W+", "-", part).strip("-") or "x")
    return "-".join(pieces)


def _first(chosen: str, names: Sequence[str]) -> list[str]:
    """Put one of the names first."""
    # False sorts before True, and sorted keeps the order of the others.
    return sorted(names, key=lambda name: name != chosen)


def results_charts(
    results: pd.DataFrame,
    metrics: Sequence[str],
    first: str,
    colours: Mapping[str, Colour],
    smaller: Collection[str] = (),
    levels: Mapping[str, Sequence[Level]] | None = None,
) -> list[Chart]:
    """Make a figure for each metric, with a dot for each model.

    A dot is the mean over the seeds, its bar their standard deviation.

    Args:
        results: A row for each run: ``name``, ``seed`` and the metrics.
        metrics: Names of columns.
        first: First metric.
        colours: Colour of each model.
        smaller: Metrics with smaller values for better models.
        levels: Metric -> values to compare with.
    """
    charts = []
    for metric in _first(first, metrics):
        series = []
        for name, colour in colours.items():
            rows = results[results["name"] == name]
            mean, low, high = summary(rows[metric])
            runs = [rows[metric].dropna().tolist()]
            details = [seed_values(rows, metric)]
            series.append(Series(name, name, colour, [name], [mean], [low], [high], details, runs))

        sign = 1 if metric in smaller else -1
        series.sort(key=lambda line: _or_last(sign * line.y[0]))

        title = metric_title(metric)
        known = (levels or {}).get(metric, ())
        heading = f"Test {title} of each model, the best first"
        name = slug("results", metric)
        charts.append(Chart(name, title, heading, "dots", "", title, series, known))
    return charts


def _or_last(value: float) -> float:
    """Return a key for sorting; NaN, which no comparison orders, comes last."""
    return inf if isnan(value) else value


def cost_charts(
    results: pd.DataFrame,
    memory: Mapping[tuple[str, int], float],
    order: Sequence[str],
    colours: Mapping[str, Colour],
) -> list[Chart]:
    """Make a figure of the minutes and one of the memory of a run.

    They show the mean of each model, and a mark for each run.

    Args:
        results: A row for each run: ``name``, ``seed`` and ``minutes``.
        memory: Name and seed -> largest memory of the run in MB.
        order: The models.
        colours: Colour of each model.
    """
    runs = zip(results["name"], results["seed"], strict=True)
    costs = results.assign(memory=[memory.get(run, np.nan) for run in runs])

    charts = []
    for column, title, form in (
        ("minutes", "minutes of a run", ".2f"),
        ("memory", "memory of a run in MB", ".0f"),
    ):
        series = []
        for name in order:
            rows = costs[costs["name"] == name]
            values = rows[column].dropna().tolist()
            mean = float(np.mean(values)) if values else float("nan")
            series.append(Series(name, name, colours[name], [name], [mean], seeds=[values]))

        # A run without its folder has no memory.
        if all(isnan(line.y[0]) for line in series):
            continue
        heading = f"{title[0].upper()}{title[1:]} of each model, mean over the seeds"
        name = f"cost-{column}"
        charts.append(Chart(name, column, heading, "dots", "", title, series, form=form))
    return charts


def group_charts(
    results: pd.DataFrame, first: str, colours: Mapping[str, Colour]
) -> list[list[Chart]]:
    """Make a figure for each field of ``eval_groups`` and each metric.

    It has the dots of all models for each group.

    Args:
        results: A row for each run: ``name``, ``seed`` and columns such as ``ndcg@10[gender=F]``.
        first: First metric.
        colours: Colour of each model.
    """
    # Field -> metric -> group -> column.
    columns: dict[str, dict[str, dict[str, str]]] = {}
    for column in results.columns:
        found = _GROUP.fullmatch(column)
        if found:
            values = columns.setdefault(found["field"], {}).setdefault(found["metric"], {})
            values[found["value"]] = column

    sets = []
    for field, metrics in columns.items():
        charts = []
        for metric in _first(first, list(metrics)):
            charts.append(_group_chart(results, field, metric, metrics[metric], colours))
        sets.append(charts)
    return sets


def _group_chart(
    results: pd.DataFrame,
    field: str,
    metric: str,
    columns: Mapping[str, str],
    colours: Mapping[str, Colour],
) -> Chart:
    series = []
    for name, colour in colours.items():
        rows = results[results["name"] == name]
        points = []
        details = []
        runs = []
        for column in columns.values():
            points.append(summary(rows[column]))
            details.append(seed_values(rows, column))
            runs.append(rows[column].dropna().tolist())

        mean, low, high = np.transpose(points).tolist()
        series.append(Series(name, name, colour, list(columns), mean, low, high, details, runs))

    title = metric_title(metric)
    heading = f"Test {title} by {field}"
    return Chart(slug("groups", field, metric), title, heading, "dots", field, title, series)


def curve_charts(
    curves: Sequence[tuple[str, int, pd.DataFrame]],
    first: str,
    colours: Mapping[str, Colour],
    smaller: Collection[str] = (),
) -> list[Chart]:
    """Make a figure for each metric of the validation and for the loss, a line for each run.

    Args:
        curves: Model, seed and learning curve of each run.
        first: First metric, the one that chooses the best epoch.
        colours: Colour of each model.
        smaller: Metrics with smaller values for better models.
    """
    columns = dict.fromkeys(chain.from_iterable(curve.columns for _, _, curve in curves))
    for column in ("epoch", "train_loss"):
        columns.pop(column, None)
    metrics = [name for name in columns if not is_of_group(name)]

    # The loss last: those of different models are not comparable.
    charts = []
    for column in (*_first(first, metrics), "train_loss"):
        series = []
        for name, seed, curve in curves:
            if column in curve:
                x = curve["epoch"].tolist()
                y = curve[column].tolist()
                mark = _best_position(curve, first, smaller)
                run = f"{name}, seed {seed}"
                series.append(Series(run, name, colours[name], x, y, mark=mark))

        if column == "train_loss":
            title = "Training loss"
            heading = f"{title} of each epoch"
        else:
            title = metric_title(column)
            heading = f"Validation {title} after each epoch"
        charts.append(Chart(slug("curve", column), title, heading, "line", _EPOCH, title, series))
    return charts


def _best_position(curve: pd.DataFrame, metric: str, smaller: Collection[str]) -> int | None:
    """Find the row of the best epoch; None without the metric."""
    if metric not in curve or curve[metric].isna().all():
        return None
    values = curve[metric].to_numpy(dtype=float)
    return int(np.nanargmin(values) if metric in smaller else np.nanargmax(values))


def missing_charts(
    frame: pd.DataFrame, metrics: Sequence[str], first: str, colours: Mapping[str, Colour]
) -> list[list[Chart]]:
    """Make a figure for each side and metric, against the share of missing modality values.

    Args:
        frame: Rows of a study of missing modalities, with a column ``name`` for the model.
        metrics: Names of columns.
        first: First metric.
        colours: Colour of each model.
    """
    losses = frame[frame["experiment"] == "loss"]
    sets = []
    for side, rows in losses.groupby("side", sort=False):
        # Models of one file may have different metrics.
        known = [metric for metric in metrics if rows[metric].notna().any()]
        charts = []
        for metric in _first(first, known):
            charts.append(missing_chart(slug("missing", str(side), metric), rows, metric, colours))
        if charts:
            sets.append(charts)
    return sets


def gap_charts(frame: pd.DataFrame, colours: Mapping[str, Colour]) -> list[Chart]:
    """Make a figure for each measure of the modality gap.

    It has the dots of all models for each pair of modalities.

    Args:
        frame: Rows of measurements: ``name`` of the model, ``first`` and ``second`` modality,
            ``measure``, ``value``, ``low`` and ``high``. Rows about a single modality, and numbers
            of items, are left out.
        colours: Colour of each model.
    """
    # Rows about all modalities together have no names, which a CSV file reads as NaN.
    frame = frame.fillna({"first": "", "second": ""})
    is_shown = (frame["first"] != frame["second"]) | (frame["first"] == "")
    frame = frame[is_shown & (frame["measure"] != "items")]
    pairs = zip(frame["first"], frame["second"], strict=True)
    frame = frame.assign(pair=list(starmap(pair_name, pairs)))

    charts = []
    for measure in _first("cosine_ratio", list(frame["measure"].unique())):
        series = []
        for key, part in frame[frame["measure"] == measure].groupby("name", sort=False):
            name = str(key)
            # Over the seeds; the ends of an interval are the mean ends.
            means = part.groupby("pair", sort=False)[["value", "low", "high"]].mean()
            value, low, high = means.to_numpy().T.tolist()
            x = means.index.tolist()
            series.append(Series(name, name, colours[name], x, value, low, high))

        title = LABELS.get(measure, measure).format(side="item")
        heading = f"Modality gap: {title}"
        file = slug("gap", measure)
        charts.append(Chart(file, title, heading, "dots", "", title, series, overlaid=True))
    return charts
