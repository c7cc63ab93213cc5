"""Table of a comparison in Markdown, in LaTeX and as text for a terminal."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from recbole_sibrar.names import ALL, VIEWS, without_view

__all__ = ["Block", "Cell", "blocks", "cells", "latex", "markdown", "plain_markdown", "terminal"]

_RANK_DIGITS = 12
"""Decimals of a mean that decide its rank; sums in another order differ in the last ones."""

_LATEX_ESCAPES = str.maketrans(
    {
        "&": r"\&",
        "%": r"\%",
        "$": r"\$",
        "#": r"\#",
        "_": r"\_",
        "{": r"\{",
        "}": r"\}",
        "\\": r"\textbackslash{}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "<": "$<$",
        ">": "$>$",
        "|": "$|$",
        "±": r"$\pm$",
        # A bracket after the end of a row, "\\ [", would be read as its height.
        "[": "{[}",
        "]": "{]}",
        '"': "''",
    }
)
"""Characters with a meaning in LaTeX, or with another look outside its mathematics."""


@dataclass(frozen=True)
class Cell:
    """Results of a model in one metric."""

    mean: float
    """Mean over seeds; NaN without any value."""
    deviation: float
    """Sample standard deviation over seeds; NaN for a single one."""
    rank: int
    """1 for the best model, 2 for the second; equal means share a rank; 0 without a mean."""
    significant: bool
    """True for a best model with significantly better results than every other."""


@dataclass(frozen=True)
class Block:
    """Some columns of the table, under a head of their own."""

    head: str
    """Title of the first column, with the models."""
    titles: list[str]
    """Titles of the other columns."""
    places: list[int]
    """Positions of these columns in the list of all metrics."""


def blocks(metrics: Sequence[str]) -> list[Block]:
    """Divide the columns of a table into blocks.

    There is a block for each metric in its views, or a single one without views.

    Args:
        metrics: Names of all columns.

    Example:
        >>> blocks(["ndcg@10", "mrr@10"])
        [Block(head='model', titles=['ndcg@10', 'mrr@10'], places=[0, 1])]
        >>> blocks(["ndcg@10", "ndcg@10[cold]", "ndcg@10[warm]"])
        [Block(head='ndcg@10', titles=['cold', 'warm', 'all'], places=[1, 2, 0])]
    """
    names = [without_view(metric) for metric in metrics]
    if not any(view for _, view in names):
        return [Block("model", list(metrics), list(range(len(metrics))))]

    found: dict[str, dict[str, int]] = {}
    for place, (metric, view) in enumerate(names):
        found.setdefault(metric, {})[view or ALL] = place

    divided = []
    for metric, places in found.items():
        titles = [view for view in (*VIEWS, ALL) if view in places]
        divided.append(Block(metric, titles, [places[title] for title in titles]))
    return divided


def cells(
    results: pd.DataFrame,
    metrics: Sequence[str],
    smaller: Collection[str],
    significant: Mapping[str, str | None],
) -> dict[str, list[Cell]]:
    """Aggregate the runs of each model.

    Args:
        results: A row for each run, with the column ``name`` and one for each metric.
        metrics: The metrics, in order.
        smaller: Metrics with smaller values for better models.
        significant: Metric -> the significantly best model, or None.

    Returns:
        Name of each model, in the order of ``results``, -> a cell for each metric.
    """
    names = list(dict.fromkeys(results["name"]))
    grouped = results.groupby("name")[list(metrics)]
    # groupby sorts the models by name; .loc restores the order of the runs.
    means = grouped.mean().loc[names]
    deviations = grouped.std(ddof=1).loc[names]

    signs = np.where(means.columns.isin(list(smaller)), -1.0, 1.0)
    scores = (means * signs).round(_RANK_DIGITS)
    # A model without any value has the rank NaN, which no integer can hold.
    ranks = scores.rank(ascending=False, method="min").fillna(0).astype(int)

    table: dict[str, list[Cell]] = {}
    for name in names:
        table[name] = []
        for metric in metrics:
            cell = Cell(
                mean=float(means.loc[name, metric]),
                deviation=float(deviations.loc[name, metric]),
                rank=int(ranks.loc[name, metric]),
                significant=significant.get(metric) == name,
            )
            table[name].append(cell)
    return table


def _number(cell: Cell, plus_minus: str) -> str:
    if np.isnan(cell.mean):
        return "-"
    deviation = "" if np.isnan(cell.deviation) else f"{plus_minus}{cell.deviation:.4f}"
    return f"{cell.mean:.4f}{deviation}"


def markdown(table: Mapping[str, Sequence[Cell]], metrics: Sequence[str]) -> str:
    """Format a Markdown table of mean ± standard deviation.

    The best is bold, the second underlined, and ``*`` marks a significantly best model.
    """
    texts = []
    for block in blocks(metrics):
        head = " | ".join(map(plain_markdown, (block.head, *block.titles)))
        lines = [f"| {head} |", "|---" * (len(block.titles) + 1) + "|"]
        for name, row in table.items():
            values = " | ".join(_values(block, row, _markdown))
            lines.append(f"| {plain_markdown(name)} | {values} |")
        texts.append("\n".join(lines) + "\n")
    return "\n".join(texts)


def plain_markdown(text: str) -> str:
    r"""Escape plain text for Markdown.

    Example:
        >>> print(plain_markdown("a|b*"))
        a\|b\*
    """
    return re.sub(r"[\\|*<`]", r"\\\g<0>", text)


def _values(block: Block, row: Sequence[Cell], form: Callable[[Cell], str]) -> list[str]:
    """Format the cells of a model in the columns of a block."""
    return [form(row[place]) for place in block.places]


def _markdown(cell: Cell) -> str:
    text = _number(cell, " ± ")
    text = {1: f"**{text}**", 2: f"<u>{text}</u>"}.get(cell.rank, text)
    return text + (r"\*" if cell.significant else "")


def terminal(table: Mapping[str, Sequence[Cell]], metrics: Sequence[str]) -> str:
    """Format the table in aligned columns.

    The mark ¹ stands for the best, ² for the second, and * for a significantly best model.

    Args:
        table: The table of :func:`cells`.
        metrics: The metrics, in order.
    """
    texts = []
    for block in blocks(metrics):
        # Titles end in two spaces above the two marks of a value.
        lines = [[block.head, *(f"{title}  " for title in block.titles)]]
        for name, row in table.items():
            lines.append([name, *_values(block, row, _terminal)])
        texts.append(_aligned(lines))
    return "\n".join(texts)


def _aligned(lines: Sequence[Sequence[str]]) -> str:
    """Align the columns of some lines: the first to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    aligned = []
    for name, *values in lines:
        padded = [value.rjust(width) for value, width in zip(values, widths[1:], strict=True)]
        aligned.append("  ".join([name.ljust(widths[0]), *padded]).rstrip())
    return "\n".join(aligned) + "\n"


