from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest

from recbole_sibrar.quick_start.group.summary import (
    Cell,
    cells,
    latex,
    markdown,
    plain_markdown,
    terminal,
)

NOTHING: dict[str, str | None] = {}


def results(**columns: list[float]) -> pd.DataFrame:
    """Two runs of each of the models A, B and C."""
    names = ["A", "A", "B", "B", "C", "C"]
    return pd.DataFrame({"name": names[: len(next(iter(columns.values())))], "seed": 1, **columns})


def balanced(text: str) -> bool:
    """Whether braces, environments and mathematics are closed."""
    text = text.replace(r"\\", "").replace(r"\{", "").replace(r"\}", "").replace(r"\$", "")
    depth = 0
    for character in text:
        depth += (character == "{") - (character == "}")
        if depth < 0:
            return False
    begun, ended = re.findall(r"\\begin\{(\w+)\}", text), re.findall(r"\\end\{(\w+)\}", text)
    return depth == 0 and begun == ended[::-1] and text.count("$") % 2 == 0


def test_cell_is_mean_and_sample_deviation() -> None:
    table = cells(results(ndcg=[0.1, 0.3, 0.5, 0.7, 0.2, 0.2]), ["ndcg"], [], NOTHING)
    assert list(table) == ["A", "B", "C"]
    (cell,) = table["A"]
    assert (cell.mean, cell.deviation) == pytest.approx((0.2, np.std([0.1, 0.3], ddof=1)))
    assert [row[0].rank for row in table.values()] == [2, 1, 2]


def test_models_keep_the_order_of_runs() -> None:
    frame = results(ndcg=[1, 1, 2, 2, 3, 3]).iloc[::-1]
    assert list(cells(frame, ["ndcg"], [], NOTHING)) == ["C", "B", "A"]


def test_smaller_is_better_for_some_metrics() -> None:
    table = cells(
        results(ndcg=[1, 1, 2, 2, 3, 3], gini=[1, 1, 2, 2, 3, 3]),
        ["ndcg", "gini"],
        ["gini"],
        NOTHING,
    )
    assert [[cell.rank for cell in row] for row in table.values()] == [[3, 1], [2, 2], [1, 3]]


def test_equal_means_share_a_rank() -> None:
    seeds = [0.1, 0.2, 0.2, 0.1]  # in another order, where floating point sums differ
    table = cells(results(ndcg=[*seeds, 0.05, 0.05]), ["ndcg"], [], NOTHING)
    assert [row[0].rank for row in table.values()] == [1, 1, 3]
    assert markdown(table, ["ndcg"]).count("**0.1500 ± 0.0707**") == 2
    assert "<u>" not in markdown(table, ["ndcg"])


def test_last_digit_does_not_count() -> None:
    frame = pd.DataFrame({"name": ["A"] * 3 + ["B"] * 3, "ndcg": [0.1, 0.2, 0.3, 0.3, 0.2, 0.1]})
    assert frame["ndcg"][:3].sum() != frame["ndcg"][3:].to_numpy().cumsum()[-1]
    assert [row[0].rank for row in cells(frame, ["ndcg"], [], NOTHING).values()] == [1, 1]


def test_missing_value_is_a_dash() -> None:
    nan = float("nan")
    table = cells(results(ndcg=[nan, nan, 0.5, nan, 0.1, 0.2]), ["ndcg"], [], NOTHING)
    assert [row[0].rank for row in table.values()] == [0, 1, 2]
    lines = markdown(table, ["ndcg"]).splitlines()
    assert lines[2:] == ["| A | - |", "| B | **0.5000** |", "| C | <u>0.1500 ± 0.0707</u> |"]
    assert r"A & - \\" in latex(table, ["ndcg"], "x")


def test_a_single_seed_has_no_deviation() -> None:
    frame = pd.DataFrame({"name": ["A", "B"], "ndcg": [0.1, 0.2]})
    table = cells(frame, ["ndcg"], [], NOTHING)
    assert markdown(table, ["ndcg"]).splitlines()[2:] == [
        "| A | <u>0.1000</u> |",
        "| B | **0.2000** |",
    ]
    assert r"\pm" not in latex(table, ["ndcg"], "x")


