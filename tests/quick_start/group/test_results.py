from __future__ import annotations

import gc
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from recbole_sibrar.quick_start.group import results as comparison
from recbole_sibrar.quick_start.group.runs import Run
from recbole_sibrar.quick_start.group.variants import Variant

N_USERS = 60
BASE = np.random.default_rng(0).random(N_USERS)
Make = Callable[..., Run]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    # statsmodels calls it for every correction, which takes a while
    monkeypatch.setattr(gc, "collect", lambda: 0)


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """The folder of a finished run, whose users fare by ``shift`` better than others."""

    def build(
        name: str,
        seed: int = 1,
        shift: float = 0.0,
        metrics: tuple[str, ...] = ("ndcg@10", "gini@10"),
        finished: bool = True,
        partition: str = "aaaaaaaaaaaa",
        undefined: bool = False,
    ) -> Run:
        folder = tmp_path / "out" / "runs" / f"{name}-{seed}"
        folder.mkdir(parents=True)
        run = Run(Variant(name, "BPR"), seed, folder, {})
        (folder / "log.txt").write_text(
            f"21 Nov INFO held-out pairs {partition}\n", encoding="utf-8"
        )
        if not finished:
            return run
        noise = np.random.default_rng(sum(map(ord, name)) * 100 + seed).normal(0, 0.05, N_USERS)
        values = dict.fromkeys(metrics, BASE + shift + noise)
        if undefined:
            values["ndcg@10"] = np.full(N_USERS, np.nan)
        users = pd.DataFrame(
            {"user_id": [f"u{i}" for i in range(N_USERS)], **values, "items": [["i"]] * N_USERS}
        )
        users.to_parquet(folder / "per_user.parquet", index=False)
        (folder / "learning_curve.csv").write_text(
            f"epoch,train_loss\n0,{seed}\n", encoding="utf-8"
        )
        test = {
            **{metric: float(x.mean()) for metric, x in values.items()},
            "ndcg@10[gender=f]": 0.5,
        }
        (folder / "result.json").write_text(
            json.dumps({"test_result": test, "best_valid_score": seed / 8, "seconds": 90}),
            encoding="utf-8",
        )
        return run

    return build


@pytest.fixture
def output(tmp_path: Path) -> Path:
    return tmp_path / "out"


def test_results_have_a_row_for_each_run(make: Make, output: Path) -> None:
    runs = [make(name, seed) for name in ("B", "A") for seed in (2, 1)]
    comparison.write(runs, output, "tiny")
    table = pd.read_csv(output / "results.csv")
    assert list(table.columns) == [
        *["name", "model", "seed", "minutes", "valid_score"],
        *["ndcg@10", "gini@10", "ndcg@10[gender=f]"],
    ]
    assert list(zip(table["name"], table["seed"], strict=True)) == [
        ("B", 2),
        ("B", 1),
        ("A", 2),
        ("A", 1),
    ]
    assert table["minutes"].tolist() == [1.5] * 4
    assert table["valid_score"].tolist() == [0.25, 0.125, 0.25, 0.125]
    assert table["ndcg@10"].tolist() == pytest.approx(
        [run.result()["test_result"]["ndcg@10"] for run in runs]
    )


def test_summary_describes_the_comparison(make: Make, output: Path) -> None:
    runs = [make("A_1", 1), make("A_1", 2), make("B", 1), make("B", 2, finished=False)]
    text = comparison.write(runs, output, "tiny epochs=3").markdown
    assert text == (output / "summary.md").read_text(encoding="utf-8")
    assert text.startswith("tiny epochs=3\n\n| model | ndcg@10 | gini@10 |\n")
    assert "Mean ± standard deviation over the seeds 1, 2. Best bold, second underlined." in text
    assert "Without a result: B (seed 2)." in text
    assert "[gender=f]" not in text
    latex = (output / "summary.tex").read_text(encoding="utf-8")
    assert r"\caption{tiny epochs=3. Mean $\pm$ standard deviation over the seeds 1, 2." in latex
    assert r"A\_1 & " in latex


