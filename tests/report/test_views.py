"""The page about a comparison with warm and cold interactions in one test."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
import yaml

from recbole_sibrar.quick_start.group.folder import ComparisonFolder, read_comparisons
from recbole_sibrar.report import build as report
from recbole_sibrar.report.sections import Material, build_part


@pytest.fixture
def data(comparison: Path) -> ComparisonFolder:
    """The comparison with two views: cold results are half of all, warm ones 0.1 above all."""
    file = comparison / "results.csv"
    results = pd.read_csv(file)
    for metric in ("ndcg@10", "gini@10"):
        results[f"{metric}[cold]"] = results[metric] / 2
        results[f"{metric}[warm]"] = results[metric] + 0.1
    results.to_csv(file, index=False)

    split = {"CS": [0.8, 0.1, 0.1], "warm": [0.8, 0.1, 0.1]}
    for config in comparison.glob("runs/*/config.yaml"):
        keys = yaml.safe_load(config.read_text(encoding="utf-8"))
        keys |= {"eval_args": {"split": split, "group_by": "item"}, "valid_metric": "NDCG@10[cold]"}
        config.write_text(yaml.safe_dump(keys), encoding="utf-8")
    return read_comparisons(comparison)[0]


def test_three_columns_of_each_metric(data: ComparisonFolder) -> None:
    table = build_part(Material(data)).sections[0].tables[0]
    assert table.columns == ["Model", "Cold:\nnew", "Warm:\nknown", "All", "Minutes"]
    assert (table.choice, table.groups) == (
        "metric",
        ["nDCG@10"] * 3 + ["Gini@10 (less is better)"] * 3,
    )
    assert [cell.text for cell in table.rows[0][:4]] == ["SiBraR", "0.1650", "0.4300", "0.3300"]
    assert [[cell.rank for cell in row[1:4]] for row in table.rows[:3]] == [
        [1] * 3,
        [2] * 3,
        [0] * 3,
    ]


def test_charts_and_words(data: ComparisonFolder) -> None:
    first = build_part(Material(data)).sections[0].chart_sets[0].figures[0]
    assert first.name == "results-ndcg-10-cold"
    best = first.charts[0].series[0]
    assert (best.name, best.y) == ("SiBraR", pytest.approx([0.165]))

    page = report.run(data.folder)[0].read_text(encoding="utf-8")
    assert "New items beside known ones - tiny" in page
    assert "SiBraR has the best nDCG@10 (cold) (0.1650) and is first in 6 of 6 metrics." in page
    assert (
        "Best nDCG@10 of cold interactions: SiBraR (0.1650); of warm interactions: SiBraR (0.4300)."
        in page
    )