def test_mark_is_at_the_best_model() -> None:
    table = cells(
        results(ndcg=[1, 1, 2, 2], mrr=[1, 1, 2, 2]),
        ["ndcg", "mrr"],
        [],
        {"ndcg": "B", "mrr": None},
    )
    assert [[cell.significant for cell in row] for row in table.values()] == [
        [False, False],
        [True, False],
    ]
    assert (
        markdown(table, ["ndcg", "mrr"]).splitlines()[3]
        == r"| B | **2.0000 ± 0.0000**\* | **2.0000 ± 0.0000** |"
    )
    assert r"\textbf{2.0000 $\pm$ 0.0000}$^{*}$ & \textbf{2.0000 $\pm$ 0.0000} \\" in latex(
        table, ["ndcg", "mrr"], ""
    )


def test_markdown_rows_have_equal_length() -> None:
    row = [Cell(0.1, 0.2, 1, True), Cell(0.1, 0.2, 2, False)]
    lines = markdown({"a|b": row, "x*y": row}, ["ndcg@10", "mrr|x"]).splitlines()
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in lines} == {4}
    assert lines[2].startswith(r"| a\|b | ")
    assert lines[3].startswith(r"| x\*y | ")
    assert plain_markdown("p < 0.05, *: `x`") == r"p \< 0.05, \*: \`x\`"


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("SiBraR_S", r"SiBraR\_S"),
        ("50 % & #1 $", r"50 \% \& \#1 \$"),
        ("a\\b", r"a\textbackslash{}b"),
        ("{x}", r"\{x\}"),
        ("a^b~c", r"a\textasciicircum{}b\textasciitilde{}c"),
        ("[text]", "{[}text{]}"),  # after \\ a bracket would be the size of a gap
        ("p < 0.05 ±", r"p $<$ 0.05 $\pm$"),
    ],
)
def test_latex_is_escaped(name: str, written: str) -> None:
    text = latex(
        {name: [Cell(0.1, 0.2, 1, True)], "other": [Cell(0.1, 0.2, 2, False)]}, [name], name
    )
    assert text.count(written) == 3
    assert balanced(text)
    assert rf"{written} & \textbf{{0.1000 $\pm$ 0.2000}}$^{{*}}$ \\" in text.splitlines()


def test_latex_has_a_column_for_each_metric() -> None:
    metrics = ["ndcg@10", "recall@10", "coverage@10"]
    table = {
        name: [Cell(0.1, float("nan"), rank, False) for rank in (1, 2, 0)] for name in ("A", "B")
    }
    text = latex(table, metrics, "of {all} models")
    lines = text.splitlines()
    assert r"\begin{tabular}{lccc}" in lines
    assert [line.replace(r"\&", "").count("&") for line in lines if line.endswith(r"\\")] == [
        3,
        3,
        3,
    ]
    assert [line for line in lines if line.endswith("rule")] == [
        r"\toprule",
        r"\midrule",
        r"\bottomrule",
    ]
    assert balanced(text)
    assert text.isascii()
    assert text.endswith("\\end{table}\n")


def in_views() -> tuple[dict[str, list[Cell]], list[str]]:
    """Models A, B and C in one metric: A is the best for new items, C for known ones, B for all."""
    columns = {
        "ndcg@10": [2, 2, 3, 3, 1, 1],
        "ndcg@10[cold]": [3, 3, 2, 2, 1, 1],
        "ndcg@10[warm]": [1, 1, 2, 2, 3, 3],
    }
    frame = results(**columns, **{"mrr@10": [1, 1, 2, 2, 3, 3]})
    metrics = [*columns, "mrr@10"]
    return cells(frame, metrics, [], NOTHING), metrics


def test_views_are_columns_of_a_metric() -> None:
    table, metrics = in_views()
    blocks = markdown(table, metrics).split("\n\n")
    lines = [
        [cell.strip() for cell in line.strip("| ").split("|")] for line in blocks[0].splitlines()
    ]
    assert lines[0] == ["ndcg@10", "cold", "warm", "all"]
    best = {row[0]: [cell.startswith("**") for cell in row[1:]] for row in lines[2:]}
    assert best == {"A": [True, False, False], "B": [False, False, True], "C": [False, True, False]}
    assert blocks[1].startswith("| mrr@10 | all |")


def test_views_in_other_forms() -> None:
    table, metrics = in_views()
    heads = [line.split() for line in terminal(table, metrics).splitlines() if "@" in line]
    assert heads == [["ndcg@10", "cold", "warm", "all"], ["mrr@10", "all"]]
    text = latex(table, metrics, "caption")
    assert balanced(text)
    assert r"\begin{tabular}{lccc}" in text
    assert r"ndcg@10 & cold & warm & all \\" in text
