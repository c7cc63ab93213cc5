"""Page about a search of ``run_hyper``: trials, parameters, the best trial and learning curves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.ensemble import RandomForestRegressor
from sklearn.inspection import permutation_importance

from recbole_sibrar.files import replacing
from recbole_sibrar.plotting.chart import Chart, Series
from recbole_sibrar.plotting.colours import Colour
from recbole_sibrar.plotting.style import metric_title
from recbole_sibrar.quick_start.group.folder import read_table
from recbole_sibrar.quick_start.group.runs import CURVE
from recbole_sibrar.quick_start.hyper.parameter import Parameter
from recbole_sibrar.quick_start.hyper.plan import Plan
from recbole_sibrar.quick_start.hyper.record import Record, Status, Trial
from recbole_sibrar.report.chart_page import ChartSet, PageFigure, chart_set
from recbole_sibrar.report.drawing.parallel import Axis, choice_axis, draw_threads, number_axis
from recbole_sibrar.report.figures import slug
from recbole_sibrar.report.page import Part, Section, render
from recbole_sibrar.report.page_tables import Table, Value, number

__all__ = ["importance", "write"]

MIN_TRIALS = 8
"""Smallest number of scores for the importance of parameters; of fewer a forest learns nothing."""

_BEST = Colour("#c75300", "#f28a45", True, 0)
_OTHER = Colour("#6a7482", "#8f9aa8", True, 1)
_STOPPED = Colour("#b07c00", "#eab036", True, 2)


def write(record: Record, plan: Plan, file: Path) -> None:
    """Write the page.

    Args:
        record: The trials.
        plan: The search.
        file: The page.
    """
    scored = _scored(record)
    title = f"Search - {plan.model}, {plan.dataset}"
    best = record.best
    sections = []
    shares: dict[str, float] = {}
    if best is not None:
        shares = importance(scored, list(best.parameters))
        sections = [
            _best(best, plan),
            _trials(scored, best, plan),
            _parameters(scored, best, plan, shares),
            _curves(record, scored, best, plan),
        ]
    sections.append(_table(record, plan))

    lead = f"{_lead(record, best, plan)}{_most_important(shares)}"
    part = Part("search", title, lead, _options(record, plan), sections)
    text = render(title, [part], [])
    with replacing(file) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _scored(record: Record) -> list[Trial]:
    """List the trials with a score; that of a failed trial does not count."""
    scored = []
    for trial in record.ended:
        if trial.score is not None and trial.status != Status.FAILED:
            scored.append(trial)
    return scored


def _lead(record: Record, best: Trial | None, plan: Plan) -> str:
    statuses = [trial.status for trial in record.ended]
    n_failed = statuses.count(Status.FAILED)
    failed = f" {n_failed} of {len(statuses)} trials failed." if n_failed else ""
    if best is None:
        return f"No trial has a score.{failed}"

    metric = metric_title(plan.metric)
    text = f"Trial {best.number} is the best of {len(record.ended)}, "
    text += f"with {best.score:.4f} in {metric} of the validation."
    if plan.metric in best.test_result:
        text += f" Its test gives {best.test_result[plan.metric]:.4f}."
    return text + failed


def _most_important(shares: Mapping[str, float]) -> str:
    if not shares:
        return ""
    first = max(shares, key=lambda name: shares[name])
    share = f"{100 * shares[first]:.0f} % of the importance"
    return f" Of the parameters, {first} matters most: {share}."


def _options(record: Record, plan: Plan) -> str:
    minutes = sum(trial.seconds or 0 for trial in record.ended) / 60
    texts = [
        f"tool {plan.tool}",
        f"algorithm {plan.algo}",
        f"seed {plan.seed}",
        f"{minutes:.1f} minutes of trials",
    ]
    for key, value in plan.keys.items():
        texts.append(f"{key}={value}")
    return f"{'; '.join(texts)}."


def _best(best: Trial, plan: Plan) -> Section:
    epoch = "" if best.best_epoch is None else f", epoch {best.best_epoch}"
    rows = []
    for name, value in best.parameters.items():
        rows.append([Value(name), Value(_text(value))])

    metrics = []
    for name, value in best.result.items():
        tested = number(best.test_result.get(name))
        metrics.append([Value(metric_title(name)), number(value), tested])

    tables = [
        Table("best", f"Keys of trial {best.number}{epoch}", ["Key", "Value"], rows),
        Table("best-results", "Its results", ["Metric", "Validation", "Test"], metrics),
    ]
    return Section("best", "Best trial", "Only the best trial is tested.", tables=tables)


def _text(value: object) -> str:
    """Write a value of a parameter as on the command line; numbers have four digits."""
    if isinstance(value, list):
        return f"[{', '.join(map(_text, value))}]"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _scores(trials: Sequence[Trial]) -> list[float]:
    """Scores of trials that have one."""
    return [float(trial.score or 0) for trial in trials]


def _numbers(trials: Sequence[Trial]) -> list[int]:
    """Numbers of trials."""
    return [trial.number for trial in trials]


def _lines(trial: Trial) -> str:
    """Keys and values of a trial, one a line."""
    return trial.text().replace(", ", "\n")


def _trials(scored: Sequence[Trial], best: Trial, plan: Plan) -> Section:
    scores = _scores(scored)
    so_far = np.maximum.accumulate(scores) if plan.bigger else np.minimum.accumulate(scores)

    # A stopped trial has the score of fewer epochs.
    series = []
    for status, name, colour in (
        (Status.OK, "complete", _OTHER),
        (Status.STOPPED, "stopped", _STOPPED),
    ):
        chosen = [trial for trial in scored if trial.status == status]
        if chosen:
            x = _numbers(chosen)
            y = _scores(chosen)
            texts = [_lines(trial) for trial in chosen]
            series.append(Series(name, name, colour, x, y, details=texts, is_joined=False))

    name = "best so far"
    mark = scored.index(best)
    series.append(Series(name, name, _BEST, _numbers(scored), so_far.tolist(), mark=mark))

    title = f"validation {metric_title(plan.metric)}"
    heading = f"{title[0].upper()}{title[1:]} of each trial"
    chart = Chart("trials", "", heading, "line", "trial", title, series)
    return Section("trials", "Trials", chart_sets=[chart_set("", [chart])])


def _parameters(
    scored: Sequence[Trial], best: Trial, plan: Plan, shares: Mapping[str, float]
) -> Section:
    sets = [_threads(scored, best, plan)]
    if not shares:
        text = f"The importance of parameters needs {MIN_TRIALS} trials with different scores."
        return Section("parameters", "Parameters", text, chart_sets=sets)

    series = []
    for name in sorted(shares, key=lambda name: -shares[name]):
        series.append(Series(name, name, _OTHER, [name], [shares[name]]))
    title = "Importance of each parameter for the score"
    chart = Chart("importance", "", title, "dots", "", "share of all", series, form=".2f")
    sets.append(chart_set("", [chart]))

    text = "Importance: loss of a random forest's fit when the values of a parameter are permuted "
    text += "(Breiman 2001), as a share of the sum. "
    text += f"It describes these {len(scored)} trials; few trials make it uncertain."
    return Section("parameters", "Parameters", text, chart_sets=sets)


def _threads(scored: Sequence[Trial], best: Trial, plan: Plan) -> ChartSet:
    """Show the trials in parallel coordinates; the score is the last axis."""
    scores = _scores(scored)
    known = {parameter.name: parameter for parameter in plan.space.parameters}
    axes = [_axis(scored, known[name]) for name in best.parameters]
    axes.append(number_axis(f"validation {metric_title(plan.metric)}", scores))

    hints = []
    for trial in scored:
        hints.append(f"trial {trial.number}\n{_lines(trial)}\n{trial.score:.4f}")

    view = draw_threads(axes, scores, scored.index(best), plan.bigger, hints)
    title = "A thread for each trial, through the values of its parameters to its score"
    about = f"Parallel coordinates. {title}."
    return ChartSet("", [PageFigure("parallel", "", title, about, [view])])


def _axis(scored: Sequence[Trial], parameter: Parameter) -> Axis:
    name = parameter.name
    values = [trial.parameters[name] for trial in scored]
    if parameter.kind == "choice":
        return choice_axis(name, _texts(values), _texts(parameter.values))
    return number_axis(name, [float(value) for value in values], parameter.kind == "loguniform")


def _texts(values: Sequence[object]) -> list[str]:
    return [_text(value) for value in values]


def importance(trials: Sequence[Trial], names: Sequence[str]) -> dict[str, float]:
    """Estimate the importance of parameters by permutation in a random forest.

    Args:
        trials: Trials with a score.
        names: The parameters.

    Returns:
        Parameter -> its share of all importance; empty for too few trials, or if nothing is
        important.
    """
    scores = np.array(_scores(trials))
    if len(scores) < MIN_TRIALS or np.ptp(scores) == 0:
        return {}

    columns = []
    for name in names:
        columns.append(_codes([trial.parameters[name] for trial in trials]))
    table = np.stack(columns, axis=1)  # [n_trials, n_parameters]

    # Permutation importance: Breiman, Random Forests, Machine Learning 45 (2001). Trees see the
    # order of numbers alone, so that a logarithmic scale makes no difference.
    forest = RandomForestRegressor(200, random_state=0).fit(table, scores)
    found = permutation_importance(forest, table, scores, n_repeats=20, random_state=0)

    # A parameter without influence may improve the fit a little by chance.
    means = found["importances_mean"].clip(min=0)
    total = float(means.sum())
    if not total > 0:
        return {}
    return dict(zip(names, (means / total).tolist(), strict=True))


def _codes(values: Sequence[object]) -> NDArray[np.float64]:
    """Turn values into numbers: numbers stay, others get the alphabetic position of their text."""
    if all(isinstance(value, (int, float)) for value in values):
        return np.array(values, dtype=float)

    # Choices may be lists, which NumPy would take for rows.
    texts = [str(value) for value in values]
    positions: NDArray[np.float64] = np.unique(texts, return_inverse=True)[1].astype(float)
    return positions


def _curves(record: Record, scored: Sequence[Trial], best: Trial, plan: Plan) -> Section:
    series = []
    # The best one last: it is drawn above the others.
    others = [trial for trial in scored if trial is not best]
    for trial in (*others, best):
        file = record.trial_folder(trial) / CURVE
        curve = read_table(file) if file.is_file() else pd.DataFrame()
        if plan.metric not in curve:
            continue

        values = curve[plan.metric].to_numpy(dtype=float)
        position = int(np.nanargmax(values) if plan.bigger else np.nanargmin(values))
        name = f"trial {trial.number}"
        group = f"{name}, the best" if trial is best else "other trials"
        colour = _BEST if trial is best else _OTHER
        x = curve["epoch"].tolist()
        series.append(Series(name, group, colour, x, values.tolist(), mark=position))

    if not series:
        absent = "Not available: no trial has a file `learning_curve.csv`; "
        absent += "trials of models trained in epochs write it."
        return Section("curves", "Learning curves", absent=absent)

    metric = metric_title(plan.metric)
    title = f"validation {metric}"
    heading = f"Validation {metric} of each trial after each epoch"
    epoch = "epoch, as the log counts: from 0"
    chart = Chart(slug("curves", plan.metric), "", heading, "line", epoch, title, series)
    text = "A line for each trial, a dot at its best epoch."
    return Section("curves", "Learning curves", text, chart_sets=[chart_set("", [chart])])


def _table(record: Record, plan: Plan) -> Section:
    names = list(dict.fromkeys(chain.from_iterable(trial.parameters for trial in record.ended)))
    rows = []
    for trial in record.ended:
        cells = [Value(_text(trial.parameters.get(name, "-"))) for name in names]
        effort = [number(trial.best_epoch, "d"), number(trial.seconds, ".1f")]
        status = Value(f"{trial.status}: {trial.reason}" if trial.reason else str(trial.status))
        rows.append([number(trial.number, "d"), *cells, number(trial.score), *effort, status])

    columns = [
        "Trial",
        *names,
        f"Validation\n{metric_title(plan.metric)}",
        "Best\nepoch",
        "Seconds",
        "Status",
    ]
    table = Table("trials", "Every trial", columns, rows)
    return Section("all", "All trials", folded=[table], is_printed=False)
