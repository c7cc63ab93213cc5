from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from recbole_sibrar import cli

USERS = [f"u{i}" for i in range(40)]
Refused = Callable[..., str]


def save(
    path: str, shift: float, seed: int, users: list[str] = USERS, **more: float
) -> pd.DataFrame:
    """What ``save_per_user`` writes, for users whose results are close to the same for every model."""
    base = np.random.default_rng(99).random(len(USERS))[: len(users)]
    noise = np.random.default_rng(seed).normal(0, 0.1, len(users))
    values = {"recall@10": base + shift + noise, "ndcg@10": base - noise, **more}
    frame = pd.DataFrame({"user_id": users, **values, "items": [["i1", "i2"]] * len(users)})
    frame.to_parquet(path, index=False)
    return frame


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def refused(capsys: pytest.CaptureFixture[str]) -> Refused:
    """Run the command with wrong arguments, and return the one line that it ends with."""

    def run(*arguments: str) -> str:
        assert cli.main(["significance", *arguments]) == cli.WRONG_INPUT
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith("recbole-sibrar significance: error: ")
        return line.removeprefix("recbole-sibrar significance: error: ")

    return run


@pytest.mark.slow
def test_all_pairs_shown_and_written(capsys: pytest.CaptureFixture[str]) -> None:
    a, b = save("a.parquet", 0.1, 1), save("b.parquet", 0.0, 2)
    save("c.parquet", 0.0, 3, **{"mrr@10": 0.5})
    assert (
        cli.main(["significance", "a.parquet", "b.parquet", "c.parquet", "--output=table.csv"]) == 0
    )
    shown = capsys.readouterr().out
    table = pd.read_csv("table.csv")
    assert [shown.count(name) for name in ("recall@10", "ndcg@10", "mrr@10", "items")] == [
        3,
        3,
        0,
        0,
    ]
    assert len(table) == 6
    row = table.iloc[0]
    assert (row["metric"], row["a"], row["b"], row["n_users"]) == (
        "recall@10",
        "a.parquet",
        "b.parquet",
        40,
    )
    test = stats.ttest_rel(a["recall@10"], b["recall@10"])
    assert row["p_t"] == pytest.approx(test.pvalue)
    assert row["p_t_bonferroni"] == pytest.approx(min(1, 3 * test.pvalue))
    assert (row["low"], row["high"]) == pytest.approx(tuple(test.confidence_interval(0.95)))
    assert [path.name for path in Path().glob(".*")] == []


def test_joined_seeds_are_averaged() -> None:
    a1, a2 = save("a1.parquet", 0.1, 1), save("a2.parquet", 0.1, 2)
    b1, b2 = save("b1.parquet", 0.0, 3), save("b2.parquet", 0.0, 4, users=USERS[:30])
    arguments = [
        "a1.parquet+a2.parquet",
        "b1.parquet+b2.parquet",
        "--metrics= NDCG@10",
        "--output=table.csv",
    ]
    assert cli.main(["significance", *arguments]) == 0
    (row,) = pd.read_csv("table.csv").to_dict("records")
    first = (a1["ndcg@10"] + a2["ndcg@10"]) / 2
    second = b1["ndcg@10"].copy()
    second[:30] = (second[:30] + b2["ndcg@10"]) / 2
    assert row["a"] == "a1.parquet+a2.parquet"
    assert (row["n_users"], row["p_t"]) == (
        40,
        pytest.approx(stats.ttest_rel(first, second).pvalue),
    )


@pytest.mark.slow
def test_plus_sign_in_a_file_name() -> None:
    save("a+b.parquet", 0.1, 1)
    save("c.parquet", 0.0, 2)
    assert cli.main(["significance", "a+b.parquet", "c.parquet"]) == 0


def test_reference_against_all_others() -> None:
    for seed, name in enumerate("abc"):
        save(f"{name}.parquet", 0.0, seed)
    names = ["a.parquet", "b.parquet", "c.parquet"]
    assert (
        cli.main(
            ["significance", *names, "--reference=b.parquet", "--output=t.csv", "--metrics=ndcg@10"]
        )
        == 0
    )
    table = pd.read_csv("t.csv")
    assert list(zip(table["a"], table["b"], strict=True)) == [
        ("b.parquet", "a.parquet"),
        ("b.parquet", "c.parquet"),
    ]


@pytest.mark.slow
def test_wrong_input_ends_in_one_line(refused: Refused) -> None:
    save("a.parquet", 0.0, 1)
    save("b.parquet", 0.0, 2)
    both = ("a.parquet", "b.parquet")
    Path("text.parquet").write_text("x")
    pd.DataFrame({"a": [1], "b": [2], "c": [3]}).to_parquet("other.parquet")
    save("alone.parquet", 0.0, 1, users=["x", "y"])
    assert refused("a.parquet") == "RUN: found 'a.parquet', allowed is at least two different ones"
    assert "at least two different ones" in refused("a.parquet", "a.parquet")
    assert refused("a.parquet", "gone.parquet") == "RUN: there is no file gone.parquet"
    assert refused("a.parquet", "a.parquet+gone.parquet") == "RUN: there is no file gone.parquet"
    assert refused("a.parquet", "text.parquet").startswith("RUN: text.parquet is no Parquet file")
    assert "other.parquet holds no results of users" in refused("a.parquet", "other.parquet")
    assert refused(*both, "--metrics=ndcg@1").endswith("did you mean 'ndcg@10'?")
    assert refused(*both, "--reference=a.parque").endswith("did you mean 'a.parquet'?")
    assert "0 users have results of both models" in refused("a.parquet", "alone.parquet")
    assert refused("a.parquet", "a.parquet+a.parquet+b.parquet", "--output=gone/t.csv").startswith(
        "--output: cannot"
    )
