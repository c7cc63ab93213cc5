"""Title, first sentence and findings of the page, made from the data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isinf, isnan
from typing import Any

import pandas as pd
from recbole.evaluator.register import smaller_metrics

from recbole_sibrar.names import VIEWS, WARM, metric_in_view, without_view
from recbole_sibrar.plotting.chart import Level
from recbole_sibrar.plotting.style import metric_title
from recbole_sibrar.quick_start.group.folder import ComparisonFolder
from recbole_sibrar.quick_start.group.results import LEVEL
from recbole_sibrar.report.page import Finding
from recbole_sibrar.report.page_tables import p_text
from recbole_sibrar.report.worth import Worth, measure_worth

__all__ = ["chance", "findings", "heading", "is_smaller_better", "lead", "levels", "ranked"]

_COLD = {"item": "New items", "user": "New users", "both": "New users and new items"}


def is_smaller_better(metric: str) -> bool:
    """Return True for a metric with smaller values for better models.

    Example:
        >>> is_smaller_better("rmse"), is_smaller_better("ndcg@10")
        (True, False)
    """
    return metric.split("@")[0] in smaller_metrics


def heading(data: ComparisonFolder) -> str:
    """Name the split and the data set in words, such as ``New items - ml-100k``.

    Args:
        data: The comparison.
    """
    configuration: dict[str, Any] = {}
    for run in data.runs:
        # All runs of a comparison have one split; a folder may be gone.
        configuration = configuration or run.configuration
    dataset = str(configuration.get("dataset") or data.folder.absolute().name)
    return f"{_split(configuration)} - {dataset}"


def _split(configuration: Mapping[str, Any]) -> str:
    arguments = configuration.get("eval_args")
    if not isinstance(arguments, dict):
        return "Results"

    # RecBole's kinds of splits: RS by ratio, LS leave one out. Ours: CS cold start.
    split = arguments.get("split")
    kinds = set(split) if isinstance(split, dict) else set()
    if "CS" in kinds:
        cold = _COLD.get(str(arguments.get("group_by")), "Cold start")
        return f"{cold} beside known ones" if WARM in kinds else cold
    if arguments.get("order") == "TO":
        return "Later interactions"
    return "Known users and items" if kinds & {"RS", "LS"} else "Results"


def ranked(data: ComparisonFolder, metric: str) -> pd.Series[float]:
    """Compute the mean of each model over its runs, the best first.

    Args:
        data: The comparison.
        metric: Name of a column.
    """
    means = data.results.groupby("name", sort=False)[metric].mean().dropna()
    # Stable: models with equal means keep their order.
    return means.sort_values(ascending=is_smaller_better(metric), kind="stable")


def chance(missing: pd.DataFrame | None, metric: str) -> float | None:
    """Find the result of a random order: that of models with all modalities of the items missing.

    Args:
        missing: Rows of a study of missing modalities, if there is one.
        metric: Name of a column.
    """
    if missing is None or metric not in missing:
        return None

    # At rate 1 all items have the same embedding, and ties are broken at random.
    nothing_left = (missing["experiment"] == "loss") & (missing["rate"] == 1)
    value = missing.loc[nothing_left & (missing["side"] == "item"), metric].mean()
    return None if isnan(value) else float(value)


def levels(data: ComparisonFolder, missing: pd.DataFrame | None, metric: str) -> list[Level]:
    """List the values to compare all models with: chance, and the most popular items.

    Args:
        data: The comparison.
        missing: Rows of a study of missing modalities, if there is one.
        metric: Name of a column.
    """
    found = []
    level = chance(missing, metric)
    if level is not None:
        found.append(Level("chance", level))
    popular = data.results.loc[data.results["model"] == "Pop", metric].mean()
    if not isnan(popular):
        found.append(Level("Pop", float(popular)))
    return found


def lead(data: ComparisonFolder) -> str:
    """Name the best model; empty without any result.

    Args:
        data: The comparison.
    """
    metric = data.valid_metric
    means = ranked(data, metric)
    if means.empty:
        return ""

    best = str(means.index[0])
    if len(means) == 1:
        return f"{best} has the {metric_title(metric)} {means.iloc[0]:.4f}, without another model to compare it with."
    n_first = 0
    for name in data.metrics:
        n_first += ranked(data, name).index[:1].tolist() == [best]

    n_metrics = len(data.metrics)
    metrics = f"{n_metrics} metric{'s' if n_metrics > 1 else ''}"
    about = f"the best {metric_title(metric)} ({means.iloc[0]:.4f})"
    return f"{best} has {about} and is first in {n_first} of {metrics}."


def findings(data: ComparisonFolder, missing: pd.DataFrame | None) -> list[Finding]:
    """Write what a reader asks next: significance, views, chance, and the modality that counts most.

    Args:
        data: The comparison.
        missing: Rows of a study of missing modalities, if there is one.
    """
    metric = data.valid_metric
    means = ranked(data, metric)
    found = []
    if len(means) > 1:
        found.append(Finding("Second", _difference(data, means, metric)))
    found.append(Finding("Cold, warm", _views(data, metric)))

    level = chance(missing, metric)
    if level is not None:
        found.append(Finding("Chance", f"{level:.4f}, with all modalities missing."))
    found += _modalities(missing, list(means.index), metric)
    return [finding for finding in found if finding.text]


def _views(data: ComparisonFolder, metric: str) -> str:
    """Name the best model for cold and for warm interactions; empty without these views."""
    plain, _ = without_view(metric)
    found = []
    for view in VIEWS:
        name = metric_in_view(plain, view)
        means = ranked(data, name) if name in data.metrics else pd.Series(dtype=float)
        if not means.empty:
            found.append(f"of {view} interactions: {means.index[0]} ({means.iloc[0]:.4f})")
    return f"Best {metric_title(plain)} {'; '.join(found)}." if found else ""


def _difference(data: ComparisonFolder, means: pd.Series[float], metric: str) -> str:
    """Compare the best model with the second."""
    best, second = str(means.index[0]), str(means.index[1])
    text = _ahead(means, metric)

    rows = data.significance
    if rows.empty:
        return f"{text}; the difference was not tested."

    # The table has each pair once, in one of the two orders.
    is_pair = rows["a"].isin((best, second)) & rows["b"].isin((best, second))
    pair = rows[(rows["metric"] == metric) & is_pair]
    if pair.empty:
        return f"{text}; the difference was not tested."

    p = float(pair["p_t_bonferroni"].iloc[0])
    verdict = "a significant difference" if p < LEVEL else "no significant difference"
    return f"{text}, {verdict} ({p_text(p)}, corrected){_seeds_ahead(data, best, second, metric)}."


def _ahead(means: pd.Series[float], metric: str) -> str:
    """Write how far the best model is ahead of the second."""
    first, second = means.iloc[:2]
    name = means.index[1]
    if first == second:
        return f"{name} has the same {metric_title(metric)}"
    if not second or isinf(first):
        return f"Second is {name} with {second:.4g}"

    percent = 100 * abs(first / second - 1)
    side = "below" if is_smaller_better(metric) else "above"
    return f"It is {percent:{'.0f' if percent >= 1 else '.1g'}} % {side} {name}"


def _seeds_ahead(data: ComparisonFolder, best: str, second: str, metric: str) -> str:
    """Count the seeds in which the best model is ahead; empty for a single one."""
    rows = data.results[data.results["name"].isin((best, second))]
    # A row for each seed; those without a value of both models are left out.
    seeds = rows.pivot_table(metric, "seed", "name").reindex(columns=[best, second]).dropna()
    if len(seeds) < 2:
        return ""

    difference = seeds[best] - seeds[second]
    n_ahead = int((difference < 0).sum() if is_smaller_better(metric) else (difference > 0).sum())
    return f", and ahead in {n_ahead} of {len(seeds)} seeds"


def _modalities(missing: pd.DataFrame | None, order: Sequence[str], metric: str) -> list[Finding]:
    """Name the modality that carries most alone, and the one that is missed most."""
    # The shares of the sentences would have no meaning for errors.
    if missing is None or is_smaller_better(metric):
        return []

    # The best model in the study: the best of all can be one without modalities.
    for name in order:
        worth = measure_worth(missing, name, "item", metric)
        if worth is not None and worth.full > 0:
            whose = "its modalities" if name == order[0] else f"the modalities of {name}"
            carrier = Finding("Carries most", _carrier(worth, whose, metric))
            return [carrier, Finding("When missing", _missed(worth, metric))]
    return []


def _carrier(worth: Worth, whose: str, metric: str) -> str:
    if not worth.alone:
        return ""
    first = max(worth.alone, key=lambda name: worth.alone[name])
    share = 100 * worth.alone[first] / worth.full
    kept = f"{share:.0f} % of the {metric_title(metric)}"
    return f"Of {whose}, {first} alone keeps most: {kept}."


def _missed(worth: Worth, metric: str) -> str:
    if not worth.without:
        return ""
    missed = min(worth.without, key=lambda name: worth.without[name])
    lost = 100 * (1 - worth.without[missed] / worth.full)
    title = metric_title(metric)
    if lost < 0.5:
        return f"None is missed: without any one of them, the {title} is as high."
    return f"{missed} is missed most: without it, {lost:.0f} % of the {title} is lost."
