"""What a comparison leaves behind: every result, tables, significance, results of users, learning curves."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from recbole.evaluator.register import smaller_metrics

from recbole_sibrar.data.atomic import DataError
from recbole_sibrar.files import replacing
from recbole_sibrar.quick_start.group import summary
from recbole_sibrar.quick_start.group.runs import CURVE, PER_USER, Run
from recbole_sibrar.quick_start.group.variants import file_name
from recbole_sibrar.studies.significance.measures import compare_all

LEVEL = 0.05
"""p-value, corrected by Bonferroni's method, below which a difference is marked as significant, as in the papers."""

_MARKS = "Best bold, second underlined"

_HEAD = ("name", "model", "seed", "minutes", "valid_score")
"""The first columns of ``results.csv``; the last one is the best ``valid_metric``, by which keys are chosen."""


@dataclass(frozen=True)
class Summary:
    """The results of a comparison as text."""

    markdown: str
    """For ``summary.md``."""
    terminal: str
    """In aligned columns."""


def write(runs: Sequence[Run], output: Path, title: str) -> Summary:
    """Write the results of all finished runs.

    Args:
        runs: All runs.
        output: Folder of the comparison, for ``results.csv``, ``summary.md``, ``summary.tex``, ``significance.csv``
            and the folders ``per_user`` and ``learning_curves``.
        title: What was compared, in words.

    Returns:
        The summary, which ``summary.md`` has as well.
    """
    finished = [run for run in runs if run.finished]
    if not finished:
        nothing = f"{title}\n\n{_incomplete(runs)}\n"
        return Summary(nothing, nothing)
    results = _results(finished)
    metrics = [name for name in results.columns[len(_HEAD) :] if "[" not in name]
    _replace(output / "results.csv", results.to_csv(index=False))
    for folder, source, suffix in (("per_user", PER_USER, ".parquet"), ("learning_curves", CURVE, ".csv")):
        _collect(finished, output / folder, source, suffix)
    different = _different_parts(finished) or _different_candidates(finished)
    users = _users(finished)
    significance = _significance({} if different else users, metrics)
    _replace(output / "significance.csv", significance.to_csv(index=False))
    best = {metric: significantly_best(significance, metric, list(users)) for metric in set(significance["metric"])}
    smaller = [name for name in metrics if name.split("@")[0] in smaller_metrics]
    table = summary.cells(results, metrics, smaller, best)
    legend = " ".join(filter(None, [_legend(finished, any(best.values())), _incomplete(runs), different]))
    text = f"{title}\n\n{summary.markdown(table, metrics)}\n{summary.plain_markdown(legend)}\n"
    _replace(output / "summary.md", text)
    _replace(output / "summary.tex", summary.latex(table, metrics, f"{title}. {legend}"))
    legend = legend.replace(_MARKS, "¹ best, ² second")
    return Summary(text, f"{title}\n\n{summary.terminal(table, metrics)}\n{legend}\n")


def _results(runs: Sequence[Run]) -> pd.DataFrame:
    """A row for each run: what :data:`_HEAD` names, and every metric of the test."""
    rows = []
    for run in runs:
        result = run.result()
        minutes, valid = round(result["seconds"] / 60, 2), result["best_valid_score"]
        head = zip(_HEAD, (run.variant.name, run.variant.model, run.seed, minutes, valid), strict=True)
        rows.append({**dict(head), **result["test_result"]})
    return pd.DataFrame(rows)


def _users(runs: Sequence[Run]) -> dict[str, list[pd.DataFrame]]:
    users: dict[str, list[pd.DataFrame]] = {}
    for run in runs:
        if (run.folder / PER_USER).is_file():
            users.setdefault(run.variant.name, []).append(pd.read_parquet(run.folder / PER_USER))
    return users


