"""The page of run_hyper, for a search written by hand."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from report_page import Reader

from recbole_sibrar.quick_start.hyper.plan import Plan
from recbole_sibrar.quick_start.hyper.record import Record, Status
from recbole_sibrar.report import search_page

STRANGE = "<b>A & $B$</b>"
MakeSearch = Callable[..., tuple[Record, Plan]]


@pytest.fixture
def searched(tmp_path: Path, make_search: MakeSearch) -> tuple[Record, Reader]:
    record, plan = make_search(tmp_path)
    search_page.write(record, plan, tmp_path / "a.html")
    return record, Reader(tmp_path / "a.html")


def test_the_best_trial_is_named(searched: tuple[Record, Reader]) -> None:
    record, page = searched
    best = max(
        (trial for trial in record.trials if trial.score), key=lambda trial: trial.score or 0
    )
    assert f"Trial {best.number} is the best of 12, with {best.score:.4f} in nDCG@10" in page.text
    assert "Its test gives 0.1230. 1 of 12 trials failed." in page.text
    assert re.search(r"Of the parameters, embedding_size matters most: \d\d+ %", page.text)
    keys = dict(page.rows["p0-table-best"])
    assert keys["embedding_size"] == "64"
    assert keys["item_modalities"] in ("[interactions, text]", f"[{STRANGE}]")
    assert page.rows["p0-table-best-results"][1] == ["nDCG@10", f"{best.score:.4f}", "0.1230"]
    assert [row for row in page.rows["p0-table-trials"] if "failed: out of memory" in row]


def test_each_trial_has_a_thread(searched: tuple[Record, Reader]) -> None:
    record, page = searched
    threads = [
        x
        for tag, x in page.attributes
        if tag == "polyline" and not x.get("style", "").find("--share")
    ]
    assert len(threads) == 11
    assert [x["class"] for x in threads][-1] == "best"  # above all others
    sizes = {trial.parameters["embedding_size"] for trial in record.trials if trial.score}
    places = {str(x["points"]).split()[0].split(",")[0] for x in threads}
    assert len(places) == len(sizes)
    assert {str(x["points"]).count(",") for x in threads} == {4}  # three parameters and the score


def test_the_best_so_far_never_falls(searched: tuple[Record, Reader]) -> None:
    record, page = searched
    ((name, points),) = page.lines["trials"]
    scores = [trial.score for trial in record.trials if trial.score]
    assert name == "best so far"
    assert [y for _, y in points] == pytest.approx(np.maximum.accumulate(scores).tolist(), abs=1e-4)
    assert len(page.lines["curves-ndcg-10"]) == 11


def test_the_decisive_parameter_is_important(searched: tuple[Record, Reader]) -> None:
    record, page = searched
    names = page.texts("importance", "span", "name")
    shares = [float(text) for text in page.texts("importance", "span", "value")]
    assert names[0] == "embedding_size"
    assert shares[0] > 0.8
    assert sum(shares) == pytest.approx(1, abs=0.02)
    assert search_page.importance(record.trials[:2], names) == {}


def test_a_search_without_a_score(tmp_path: Path, make_search: MakeSearch) -> None:
    record, plan = make_search(tmp_path)
    for trial in record.trials:
        trial.status, trial.score = Status.FAILED, None
    search_page.write(record, plan, tmp_path / "b.html")
    page = Reader(tmp_path / "b.html")
    assert "No trial has a score. 12 of 12 trials failed." in page.text
    assert "parallel" not in page.figures


def test_names_are_never_markup(searched: tuple[Record, Reader]) -> None:
    page = searched[1]
    assert not [tag for tag, _ in page.attributes if tag == "b"]
    assert STRANGE in page.text
