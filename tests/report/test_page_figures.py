"""Figures of the page: their texts and the places of their marks."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from report_page import Reader

from recbole_sibrar.report import build as report

STRANGE = "<b>A & $B$</b>"
GAP = "cosine ratio, same / different: 0.4000 (0.3000 to 0.5000)"


@pytest.fixture
def page(comparison: Path) -> Reader:
    return Reader(report.run(comparison)[0])


def test_dots_show_the_file_numbers(page: Reader) -> None:
    assert page.texts("results-ndcg-10", "span", "name") == ["SiBraR", STRANGE, "Pop"]
    assert page.texts("results-ndcg-10", "span", "value") == ["0.3300", "0.1500", "0.0600"]
    first = page.texts("results-ndcg-10", "title")[0]
    deviation = (0.35 - 0.31) / 2**0.5
    assert f"nDCG@10: 0.3300 ({0.33 - deviation:.4f} to {0.33 + deviation:.4f})" in first
    assert "seed 1: 0.3100, seed 2: 0.3500" in first
    groups = page.texts("groups-gender-ndcg-10", "span", "value")
    assert groups == ["0.3400", "0.1600", "0.0700", "0.3200", "0.1400", "0.0500"]
    assert page.texts("gap-cosine_ratio", "title") == ["SiBraR, text - class\n" + GAP]


def test_places_are_those_of_the_numbers(page: Reader) -> None:
    dots = [
        x for tag, x in page.attributes if tag in ("circle", "rect") and x.get("class") == "dot"
    ][:3]
    ticks = [
        x
        for tag, x in page.attributes
        if tag == "span" and "style" in x and str(x["style"]).startswith("left")
    ]
    places = [float(str(x.get("cx") or x.get("x")).rstrip("%")) for x in dots]
    levels = [float(str(x["style"]).removeprefix("left:").rstrip("%")) for x in ticks[:2]]
    chance, pop = levels
    assert pop == pytest.approx(places[2])
    per_unit = (places[0] - places[1]) / (0.33 - 0.15)
    assert chance == pytest.approx(places[1] - per_unit * (0.15 - 0.1), abs=0.02)


def test_lines_show_the_file_numbers(page: Reader) -> None:
    curves = page.lines["curve-train_loss"]
    assert [name for name, _ in curves] == [
        f"{name}, seed {seed}" for name in ("SiBraR", STRANGE, "Pop") for seed in (1, 2)
    ]
    for _, points in curves:
        assert [round(x) for x, _ in points] == [0, 1, 2]  # as the log counts
        assert [y for _, y in points] == pytest.approx([3.0, 2.0, 1.5], abs=1e-3)
    ((name, points),) = page.lines["missing-item-ndcg-10"]
    assert (name, [y for _, y in points]) == ("SiBraR", pytest.approx([0.3, 0.2, 0.1], abs=1e-4))
    assert page.rows["values of missing-item-ndcg-10"][1:] == [
        ["SiBraR", "0.3000", "0.2000", "0.1000"]
    ]
    assert "best epoch: 2\nnDCG@10: 0.4100" in page.texts("curve-ndcg-10", "title")[0]


def test_each_modality_has_its_worth(page: Reader) -> None:
    assert page.texts("worth-item-SiBraR", "span", "name") == ["text", "class"]
    assert page.texts("worth-item-SiBraR", "span", "value") == [
        "0.2500 / 0.2200",
        "0.2200 / 0.2500",
    ]
    assert "all modalities 0.3000" in page.texts("worth-item-SiBraR", "span", "right")


def test_projections_have_common_axes(page: Reader) -> None:
    paths = {str(x["class"]): str(x["d"]) for tag, x in page.attributes if tag == "path"}
    # the middle of the points is at 500, the widest extent fills 92 %
    assert paths == {"cloud0": "M960 960h0M40 40h0", "cloud1": "M500 500h0"}
    assert page.texts("projections", "p", "about") == ["81% of the variance"]


def test_pairs_stand_in_a_square(page: Reader) -> None:
    head, *rows = page.rows["values of pairs-ndcg-10"]
    assert head == ["", "SiBraR", STRANGE, "Pop"]
    assert [row[0] for row in rows] == head[1:]
    assert [row[i] for i, row in enumerate(rows, 1)] == ["", "", ""]
    assert rows[0][2] == "+0.1000 p = 0.001 (better)"
    assert rows[1][1] == "-0.1000 p = 0.001 (worse)"
    assert rows[1][3] == "+0.1000 p = 0.2"
    assert page.texts("pairs-ndcg-10", "span", "name") == [STRANGE, "Pop"]
    assert page.texts("pairs-ndcg-10", "span", "value") == ["-0.2000", "-0.2500"]


def test_cost_stands_beside_quality(page: Reader) -> None:
    values = page.texts("cost", "span", "value")
    assert values[:3] == ["0.3300", "1.50", "612"]
    assert len(values) == 9


def test_the_data_come_from_the_log(page: Reader) -> None:
    assert re.search(
        r"Users\s*60\s*Items\s*1,200\s*Interactions\s*5,000\s*Candidates of the test\s*110",
        page.text,
    )
    assert re.search(r"text\s*75 %\s*vector, 384", page.text)
