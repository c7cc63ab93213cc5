"""The table of a comparison, as Markdown, as LaTeX and as text for a terminal."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd


@dataclass(frozen=True)
class Cell:
    """A model's results in one metric."""

    mean: float
    """Mean over seeds; NaN where no seed has a value."""
    deviation: float
    """Sample standard deviation over seeds; NaN for a single one."""
    rank: int
    """1 for the best model, 2 for the second; equal means share a rank; 0 where there is no mean."""
    significant: bool
    """Whether the best model is significantly better than every other."""


def cells(
    results: pd.DataFrame, metrics: Sequence[str], smaller: Collection[str], significant: Mapping[str, str | None]
) -> dict[str, list[Cell]]:
    """Aggregate the runs of each model.

    Args:
        results: A row for each run, with the column ``name`` and one for each metric.
        metrics: The metrics, in order.
        smaller: Those that are better when they are smaller.
        significant: Metric -> the model that is significantly better than every other, or None.

    Returns:
        Name of each model, in the order of ``results``, -> a cell for each metric.
    """
    names = list(dict.fromkeys(results["name"]))
    grouped = results.groupby("name")[list(metrics)]
    means, deviations = grouped.mean().loc[names], grouped.std(ddof=1).loc[names]
    signs = np.array([-1.0 if metric in smaller else 1.0 for metric in metrics])
    ranks = (means * signs).round(12).rank(ascending=False, method="min").fillna(0).astype(int)
    return {
        name: [
            Cell(
                float(means.loc[name, metric]),
                float(deviations.loc[name, metric]),
                int(ranks.loc[name, metric]),
                significant.get(metric) == name,
            )
            for metric in metrics
        ]
        for name in names
    }


def markdown(table: Mapping[str, Sequence[Cell]], metrics: Sequence[str]) -> str:
    """A Markdown table: mean ± standard deviation, the best bold, the second underlined, ``*`` for significance."""
    head = " | ".join(map(plain_markdown, metrics))
    lines = [f"| model | {head} |", "|---" * (len(metrics) + 1) + "|"]
    lines += [
        f"| {plain_markdown(name)} | {' | '.join(_markdown(cell) for cell in row)} |" for name, row in table.items()
    ]
    return "\n".join(lines) + "\n"


def _number(cell: Cell, plus_minus: str) -> str:
    if np.isnan(cell.mean):
        return "-"
    return f"{cell.mean:.4f}" + ("" if np.isnan(cell.deviation) else f"{plus_minus}{cell.deviation:.4f}")


def plain_markdown(text: str) -> str:
    r"""Plain text for Markdown.

    Example:
        >>> print(plain_markdown("a|b*"))
        a\|b\*
    """
    return "".join(f"\\{x}" if x in r"\|*<`" else x for x in text)


def _markdown(cell: Cell) -> str:
    text = _number(cell, " ± ")
    text = {1: f"**{text}**", 2: f"<u>{text}</u>"}.get(cell.rank, text)
    return text + (r"\*" if cell.significant else "")


def terminal(table: Mapping[str, Sequence[Cell]], metrics: Sequence[str]) -> str:
    """The same table in aligned columns: ¹ marks the best, ² the second, * what is significantly better.

    Args:
        table: What :func:`cells` returns.
        metrics: The metrics, in order.
    """
    rows = [[name, *map(_terminal, row)] for name, row in table.items()]
    lines = [["model", *(f"{metric}  " for metric in metrics)], *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(metrics) + 1)]
    aligned = [
        [line[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(line[1:], widths[1:], strict=True))]
        for line in lines
    ]
    return "\n".join("  ".join(line).rstrip() for line in aligned) + "\n"


def _terminal(cell: Cell) -> str:
    mark = {1: "¹", 2: "²"}.get(cell.rank, " ")
    return _number(cell, " ± ") + mark + ("*" if cell.significant else " ")


def latex(table: Mapping[str, Sequence[Cell]], metrics: Sequence[str], caption: str) -> str:
    """A LaTeX table (package booktabs) of the same content.

    Args:
        table: What :func:`cells` returns.
        metrics: The metrics, in order.
        caption: Plain text.
    """
    rows = [f"{_escape(name)} & {' & '.join(_latex(cell) for cell in row)} \\\\" for name, row in table.items()]
    head = " & ".join(["model", *map(_escape, metrics)])
    return "\n".join(
        [
            r"\begin{table}",
            r"\centering",
            rf"\caption{{{_escape(caption)}}}",
            rf"\begin{{tabular}}{{l{'c' * len(metrics)}}}",
            r"\toprule",
            rf"{head} \\",
            r"\midrule",
            *rows,
            r"\bottomrule",
            r"\end{tabular}",
            r"\end{table}",
            "",
        ]
    )


def _latex(cell: Cell) -> str:
    text = _number(cell, r" $\pm$ ")
    text = {1: rf"\textbf{{{text}}}", 2: rf"\underline{{{text}}}"}.get(cell.rank, text)
    return text + ("$^{*}$" if cell.significant else "")


def _escape(text: str) -> str:
    """Plain text for LaTeX.

    Example:
        >>> _escape("ndcg@10 & 5 % of SiBraR_S")
        'ndcg@10 \\\\& 5 \\\\% of SiBraR\\\\_S'
    """
    special = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
    special |= {"<": "$<$", ">": "$>$", "|": "$|$", "±": r"$\pm$", "[": "{[}", "]": "{]}", '"': "''"}
    return "".join(special.get(x, f"\\{x}" if x in "&%$#_{}" else x) for x in text)
