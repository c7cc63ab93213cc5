"""Sections of the page of ``recbole-sibrar report`` about a comparison."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import pandas as pd

from recbole_sibrar.names import is_of_group
from recbole_sibrar.plotting.colours import Colour, model_colours
from recbole_sibrar.plotting.style import metric_title
from recbole_sibrar.quick_start.group import summary
from recbole_sibrar.quick_start.group.folder import ComparisonFolder
from recbole_sibrar.quick_start.group.results import LEVEL, significantly_best
from recbole_sibrar.report import figures, page_tables, story
from recbole_sibrar.report.chart_page import ChartSet, PageFigure, chart_set, describe, page_figure
from recbole_sibrar.report.data_strip import read_data
from recbole_sibrar.report.drawing.columns import align
from recbole_sibrar.report.drawing.panels import draw_panels
from recbole_sibrar.report.page import Part, Section
from recbole_sibrar.report.records import runs_section
from recbole_sibrar.report.tested import differences_chart, pair_square
from recbole_sibrar.report.worth import worth_charts
from recbole_sibrar.studies.missing.measures import COLUMNS

__all__ = ["Material", "build_part"]


@dataclass(frozen=True)
class Material:
    """Everything known about a comparison."""

    data: ComparisonFolder
    """Content of its folder."""
    missing: pd.DataFrame | None = None
    """Rows of a study of missing modalities, if there is one."""
    gap: pd.DataFrame | None = None
    """Rows of measurements of the modality gap, if there are some."""
    projection: pd.DataFrame | None = None
    """Points of projections of the modalities, if there are some."""

    @cached_property
    def colours(self) -> dict[str, Colour]:
        """Colours of all models, with those of the studies that are of no run behind them."""
        results = self.data.results
        classes = dict(zip(results["name"], results["model"].astype(str), strict=True))
        for study in (self.missing, self.gap, self.projection):
            if study is not None:
                others = zip(study["name"].astype(str), study["model"].astype(str), strict=True)
                for name, model in others:
                    classes.setdefault(name, model)
        return model_colours(classes)

    @cached_property
    def run_colours(self) -> dict[str, Colour]:
        """Colours of the models with runs, the best first."""
        return {name: self.colours[name] for name in self.order(self.data.valid_metric)}

    def order(self, metric: str) -> list[str]:
        """List the models, the best first; those without a value come last."""
        ranked = story.ranked(self.data, metric).index.tolist()
        return list(dict.fromkeys([*ranked, *self.data.names]))


def build_part(material: Material) -> Part:
    """Build the part of the page about one comparison.

    Args:
        material: Everything known about it.
    """
    data = material.data
    n_runs = len(data.results)
    seeds = ", ".join(map(str, sorted(set(data.results["seed"]))))
    options = [
        data.title,
        f"seed{'s' if ',' in seeds else ''} {seeds}",
        f"{n_runs} of {n_runs + len(data.unfinished)} runs with a result",
        f"best epoch chosen by {metric_title(data.valid_metric)}",
        f"{data.results['minutes'].sum():.1f} minutes in all",
    ]
    sections = [
        _results(material),
        _worth(material),
        _significance(material),
        _cost(material),
        _groups(material),
        _missing(material),
        _gap(material),
        _curves(material),
        runs_section(data),
    ]
    name = data.folder.absolute().name
    return Part(
        name,
        title=story.heading(data),
        lead=story.lead(data),
        keys="; ".join(options) + ".",
        sections=sections,
        findings=story.findings(data, material.missing),
        strip=read_data(data),
    )


def _results(material: Material) -> Section:
    data = material.data
    frame = data.significance
    best: dict[str, str | None] = {}
    for metric in set(frame["metric"]):
        best[metric] = significantly_best(frame, metric, data.names)

    smaller = [metric for metric in data.metrics if story.is_smaller_better(metric)]
    cells = summary.cells(data.results, data.metrics, smaller, best)
    # The best model in the first row, not the first of the command.
    cells = {name: cells[name] for name in material.order(data.valid_metric)}

    levels = {metric: story.levels(data, material.missing, metric) for metric in data.metrics}
    charts = figures.results_charts(
        data.results, data.metrics, data.valid_metric, material.run_colours, smaller, levels
    )
    table = page_tables.results_table(cells, data.results, data.metrics)

    # The page would show these marks of Markdown as text.
    text = data.legend.replace("<u>", "").replace("</u>", "")
    if data.results["seed"].nunique() > 1:
        text = f"Dots: means; lines: standard deviation over the seeds; ticks: the seeds. {text}"
    return Section(
        "results", "Results", text, chart_sets=[chart_set("metric", charts)], tables=[table]
    )


def _worth(material: Material) -> Section:
    title = "Modalities"
    absent = "Not available: `recbole-sibrar report --missing` evaluates the checkpoints "
    absent += "with some of the modalities."
    missing, metric = material.missing, material.data.valid_metric
    if missing is None or metric not in missing:
        return Section("worth", title, absent=absent)
    level = story.chance(missing, metric)
    charts = worth_charts(missing, metric, level, material.colours, material.order(metric))
    if not charts:
        none = "Not available: no model in the study of missing modalities has several of them."
        return Section("worth", title, absent=none)
    text = "A modality carries much if it alone is far from chance. "
    text += f"It is missed much if all but it fall far behind all.{_studied(material, missing)}"
    return Section("worth", title, text, chart_sets=[chart_set("model", charts)])


def _studied(material: Material, study: pd.DataFrame) -> str:
    """Say that a study has fewer runs than the results; empty if it has all of its models."""
    models = set(study["name"])
    n_runs = sum(run.name in models for run in material.data.runs)
    n_studied = study["checkpoint"].nunique()
    if n_studied >= n_runs:
        return ""
    return f" The study has {n_studied} of the {n_runs} runs of these models: its means can differ from the results."


def _significance(material: Material) -> Section:
    title = "Significance"
    frame = material.data.significance
    if frame.empty:
        absent = "Not available: tests need at least two models with results of the same users "
        absent += "(`save_per_user`), which `run_recbole_group` saves for models that rank."
        return Section("significance", title, absent=absent)

    first = material.data.valid_metric
    metrics = sorted(frame["metric"].unique(), key=lambda metric: metric != first)
    # The rows of the first metric are shown first.
    ordered = pd.concat([frame[frame["metric"] == metric] for metric in metrics])
    table = page_tables.significance_table(ordered, LEVEL)
    text = "Paired t-tests over users; p-values and intervals are corrected for all pairs "
    text += f"(Bonferroni, level {LEVEL}). Users are the sample: such a test says nothing "
    text += "about other draws of items or seeds. Means here are over the users of both models, "
    text += "each user averaged over the seeds; the results average runs, and can differ."
    places = ChartSet("metric", [_tests(material, metric) for metric in metrics])
    return Section("significance", title, text, chart_sets=[places], folded=[table])


def _tests(material: Material, metric: str) -> PageFigure:
    order = material.order(metric)
    square = pair_square(material.data.significance, metric, order)
    chart = differences_chart(material.data.significance, metric, order, material.colours)

    choice = metric_title(metric)
    if chart is None:
        return PageFigure(square.name, choice, square.title, square.title, [square], [square])
    views = [*page_figure(chart).views, square]
    about = describe(chart)
    return PageFigure(square.name, choice, chart.title, about, views, [chart, square])


def _cost(material: Material) -> Section:
    data, metric = material.data, material.data.valid_metric
    memory = {}
    for run in data.runs:
        memory[run.name, run.seed] = float(run.result.get("peak_memory_mb", "nan"))

    order = material.order(metric)
    costs = figures.cost_charts(data.results, memory, order, material.run_colours)
    smaller = [metric] if story.is_smaller_better(metric) else []
    (quality,) = figures.results_charts(
        data.results, [metric], metric, material.run_colours, smaller
    )
    charts = [quality, *costs]
    beside = " and ".join(chart.y_title for chart in costs)
    title = f"Test {metric_title(metric)} beside {beside}"
    # Only the costs have files: the results have their own.
    figure = PageFigure("cost", metric, title, f"Dot plots. {title}.", [align(charts)], costs)
    text = "Reading the data, training and evaluation together; means over the seeds."
    return Section("cost", "Cost", text, chart_sets=[ChartSet("metric", [figure])])


def _groups(material: Material) -> Section:
    data = material.data
    sets = figures.group_charts(data.results, data.valid_metric, material.run_colours)
    if not sets:
        absent = "Not available: give `run_recbole_group` groups, such as "
        absent += '`--eval_groups="{popularity: item, age: user}"`, for their results.'
        return Section("groups", "Groups", absent=absent)

    # One seed has no error bar.
    several = data.results["seed"].nunique() > 1
    text = "Mean over the seeds, error bars: standard deviation. " if several else ""
    text += "Results of item groups count only their items; their "
    text += "share of places is that in the lists of all users."
    places = [chart_set("metric", charts) for charts in sets]
    return Section("groups", "Groups", text, chart_sets=places)


def _curves(material: Material) -> Section:
    data = material.data
    curves = []
    for run in data.runs:
        curve = run.curve
        if curve is not None:
            curves.append((run.name, run.seed, curve))

    if not curves:
        absent = "Not available: no run has a file `learning_curve.csv`; "
        absent += "`run_recbole_group` writes it for every model that is trained in epochs."
        return Section("curves", "Learning curves", absent=absent)

    smaller = [data.valid_metric] if story.is_smaller_better(data.valid_metric) else []
    charts = figures.curve_charts(curves, data.valid_metric, material.run_colours, smaller)
    text = "A line for each run, a dot at its best epoch. "
    text += "Losses of different models are not comparable. "
    text += "All values are in the files learning_curve.csv of the runs."
    return Section("curves", "Learning curves", text, chart_sets=[chart_set("metric", charts)])


def _missing(material: Material) -> Section:
    title = "Missing modalities"
    frame = material.missing
    if frame is None:
        absent = "Not available: `recbole-sibrar report --missing` evaluates the checkpoints "
        absent += "while modalities are missing."
        return Section("missing", title, absent=absent)

    metrics = []
    for name in frame.columns.drop([*COLUMNS, "name"], errors="ignore"):
        if not is_of_group(name):
            metrics.append(name)
    sets = figures.missing_charts(frame, metrics, material.data.valid_metric, material.colours)
    subsets = page_tables.subsets_table(frame, metrics)
    text = "Trained models, evaluated while values of modalities are lost at random, "
    text += "and with some modalities alone. "
    text += "Error bars: standard deviation over draws and seeds. "
    text += f"With nothing left, the order is random.{_studied(material, frame)}"
    charts = [chart_set("metric", charts) for charts in sets]
    # A study of losses alone has no subsets.
    folded = [subsets] if subsets.rows else []
    return Section("missing", title, text, chart_sets=charts, folded=folded)


def _gap(material: Material) -> Section:
    frame = material.gap
    if frame is None:
        absent = "Not available: `recbole-sibrar report --gap` measures it in the checkpoints."
        return Section("gap", "Modality gap", absent=absent)

    charts = figures.gap_charts(_best_first(frame, material), material.colours)
    sets = [chart_set("measure", charts)]
    text = "How far apart the modalities of the same item lie in the embedding space, "
    text += (
        "for each pair of modalities; mean over the seeds, with the mean ends of their intervals."
    )
    text += _studied(material, frame)
    if material.projection is not None:
        sets.insert(0, _projections(_best_first(material.projection, material)))
    return Section(
        "gap", "Modality gap", text, chart_sets=sets, folded=[page_tables.gap_table(frame)]
    )


def _best_first(frame: pd.DataFrame, material: Material) -> pd.DataFrame:
    """Sort the rows of a study by model, the best first."""
    order = material.order(material.data.valid_metric)
    places = dict(zip(order, range(len(order)), strict=True))
    # Checkpoints of no run come last; a stable sort keeps the order of the rows of a model.
    return frame.sort_values(
        "name", kind="stable", key=lambda names: names.map(places).fillna(len(places))
    )


def _projections(frame: pd.DataFrame) -> ChartSet:
    """Show the first checkpoint of each model."""
    first = frame.groupby("name", sort=False)["checkpoint"].transform("first")
    chosen = frame[frame["checkpoint"] == first]

    parts = {}
    for name, part in chosen.groupby("name", sort=False):
        parts[str(name)] = part
    panels = draw_panels(parts)
    title = "Embeddings of items from each modality alone, at unit length, on their two "
    title += "principal components; all panels have one scale"
    about = f"Scatter plots. {title}."
    return ChartSet("model", [PageFigure("projections", "", title, about, [panels])])
