"""What a comparison leaves behind: every result, tables, significance, results of users, learning curves."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from recbole.evaluator.register import smaller_metrics

from recbole_sibrar.evaluator.significance import compare_all
from recbole_sibrar.quick_start.group import CURVE, PER_USER, Run
from recbole_sibrar.quick_start.variants import file_name
from recbole_sibrar.report import summary

LEVEL = 0.05
"""p-value, corrected by Bonferroni's method, below which a difference is marked as significant, as in the papers."""


def write(runs: Sequence[Run], output: Path, title: str) -> str:
    """Write the results of all finished runs.

    Args:
        runs: All runs.
        output: Folder of the comparison, for ``results.csv``, ``summary.md``, ``summary.tex``, ``significance.csv``
            and the folders ``per_user`` and ``learning_curves``.
        title: What was compared, in words.

    Returns:
        The summary as Markdown, empty if no run has finished.
    """
    finished = [run for run in runs if run.finished]
    if not finished:
        return ""
    results = _results(finished)
    metrics = [name for name in results.columns[4:] if "[" not in name]
    _replace(output / "results.csv", results.to_csv(index=False))
    for folder, source, suffix in (("per_user", PER_USER, ".parquet"), ("learning_curves", CURVE, ".csv")):
        _collect(finished, output / folder, source, suffix)
    best: dict[str, str | None] = {}
    users = _users(finished)
    if len(users) > 1:
        tested = [name for name in metrics if all(name in run.columns for frames in users.values() for run in frames)]
        significance = compare_all(users, tested)
        _replace(output / "significance.csv", significance.to_csv(index=False))
        best = {metric: _significantly_best(significance, metric, list(users)) for metric in tested}
    smaller = [name for name in metrics if name.split("@")[0] in smaller_metrics]
    table = summary.cells(results, metrics, smaller, best)
    text = f"{title}\n\n{summary.markdown(table, metrics)}\n{_legend(finished)}\n"
    _replace(output / "summary.md", text)
    _replace(output / "summary.tex", summary.latex(table, metrics, title))
    return text


def _results(runs: Sequence[Run]) -> pd.DataFrame:
    """A row for each run: name, model, seed, minutes, and every metric of the test."""
    rows = []
    for run in runs:
        result = run.result()
        head = {"name": run.variant.name, "model": run.variant.model, "seed": run.seed}
        rows.append({**head, "minutes": round(result["seconds"] / 60, 2), **result["test_result"]})
    return pd.DataFrame(rows)


def _users(runs: Sequence[Run]) -> dict[str, list[pd.DataFrame]]:
    users: dict[str, list[pd.DataFrame]] = {}
    for run in runs:
        if (run.folder / PER_USER).is_file():
            users.setdefault(run.variant.name, []).append(pd.read_parquet(run.folder / PER_USER))
    return users


def _significantly_best(significance: pd.DataFrame, metric: str, names: Sequence[str]) -> str | None:
    """The model whose users fare significantly better with it than with every other model."""
    rows = significance[significance["metric"] == metric]
    sign = -1 if metric.split("@")[0] in smaller_metrics else 1
    for name in names:
        own = rows[(rows["a"] == name) | (rows["b"] == name)]
        ahead = sign * (own["mean_a"] - own["mean_b"]) * (own["a"] == name).map({True: 1, False: -1})
        if len(own) == len(names) - 1 and (ahead > 0).all() and (own["p_t_bonferroni"] < LEVEL).all():
            return name
    return None


def _legend(runs: Sequence[Run]) -> str:
    seeds = sorted({run.seed for run in runs})
    return (
        f"Mean ± standard deviation over the seeds {', '.join(map(str, seeds))}; best bold, second underlined. "
        f"\\*: better than every other model (paired t-test over users, p < {LEVEL} after Bonferroni's correction)."
    )


def _collect(runs: Sequence[Run], folder: Path, source: str, suffix: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for run in runs:
        if (run.folder / source).is_file():
            shutil.copyfile(run.folder / source, folder / f"{file_name(run.variant.name)}-{run.seed}{suffix}")


def _replace(path: Path, text: str) -> None:
    temporary = path.with_name(f".{path.name}.writing")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)
