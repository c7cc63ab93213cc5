"""Results of a comparison.

These are all metrics, summaries, significance, results of users and learning curves.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import pandas as pd
from recbole.evaluator.register import smaller_metrics

from recbole_sibrar.data.atomic import DataError
from recbole_sibrar.files import replacing
from recbole_sibrar.names import is_of_group, without_view
from recbole_sibrar.quick_start.group import differences, summary
from recbole_sibrar.quick_start.group.runs import CURVE, PER_USER, Run
from recbole_sibrar.quick_start.group.variants import file_name
from recbole_sibrar.studies.significance.measures import compare_all

__all__ = ["LEVEL", "Summary", "significantly_best", "write"]

LEVEL = 0.05
"""Significance level of p-values after Bonferroni's correction, as in the papers."""

_MARKS = "Best bold, second underlined"

_VIEWS = "Cold: interactions of new items or users; warm: the others; all: both, in one ranking."

_HEAD = ("name", "model", "seed", "minutes", "valid_score")
"""First columns of ``results.csv``; ``valid_score`` is the best ``valid_metric``."""


@dataclass(frozen=True)
class Summary:
    """Results of a comparison as text."""

    markdown: str
    """Content of ``summary.md``."""
    terminal: str
    """Text in aligned columns."""


def write(runs: Sequence[Run], output: Path, title: str) -> Summary:
    """Write the results of all finished runs.

    Args:
        runs: All runs.
        output: Folder of the comparison, for ``results.csv``, ``summary.md``, ``summary.tex``,
            ``significance.csv`` and the folders ``per_user`` and ``learning_curves``.
        title: Data set and keys of the comparison.

    Returns:
        The summary, also written to ``summary.md``.
    """
    finished = [run for run in runs if run.finished]
    if not finished:
        nothing = f"{title}\n\n{_incomplete(runs)}\n"
        return Summary(nothing, nothing)

    results = _results(finished)
    metrics = [name for name in results.columns[len(_HEAD) :] if not is_of_group(name)]
    _replace(output / "results.csv", results.to_csv(index=False))
    _collect(finished, output / "per_user", PER_USER, ".parquet")
    _collect(finished, output / "learning_curves", CURVE, ".csv")

    # A paired test of models on different interactions or candidates would say nothing.
    different = differences.of_parts(finished) or differences.of_candidates(finished)
    users = _users(finished)
    significance = _significance({} if different else users, metrics)
    _replace(output / "significance.csv", significance.to_csv(index=False))

    best: dict[str, str | None] = {}
    for metric in set(significance["metric"]):
        best[metric] = significantly_best(significance, metric, list(users))

    smaller = [name for name in metrics if name.split("@")[0] in smaller_metrics]
    table = summary.cells(results, metrics, smaller, best)

    has_views = any(without_view(metric)[1] for metric in metrics)
    views = _VIEWS if has_views else ""
    sentences = [_legend(finished, any(best.values())), views, _incomplete(runs), different]
    legend = " ".join(filter(None, sentences))
    return _write_summary(table, metrics, title, legend, output)


def _write_summary(
    table: Mapping[str, Sequence[summary.Cell]],
    metrics: Sequence[str],
    title: str,
    legend: str,
    output: Path,
) -> Summary:
    text = f"{title}\n\n{summary.markdown(table, metrics)}\n{summary.plain_markdown(legend)}\n"
    _replace(output / "summary.md", text)
    _replace(output / "summary.tex", summary.latex(table, metrics, f"{title}. {legend}"))

    # A terminal shows neither bold nor underlined text.
    terminal_legend = legend.replace(_MARKS, "¹ best, ² second")
    terminal = f"{title}\n\n{summary.terminal(table, metrics)}\n{terminal_legend}\n"
    return Summary(text, terminal)


