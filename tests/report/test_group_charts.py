"""Figures of groups: labels with ranges of numbers, and shares of places beside the metrics."""

from __future__ import annotations

import pandas as pd

from recbole_sibrar.plotting.colours import model_colours
from recbole_sibrar.report.figures import group_charts

ROW = {
    "ndcg@10[age=below 18]": 0.1,
    "ndcg@10[age=18 to below 35.5]": 0.2,
    "ndcg@10[age=35.5 and above]": 0.3,
    "ndcg@10[image=available]": 0.4,
    "placeshare@10[image=available]": 0.9,
    "candidateshare[image=available]": 0.7,
    "placeshare@10[image=missing]": 0.1,
    "candidateshare[image=missing]": 0.3,
}


def test_ranges_and_shares_are_drawn() -> None:
    results = pd.DataFrame([{"name": "SiBraR", "seed": 1, **ROW}])
    ages, images = group_charts(results, "ndcg@10", model_colours({"SiBraR": "SiBraR"}))
    (chart,) = ages
    assert chart.title == "Test nDCG@10 by age"
    assert chart.series[0].x == ["below 18", "18 to below 35.5", "35.5 and above"]
    assert chart.series[0].y == [0.1, 0.2, 0.3]

    drawn = {chart.choice: (chart.series[0].x, chart.series[0].y) for chart in images}
    assert drawn == {
        "nDCG@10": (["available"], [0.4]),
        "Share of places@10": (["available", "missing"], [0.9, 0.1]),
        "Share of candidates": (["available", "missing"], [0.7, 0.3]),
    }