def significantly_best(significance: pd.DataFrame, metric: str, names: Sequence[str]) -> str | None:
    """The model whose users fare significantly better with it than with every other model.

    Args:
        significance: The table of :func:`~recbole_sibrar.studies.significance.measures.compare_all`.
        metric: Name of a metric.
        names: All models.

    Returns:
        One of ``names``, or None.
    """
    rows = significance[significance["metric"] == metric]
    sign = -1 if metric.split("@")[0] in smaller_metrics else 1
    for name in names:
        own = rows[(rows["a"] == name) | (rows["b"] == name)]
        ahead = sign * (own["mean_a"] - own["mean_b"]) * (own["a"] == name).map({True: 1, False: -1})
        if len(own) == len(names) - 1 and (ahead > 0).all() and (own["p_t_bonferroni"] < LEVEL).all():
            return name
    return None


def _significance(users: Mapping[str, Sequence[pd.DataFrame]], metrics: Sequence[str]) -> pd.DataFrame:
    """The comparison of all pairs in every metric that is a mean over users and that two users have of each pair."""
    tables = [pd.DataFrame(columns=["metric", "a", "b"])]
    for metric in metrics:
        if len(users) < 2 or not all(metric in frame.columns for frames in users.values() for frame in frames):
            continue
        with suppress(DataError):
            tables.append(compare_all(users, [metric]))
    return pd.concat(tables[1:] or tables)


def _legend(runs: Sequence[Run], marked: bool) -> str:
    seeds = sorted({run.seed for run in runs})
    several = f"Mean ± standard deviation over the seeds {', '.join(map(str, seeds))}"
    sentences = [several if len(seeds) > 1 else f"Seed {seeds[0]}", _MARKS]
    if marked:
        test = f"paired t-test over users, p < {LEVEL} after Bonferroni's correction"
        sentences.append(f"*: better than every other model ({test})")
    return ". ".join(sentences) + "."


def _incomplete(runs: Sequence[Run]) -> str:
    """Which runs have no result."""
    missing: dict[str, list[str]] = {}
    for run in runs:
        if not run.finished:
            missing.setdefault(run.variant.name, []).append(str(run.seed))
    names = "; ".join(f"{name} (seed {', '.join(seeds)})" for name, seeds in missing.items())
    return f"Without a result: {names}." if names else ""


def _different_parts(runs: Sequence[Run]) -> str:
    """Name models that were tested on other interactions than the rest, though they had the same seed."""
    found = _differing(runs, [run.partition() for run in runs])
    return f"NOT TESTED ON THE SAME INTERACTIONS, so without significance: {found}." if found else ""


def _different_candidates(runs: Sequence[Run]) -> str:
    """Name models that ranked more items than the rest, such as items that nobody has interacted with."""
    found = _differing(runs, [run.ranked_items() for run in runs], "{names} ({value} items)")
    advice = "eval_candidates=split ranks those of the test part for all models"
    return f"NOT RANKED AMONG THE SAME ITEMS, so without significance: {found}; {advice}." if found else ""


def _differing(runs: Sequence[Run], values: Sequence[str | None], form: str = "{names}") -> str:
    """The models of each seed by what tells them apart; empty where nothing does."""
    seeds: dict[int, dict[str, list[str]]] = {}
    for run, value in zip(runs, values, strict=True):
        if value:
            seeds.setdefault(run.seed, {}).setdefault(value, []).append(run.variant.name)

    found = []
    for seed, groups in seeds.items():
        if len(groups) > 1:
            listed = (form.format(names=", ".join(names), value=value) for value, names in groups.items())
            found.append(f"seed {seed}: {' / '.join(listed)}")
    return "; ".join(found)


def _collect(runs: Sequence[Run], folder: Path, source: str, suffix: str) -> None:
    """Copy a file of each run under the name of the run, and remove what an earlier comparison has copied."""
    folder.mkdir(parents=True, exist_ok=True)
    names = {f"{file_name(run.variant.name)}-{run.seed}{suffix}": run.folder / source for run in runs}
    for name, path in names.items():
        if path.is_file():
            shutil.copyfile(path, folder / name)
    for path in folder.glob(f"*{suffix}"):
        if path.name not in names:
            path.unlink()


def _replace(path: Path, text: str) -> None:
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