def _results(runs: Sequence[Run]) -> pd.DataFrame:
    """Make a table of the runs: the columns of :data:`_HEAD` and all metrics of the test."""
    rows = []
    for run in runs:
        result = run.result()
        minutes = round(result["seconds"] / 60, 2)
        head = (run.variant.name, run.variant.model, run.seed, minutes, result["best_valid_score"])
        rows.append({**dict(zip(_HEAD, head, strict=True)), **result["test_result"]})
    return pd.DataFrame(rows)


def _users(runs: Sequence[Run]) -> dict[str, list[pd.DataFrame]]:
    """Read the results of users, one table for each seed of a model."""
    users: dict[str, list[pd.DataFrame]] = {}
    for run in runs:
        file = run.folder / PER_USER
        if file.is_file():
            users.setdefault(run.variant.name, []).append(pd.read_parquet(file))
    return users


def significantly_best(significance: pd.DataFrame, metric: str, names: Sequence[str]) -> str | None:
    """Find the model with significantly better results of its users than every other model.

    Args:
        significance: The table of ``recbole_sibrar.studies.significance.measures.compare_all``.
        metric: Name of a metric.
        names: All models.

    Returns:
        One of ``names``, or None.
    """
    rows = significance[significance["metric"] == metric]
    sign = -1 if metric.split("@")[0] in smaller_metrics else 1

    for name in names:
        own = rows[(rows["a"] == name) | (rows["b"] == name)]
        # The table has each pair once: the model is a in some rows and b in others.
        direction = (own["a"] == name).map({True: 1, False: -1})
        lead = sign * (own["mean_a"] - own["mean_b"]) * direction

        has_all_pairs = len(own) == len(names) - 1
        if has_all_pairs and (lead > 0).all() and (own["p_t_bonferroni"] < LEVEL).all():
            return name
    return None


def _significance(
    users: Mapping[str, Sequence[pd.DataFrame]], metrics: Sequence[str]
) -> pd.DataFrame:
    """Compare all pairs of models in every metric with values of users for all models."""
    empty = pd.DataFrame(columns=["metric", "a", "b"])
    frames = list(chain.from_iterable(users.values()))

    tables = []
    for metric in metrics:
        if len(users) < 2 or not all(metric in frame.columns for frame in frames):
            continue
        with suppress(DataError):  # fewer than two users have a value
            tables.append(compare_all(users, [metric]))
    # concat refuses an empty list.
    return pd.concat(tables or [empty])


def _legend(runs: Sequence[Run], marked: bool) -> str:
    seeds = sorted({run.seed for run in runs})
    if len(seeds) > 1:
        sentences = [f"Mean ± standard deviation over the seeds {', '.join(map(str, seeds))}"]
    else:
        sentences = [f"Seed {seeds[0]}"]

    sentences.append(_MARKS)
    if marked:
        test = f"paired t-test over users, p < {LEVEL} after Bonferroni's correction"
        sentences.append(f"*: better than every other model ({test})")
    return ". ".join(sentences) + "."


def _incomplete(runs: Sequence[Run]) -> str:
    """Name the runs without a result."""
    missing: dict[str, list[str]] = {}
    for run in runs:
        if not run.finished:
            missing.setdefault(run.variant.name, []).append(str(run.seed))

    if not missing:
        return ""
    names = [f"{name} (seed {', '.join(seeds)})" for name, seeds in missing.items()]
    return f"Without a result: {'; '.join(names)}."


def _collect(runs: Sequence[Run], folder: Path, source: str, suffix: str) -> None:
    """Copy a file of each run under the run's name, and remove copies of an earlier comparison."""
    folder.mkdir(parents=True, exist_ok=True)
    names = set()
    for run in runs:
        name = f"{file_name(run.variant.name)}-{run.seed}{suffix}"
        names.add(name)
        path = run.folder / source
        if path.is_file():
            shutil.copyfile(path, folder / name)

    for path in folder.glob(f"*{suffix}"):
        if path.name not in names:
            path.unlink()


def _replace(path: Path, text: str) -> None:
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
