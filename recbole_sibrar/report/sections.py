"""Sections of the page of ``recbole-sibrar report`` about a comparison."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pandas as pd
from recbole.evaluator.register import smaller_metrics

from recbole_sibrar.names import is_of_group
from recbole_sibrar.plotting.colours import Colour, model_colours
from recbole_sibrar.plotting.style import metric_title
from recbole_sibrar.quick_start.group import summary
from recbole_sibrar.quick_start.group.folder import ComparisonFolder
from recbole_sibrar.quick_start.group.results import LEVEL, significantly_best
from recbole_sibrar.report import figures, page_tables, story
from recbole_sibrar.report.chart_page import ChartSet
from recbole_sibrar.report.page import Part, Section
from recbole_sibrar.studies.missing.measures import COLUMNS


def build_part(data: ComparisonFolder, missing: pd.DataFrame | None, gap: pd.DataFrame | None) -> Part:
    """Build the part of the page about one comparison.

    Args:
        data: Content of its folder.
        missing: Rows of a study of missing modalities, if there is one.
        gap: Rows of measurements of the modality gap, if there are some.
    """
    n_runs = len(data.results)
    seeds = sorted(set(data.results["seed"]))
    facts = [
        ("Models", str(len(data.names))),
        ("Seeds", ", ".join(map(str, seeds))),
        ("Runs with a result", f"{n_runs} of {n_runs + len(data.unfinished)}"),
        ("Best epoch chosen by", metric_title(data.valid_metric)),
        ("Minutes in all", f"{data.results['minutes'].sum():.1f}"),
    ]
    dataset = next((str(run.configuration["dataset"]) for run in data.runs if "dataset" in run.configuration), "")
    facts = [*([("Data set", dataset)] if dataset else []), *facts]
    sections = [_results(data, missing), _significance(data), _groups(data), _curves(data), _missing(data, missing)]
    sections += [_gap(data, gap), _runs(data), _configuration(data), _versions(data)]
    name = data.folder.absolute().name
    return Part(name, story.heading(data), story.lead(data, missing), data.title, facts, sections)


def _colours(data: ComparisonFolder, study: pd.DataFrame | None = None) -> dict[str, Colour]:
    """Choose the colours of all models, with those of a study that are of no run behind them."""
    classes = dict(zip(data.results["name"], data.results["model"].astype(str), strict=True))
    if study is not None:
        others = zip(study["name"].astype(str), study["model"].astype(str), strict=True)
        classes |= {name: model for name, model in others if name not in classes}
    return model_colours(classes)


def _results(data: ComparisonFolder, missing: pd.DataFrame | None) -> Section:
    frame = data.significance
    best = {metric: significantly_best(frame, metric, data.names) for metric in set(frame["metric"])}
    smaller = [metric for metric in data.metrics if metric.split("@")[0] in smaller_metrics]
    cells = summary.cells(data.results, data.metrics, smaller, best)
    order = list(story.ranked(data, data.valid_metric).index)
    cells = {name: cells[name] for name in sorted(cells, key=lambda name: order.index(name) if name in order else 99)}
    colours = _colours(data)
    levels = {metric: story.levels(data, missing, metric) for metric in data.metrics}
    charts = figures.results_charts(data.results, data.metrics, data.valid_metric, colours, smaller, levels)
    table = page_tables.results_table(cells, data.results, data.metrics)
    return Section(
        "results",
        "Results",
        data.legend.replace("<u>", "").replace("</u>", ""),
        chart_sets=[ChartSet("metric", charts)],
        tables=[table],
        tables_first=True,
    )


def _significance(data: ComparisonFolder) -> Section:
    title = "Significance"
    if data.significance.empty:
        absent = (
            "Not available: tests need at least two models with results of the same users (`save_per_user`), which "
        )
        absent += "`run_recbole_group` saves for models that rank."
        return Section("significance", title, absent=absent)
    first = sorted(data.significance["metric"].unique(), key=lambda metric: metric != data.valid_metric)
    ordered = pd.concat([data.significance[data.significance["metric"] == metric] for metric in first])
    text = (
        f"A difference is called significant where p < {LEVEL} in the t-test. Users are the sample: such a test says "
    )
    text += "nothing about other draws of items or seeds. Means here are over the users of both models, each user "
    text += "averaged over the seeds; the table of results averages the runs, and can differ."
    return Section("significance", title, text, tables=[page_tables.significance_table(ordered, LEVEL)])


def _groups(data: ComparisonFolder) -> Section:
    sets = figures.group_charts(data.results, data.valid_metric, _colours(data))
    if not sets:
        absent = "Not available: give `run_recbole_group` groups, such as "
        absent += '`--eval_groups="{popularity: item, age: user}"`, for their results.'
        return Section("groups", "Groups of users and items", absent=absent)
    several = data.results["seed"].nunique() > 1
    text = "Mean over the seeds, error bars: standard deviation. " if several else ""
    text += "Results of item groups count only their items; their "
    text += "share of places is that in the lists of all users."
    return Section("groups", "Groups of users and items", text, chart_sets=[ChartSet("metric", x) for x in sets])


def _curves(data: ComparisonFolder) -> Section:
    curves = [(run.name, run.seed, curve) for run in data.runs if (curve := run.curve) is not None]
    if not curves:
        absent = (
            "Not available: no run has a file `learning_curve.csv`; `run_recbole_group` writes it for every model that "
        )
        absent += "is trained in epochs."
        return Section("curves", "Learning curves", absent=absent)
    smaller = [data.valid_metric] if story.is_smaller_better(data.valid_metric) else []
    charts = figures.curve_charts(curves, data.valid_metric, _colours(data), smaller)
    text = (
        "One line for each run, seeds of a model in one colour, a mark at the best epoch. "
        "Losses of different models are not comparable."
    )
    return Section("curves", "Learning curves", text, chart_sets=[ChartSet("measure", charts)])


def _missing(data: ComparisonFolder, frame: pd.DataFrame | None) -> Section:
    title = "Missing modalities"
    if frame is None:
        absent = (
            "Not available: `recbole-sibrar report --missing` evaluates the checkpoints while modalities are missing."
        )
        return Section("missing", title, absent=absent)
    metrics = [name for name in frame.columns if name not in (*COLUMNS, "name") and not is_of_group(name)]
    colours = _colours(data, frame)
    sets = figures.missing_charts(frame, metrics, data.valid_metric, colours)
    subsets = page_tables.subsets_table(frame, metrics)
    text = "Trained models, evaluated while values of modalities are lost at random, and with some modalities alone. "
    text += "Error bars: standard deviation over draws and seeds. With nothing left, the order is random."
    charts = [ChartSet("metric", charts) for charts in sets]
    return Section("missing", title, text, chart_sets=charts, folded=[subsets] if subsets.rows else [])


def _gap(data: ComparisonFolder, frame: pd.DataFrame | None) -> Section:
    if frame is None:
        absent = "Not available: `recbole-sibrar report --gap` measures it in the checkpoints."
        return Section("gap", "Modality gap", absent=absent)
    charts = figures.gap_charts(frame, _colours(data, frame))
    text = (
        "How far apart the modalities of the same item lie in the embedding space, for each pair of modalities; mean "
    )
    text += "over the seeds, with the mean ends of their intervals."
    sets = [ChartSet("measure", charts)]
    return Section("gap", "Modality gap", text, chart_sets=sets, folded=[page_tables.gap_table(frame)])


def _runs(data: ComparisonFolder) -> Section:
    details = {}
    for run in data.runs:
        curve, memory = run.curve, run.result.get("peak_memory_mb")
        n_epochs = None if curve is None else int(curve["epoch"].max()) + 1  # the curve has a row for each validation
        cells = [page_tables.number(n_epochs, "d"), page_tables.number(memory, ".0f")]
        details[run.name, run.seed] = [*cells, page_tables.Value(f"runs/{run.folder.name}")]
    text = f"Without a result: {', '.join(data.unfinished)}." if data.unfinished else ""
    return Section("runs", "Runs", text, tables=[page_tables.runs_table(data.results, data.metrics, details)])


def _configuration(data: ComparisonFolder) -> Section:
    known = {run.name: {k: v for k, v in run.configuration.items() if k != "seed"} for run in reversed(data.runs)}
    known = {name: known[name] for name in data.names if known.get(name)}
    if not known:
        absent = "Not available: the folders of the runs, which hold `config.yaml`, are gone."
        return Section("configuration", "Configuration", absent=absent)
    differing, shared = page_tables.configuration_tables(known)
    text = "Every key of every model; runs of a model differ in the key seed alone."
    tables = [table for table in (differing, shared) if table.rows]
    return Section("configuration", "Configuration", text, folded=tables)


def _versions(data: ComparisonFolder) -> Section:
    environments = [run.environment for run in data.runs if run.environment]
    if not environments:
        absent = "Not available: the folders of the runs, which hold `environment.json`, are gone."
        return Section("versions", "Versions", absent=absent)
    packages: dict[str, set[str]] = {}
    for environment in environments:
        for name, version in environment.get("packages", {}).items():
            packages.setdefault(name, set()).add(version)
    sentences = [
        f"Python {_distinct(lambda x: x.get('python'), environments)}",
        f"{_distinct(lambda x: x.get('platform'), environments)}",
        f"git commit of recbole-sibrar {_distinct(lambda x: x.get('git', {}).get('recbole-sibrar'), environments)}",
        f"of the working directory {_distinct(lambda x: x.get('git', {}).get('working directory'), environments)}",
    ]
    chosen = {name: packages[name] for name in _IMPORTANT if name in packages}
    tables = [page_tables.versions_table("versions", "The packages that results depend on most", chosen)]
    folded = [page_tables.versions_table("packages", "All packages", packages)]
    return Section("versions", "Versions", "; ".join(sentences) + ".", tables=tables, folded=folded)


_IMPORTANT = ("recbole-sibrar", "recbole", "torch", "numpy", "pandas", "scipy", "scikit-learn")


def _distinct(read: Callable[[dict[str, Any]], str | None], environments: list[dict[str, Any]]) -> str:
    """Join the distinct answers of the runs."""
    return ", ".join(dict.fromkeys(str(read(environment) or "not known") for environment in environments))