def test_a_terminal_gets_aligned_columns(make: Make, output: Path) -> None:
    runs = [
        make(name, seed, shift) for name, shift in (("A", 0.0), ("Longer", 0.2)) for seed in (1, 2)
    ]
    lines = comparison.write(runs, output, "tiny").terminal.splitlines()
    title, _, head, first, second, _, legend = lines
    assert (title, head.split()) == ("tiny", ["model", "ndcg@10", "gini@10"])
    assert first.index(" ± ") == second.index(" ± ")
    assert [line.split()[0] for line in (first, second)] == ["A", "Longer"]
    assert [mark in line for line in (first, second) for mark in ("²", "¹*")] == [
        True,
        True,
        True,
        True,
    ]
    assert not any(sign in line for line in lines for sign in ("<u>", "**", "|", "\\"))
    assert "¹ best, ² second. *: better than every other model" in legend


def test_single_seed_and_single_model(make: Make, output: Path) -> None:
    text = comparison.write([make("A", 5)], output, "tiny").markdown
    assert "Seed 5." in text
    assert "±" not in text
    assert "\\*" not in text
    assert pd.read_csv(output / "significance.csv").empty


def test_no_finished_run_writes_no_table(make: Make, output: Path) -> None:
    text = comparison.write(
        [make("A", finished=False), make("B", finished=False)], output, "tiny"
    ).markdown
    assert "Without a result: A (seed 1); B (seed 1)." in text
    assert [path.name for path in output.iterdir()] == ["runs"]


def test_marks_only_the_best_of_all(make: Make, output: Path) -> None:
    runs = [
        make(name, seed, shift)
        for name, shift in (("A", 0.0), ("B", 0.2), ("C", 0.1))
        for seed in (1, 2)
    ]
    text = comparison.write(runs, output, "tiny").markdown
    rows = {
        line.split(" | ")[0].strip("| "): line.split(" | ")[1:]
        for line in text.splitlines()
        if " ± " in line
    }
    assert [cell.endswith(r"\*") for cell in (rows["A"][0], rows["B"][0], rows["C"][0])] == [
        False,
        True,
        False,
    ]
    # a smaller gini is better: there A is
    assert [r"\*" in cell for cell in (rows["A"][1], rows["B"][1], rows["C"][1])] == [
        True,
        False,
        False,
    ]
    assert (
        r"\*: better than every other model (paired t-test over users, p \< 0.05 after Bonferroni"
        in text
    )
    table = pd.read_csv(output / "significance.csv")
    assert len(table) == 2 * 3
    users = {name: [pd.read_parquet(run.folder / "per_user.parquet") for run in runs[i : i + 2]]
             for i, name in ((0, "A"), (2, "B"))}  # fmt: skip
    means = {name: sum(frame["ndcg@10"] for frame in frames) / 2 for name, frames in users.items()}
    p = stats.ttest_rel(means["A"], means["B"]).pvalue
    row = table[(table["metric"] == "ndcg@10") & (table["a"] == "A") & (table["b"] == "B")].iloc[0]
    assert (row["p_t"], row["p_t_bonferroni"]) == (pytest.approx(p), pytest.approx(min(1, 3 * p)))


def test_no_mark_if_one_pair_is_open(make: Make, output: Path) -> None:
    runs = [make("A"), make("B", shift=0.2), make("C", shift=0.201)]
    text = comparison.write(runs, output, "tiny").markdown
    table = pd.read_csv(output / "significance.csv").set_index(["metric", "a", "b"])
    assert (
        table.loc[("ndcg@10", "A", "C"), "p_t_bonferroni"]
        < 0.05
        < table.loc[("ndcg@10", "B", "C"), "p_t"]
    )
    assert r"**\*" not in "".join(
        line.split(" | ")[1] for line in text.splitlines() if line.startswith("| ")
    )


