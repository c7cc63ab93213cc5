"""Worth of each modality: results with it alone, and with all but it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from math import isnan, nan

import pandas as pd

from recbole_sibrar.plotting.chart import Chart, Level, Series
from recbole_sibrar.plotting.colours import Colour
from recbole_sibrar.plotting.style import metric_title
from recbole_sibrar.report.figures import slug

__all__ = ["Worth", "measure_worth", "worth_charts"]

ALONE, WITHOUT = "it alone", "all but it"
"""Names of the two dots of a modality."""


@dataclass(frozen=True)
class Worth:
    """Results of a model with some of its modalities, means over its checkpoints."""

    full: float
    """With all of them; NaN if unknown."""
    alone: dict[str, float]
    """Modality -> result with it alone."""
    without: dict[str, float]
    """Modality -> result with all others."""


def measure_worth(missing: pd.DataFrame, name: str, side: str, metric: str) -> Worth | None:
    """Find the results of a model in a study of missing modalities.

    Args:
        missing: Rows of the study, with the column ``name``.
        name: The model.
        side: Side of the modalities.
        metric: Name of a column.

    Returns:
        None without results of single modalities.
    """
    if metric not in missing:
        return None
    rows = missing[(missing["name"] == name) & (missing["side"] == side)]
    subsets = rows[rows["experiment"] == "subset"]
    means = subsets.groupby("modalities", sort=False)[metric].mean().dropna()

    # Sets, because a subset may name its modalities in another order than all of them.
    results: dict[frozenset[str], float] = {}
    for subset, value in means.items():
        results[frozenset(str(subset).split("+"))] = float(value)
    if not results:
        return None

    joined = "+".join(map(str, rows["modalities"]))
    names = list(dict.fromkeys(joined.split("+")))
    everything = frozenset(names)
    # Nothing is lost at rate 0, which a study may leave out.
    complete = float(rows[(rows["experiment"] == "loss") & (rows["rate"] == 0)][metric].mean())
    full = results.get(everything, complete) if isnan(complete) else complete

    alone = {}
    without = {}
    for modality in names:
        own = frozenset([modality])
        if own in results:
            alone[modality] = results[own]
        if everything - own in results:
            without[modality] = results[everything - own]
    return Worth(full, alone, without)


def worth_charts(
    missing: pd.DataFrame,
    metric: str,
    chance: float | None,
    colours: Mapping[str, Colour],
    order: Collection[str],
) -> list[Chart]:
    """Make a figure for each model and side.

    It has a row for each modality, with a dot for it alone and one for all but it.

    Args:
        missing: Rows of a study of missing modalities, with the column ``name``.
        metric: Name of a column.
        chance: Result of a random order, if known.
        colours: Colour of each model.
        order: The models, the best first.
    """
    known: list[str] = list(dict.fromkeys(missing["name"].tolist()))
    sides: list[str] = list(dict.fromkeys(missing["side"].tolist()))
    ranked = [name for name in order if name in known]
    names = list(dict.fromkeys([*ranked, *known]))

    charts = []
    for side in sides:
        # Chance is that of items without any modality left.
        level = chance if side == "item" else None
        for name in names:
            worth = measure_worth(missing, name, side, metric)
            # A single modality has no other to be compared with.
            if worth is not None and len(worth.alone) > 1:
                charts.append(_chart(worth, name, side, metric, level, colours[name]))
    return charts


def _chart(
    worth: Worth, name: str, side: str, metric: str, chance: float | None, colour: Colour
) -> Chart:
    modalities = sorted(worth.alone, key=lambda modality: -worth.alone[modality])
    alone = [worth.alone[modality] for modality in modalities]
    without = [worth.without.get(modality, nan) for modality in modalities]
    series = [Series(ALONE, ALONE, colour, modalities, alone)]
    if not all(map(isnan, without)):
        series.append(Series(WITHOUT, WITHOUT, colour, modalities, without, hollow=True))
    levels = [] if chance is None else [Level("chance", chance)]
    if not isnan(worth.full):
        levels.append(Level("all modalities", worth.full))

    title = metric_title(metric)
    heading = f"Test {title} of {name} with each {side} modality alone, and with all but it"
    return Chart(
        slug("worth", side, name),
        name if side == "item" else f"{name}, users",
        heading,
        "dots",
        "",
        title,
        series,
        levels,
        overlaid=True,
    )