def _terminal(cell: Cell) -> str:
    mark = {1: "¹", 2: "²"}.get(cell.rank, " ")
    return _number(cell, " ± ") + mark + ("*" if cell.significant else " ")


def latex(table: Mapping[str, Sequence[Cell]], metrics: Sequence[str], caption: str) -> str:
    """Format a LaTeX table (package booktabs) of the same content.

    Args:
        table: The table of :func:`cells`.
        metrics: The metrics, in order.
        caption: Plain text.
    """
    divided = blocks(metrics)
    width = max(len(block.titles) for block in divided)
    content: list[str] = []
    for block in divided:
        content += [r"\midrule"] if content else []
        content.append(" & ".join(map(_escape, (block.head, *block.titles))) + r" \\")
        content.append(r"\midrule")
        for name, row in table.items():
            values = " & ".join(_values(block, row, _latex))
            content.append(f"{_escape(name)} & {values} \\\\")

    lines = [
        r"\begin{table}",
        r"\centering",
        rf"\caption{{{_escape(caption)}}}",
        rf"\begin{{tabular}}{{l{'c' * width}}}",
        r"\toprule",
        *content,
        r"\bottomrule",
        r"\end{tabular}",
        r"\end{table}",
        "",
    ]
    return "\n".join(lines)


def _latex(cell: Cell) -> str:
    text = _number(cell, r" $\pm$ ")
    text = {1: rf"\textbf{{{text}}}", 2: rf"\underline{{{text}}}"}.get(cell.rank, text)
    return text + ("$^{*}$" if cell.significant else "")


def _escape(text: str) -> str:
    r"""Escape plain text for LaTeX.

    Example:
        >>> _escape("ndcg@10 & 5 % of SiBraR_S")
        'ndcg@10 \\& 5 \\% of SiBraR\\_S'
    """
    # In one pass: replacing one character after another would escape the escapes.
    return text.translate(_LATEX_ESCAPES)