def test_no_mark_after_correction(make: Make, output: Path) -> None:
    found = 0
    for shift in np.linspace(0.01, 0.05, 16):
        runs = [
            make(f"{name}{shift:.5f}", shift=s)
            for name, s in (("A", 0.0), ("B", 0.0), ("C", shift))
        ]
        text = comparison.write(runs, output, "tiny").markdown
        table = pd.read_csv(output / "significance.csv")
        own = table[(table["metric"] == "ndcg@10") & table["b"].str.startswith("C")]
        ahead = (own["mean_b"] > own["mean_a"]).all()
        (line,) = [line for line in text.splitlines() if line.startswith("| C")]
        assert (r"\*" in line.split(" | ")[1]) == (ahead and (own["p_t"] * 3 < 0.05).all())
        found += ahead and (own["p_t"] < 0.05).all() and (own["p_t"] * 3 >= 0.05).any()
    assert found


def test_metric_without_values(make: Make, output: Path) -> None:
    text = comparison.write(
        [make("A", undefined=True), make("B", shift=0.3)], output, "tiny"
    ).markdown
    assert "| A | - | **" in text
    assert set(pd.read_csv(output / "significance.csv")["metric"]) == {"gini@10"}


def test_lacking_metric_is_a_dash(make: Make, output: Path) -> None:
    text = comparison.write(
        [make("A", metrics=("ndcg@10", "mrr@10")), make("B")], output, "tiny"
    ).markdown
    assert "| model | ndcg@10 | mrr@10 | gini@10 |" in text
    assert text.count(" - ") == 2
    assert set(pd.read_csv(output / "significance.csv")["metric"]) == {"ndcg@10"}


def test_other_interactions_are_named(make: Make, output: Path) -> None:
    runs = [
        make("A"),
        make("B", shift=0.5, partition="bbbbbbbbbbbb"),
        make("C"),
        make("A", 2, partition="c" * 12),
    ]
    text = comparison.write(runs, output, "tiny").markdown
    assert "NOT TESTED ON THE SAME INTERACTIONS, so without significance: seed 1: A, C / B." in text
    assert pd.read_csv(output / "significance.csv").empty
    assert r"\*" not in text


def test_other_candidates_are_named(make: Make, output: Path) -> None:
    runs = [make("A"), make("B", shift=0.5), make("C")]
    for run, n in zip(runs, (40, 48, 40), strict=True):
        with (run.folder / "log.txt").open("a", encoding="utf-8") as log:
            log.write(f"ranked items: valid 7\nranked items: test {n}\n")
    text = comparison.write(runs, output, "tiny").markdown
    assert (
        "NOT RANKED AMONG THE SAME ITEMS, so without significance: seed 1: A, C (40 items) / B (48 items);"
        in text
    )
    assert pd.read_csv(output / "significance.csv").empty


def test_user_files_and_curves_are_copied(make: Make, output: Path) -> None:
    runs = [make("A", 1), make("A", 2), make("B", 1)]
    comparison.write(runs, output, "tiny")
    for run in runs:
        for source, copy in (
            ("per_user.parquet", "per_user/{}.parquet"),
            ("learning_curve.csv", "learning_curves/{}.csv"),
        ):
            copied = output / copy.format(f"{run.variant.name}-{run.seed}")
            assert copied.read_bytes() == (run.folder / source).read_bytes()
    comparison.write(runs[:1], output, "tiny")  # as if the others had not been asked for
    assert [path.name for path in (output / "per_user").iterdir()] == ["A-1.parquet"]
    assert [path.name for path in (output / "learning_curves").iterdir()] == ["A-1.csv"]
    assert runs[1].finished


def test_views_are_columns_and_tested(make: Make, output: Path) -> None:
    metrics = ("ndcg@10", "ndcg@10[cold]", "ndcg@10[warm]")
    runs = [
        make(name, seed, shift, metrics)
        for name, shift in (("A", 0.0), ("B", 0.2))
        for seed in (1, 2)
    ]
    text = comparison.write(runs, output, "tiny").markdown
    head, _, first, second = [line for line in text.splitlines() if line.startswith("|")]
    assert head == "| ndcg@10 | cold | warm | all |"
    assert [row.count(" ± ") for row in (first, second)] == [3, 3]
    assert "Cold: interactions of new items or users; warm: the others" in text
    assert "gender" not in text
    assert set(metrics) <= set(pd.read_csv(output / "results.csv").columns)
    assert set(pd.read_csv(output / "significance.csv")["metric"]) == set(metrics)
