"""A comparison and a search as ``run_recbole_group`` and ``run_hyper`` leave them, written by hand."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from itertools import combinations
from pathlib import Path

import pandas as pd
import pytest
import yaml

from recbole_sibrar.quick_start.hyper.parameter import Parameter
from recbole_sibrar.quick_start.hyper.plan import Plan
from recbole_sibrar.quick_start.hyper.record import Record, Status, Trial
from recbole_sibrar.quick_start.hyper.space import Space

STRANGE = "<b>A & $B$</b>"
"""A name that is nothing but a name in HTML, in Plotly and in Matplotlib."""

RUNS = {
    ("SiBraR", 1): 0.31,
    ("SiBraR", 2): 0.35,
    (STRANGE, 1): 0.2,
    (STRANGE, 2): 0.1,
    ("Pop", 1): 0.05,
    ("Pop", 2): 0.07,
}
"""nDCG@10 of each run."""

LOG = """26 Nov 09:03    INFO  tiny
The number of users: 61
The number of items: 1201
The number of inters: 5000
item field: text (vector, size 384, 75.0 % available)
user field: gender (categorical, size 3, 100.0 % available)
26 Nov 09:03    INFO  ranked items: valid 100
26 Nov 09:03    INFO  ranked items: test 110
"""
"""Lines of a run's log about its data."""


def write_comparison(folder: Path, studies: bool = True, groups: bool = True) -> Path:
    """Two seeds of three models, one of which has a name that needs escaping."""
    rows = []
    for number, ((name, seed), ndcg) in enumerate(RUNS.items()):
        model = "Pop" if name == "Pop" else "SiBraR"
        result = {"ndcg@10": ndcg, "gini@10": 1 - ndcg}
        if groups:
            result |= {"ndcg@10[gender=F]": ndcg + 0.01, "ndcg@10[gender=<M>]": ndcg - 0.01}
        run = folder / "runs" / f"{'b-A-B-b' if name == STRANGE else name}-{seed}-{number:012x}"
        run.mkdir(parents=True)
        finished = {
            "test_result": result,
            "best_valid_score": ndcg + 0.1,
            "seconds": 90,
            "peak_memory_mb": 612.4,
        }
        (run / "result.json").write_text(json.dumps(finished), encoding="utf-8")
        keys = {
            "model": model,
            "dataset": "tiny",
            "valid_metric": "NDCG@10",
            "seed": seed,
            "epochs": 3,
            "sizes": [1, 2],
        }
        (run / "config.yaml").write_text(
            yaml.safe_dump({**keys, "title": f"<i>{name}</i>"}), encoding="utf-8"
        )
        environment = {
            "python": "3.11.7",
            "platform": "Linux",
            "packages": {"torch": "2.13.0", "numpy": "1.26.4"},
        }
        (run / "environment.json").write_text(json.dumps(environment), encoding="utf-8")
        (run / "log.txt").write_text(LOG, encoding="utf-8")
        curve = pd.DataFrame(
            {
                "epoch": [0, 1, 2],
                "train_loss": [3.0, 2.0, 1.5],
                "ndcg@10": [0.1, ndcg / 2, ndcg + 0.1],
            }
        )
        curve.to_csv(run / "learning_curve.csv", index=False)
        head = {
            "name": name,
            "model": model,
            "seed": seed,
            "minutes": 1.5,
            "valid_score": ndcg + 0.1,
        }
        rows.append({**head, **result})
    pd.DataFrame(rows).to_csv(folder / "results.csv", index=False)
    _write_significance(folder)
    (folder / "summary.md").write_text(
        f"tiny epochs=3\n\n| table |\n\nOf {STRANGE.replace('<', chr(92) + '<')}.\n", "utf-8"
    )
    if studies:
        _write_studies(folder)
    return folder


def _write_significance(folder: Path) -> None:
    """SiBraR is better than both others in nDCG, the others do not differ; nothing is known of Gini."""
    rows = []
    for a, b, p, low in (
        ("SiBraR", STRANGE, 0.001, 0.1),
        ("SiBraR", "Pop", 1e-9, 0.2),
        (STRANGE, "Pop", 0.2, -0.1),
    ):
        means = {
            "n_users": 60,
            "mean_a": 0.3,
            "mean_b": 0.2,
            "low": low,
            "high": 0.3,
            "effect": 0.5,
        }
        tests = {"p_t": p, "p_wilcoxon": p, "p_t_bonferroni": p, "p_wilcoxon_bonferroni": p}
        rows.append({"metric": "ndcg@10", "a": a, "b": b, **means, **tests})
    pd.DataFrame(rows).to_csv(folder / "significance.csv", index=False)


def _write_studies(folder: Path) -> None:
    checkpoints = sorted(
        str(path / "checkpoint" / "model.pth") for path in (folder / "runs").glob("SiBraR-*")
    )
    rows = []
    for checkpoint in checkpoints:
        common = {"model": "SiBraR", "checkpoint": f"/moved{checkpoint}", "side": "item"}
        for rate, ndcg in ((0.0, 0.3), (0.5, 0.2), (1.0, 0.1)):
            loss = {
                "experiment": "loss",
                "modalities": "text+class",
                "rate": rate,
                "seed": 1,
                "share_missing": rate,
            }
            rows.append({**common, **loss, "ndcg@10": ndcg})
        for modality, ndcg in (("text", 0.25), ("class", 0.22), ("text+class", 0.3)):
            rows.append(
                {
                    **common,
                    "experiment": "subset",
                    "modalities": modality,
                    "share_missing": 0.5,
                    "ndcg@10": ndcg,
                }
            )
    (folder / "missing").mkdir()
    pd.DataFrame(rows).to_csv(folder / "missing" / "missing.csv", index=False)
    pair = {"model": "SiBraR", "checkpoint": checkpoints[0], "first": "text", "second": "class"}
    gap = [{**pair, "measure": "cosine_ratio", "value": 0.4, "low": 0.3, "high": 0.5}]
    (folder / "gap").mkdir()
    points = [
        {**about, "modality": modality, "x": x, "y": -x, "about": "81% of the variance"}
        for about in [{"name": "any", "model": "SiBraR", "checkpoint": checkpoints[0]}]
        for modality, x in (("text", 0.5), ("text", -0.25), ("class", 0.125))
    ]
    pd.DataFrame(points).to_csv(folder / "gap" / "projection.csv", index=False)
    pd.DataFrame(gap).to_csv(folder / "gap" / "gap.csv", index=False)


MODALITIES = (
    "interactions",
    "sentence_embedding_of_the_description",
    "image_embedding_resnet152_of_the_cover_picture",
    "release_year",
    "audio",
    "category_and_subcategory_of_the_shop,second_level",
    "price",
    "publisher",
)
"""Eight modalities, some with long names."""


def write_hard_comparison(folder: Path) -> Path:
    """The comparison with eight modalities, views, and a metric without a value of one model."""
    write_comparison(folder, studies=False)
    results = pd.read_csv(folder / "results.csv")
    for view, shift in (("cold", -0.04), ("warm", 0.1)):
        results[f"ndcg@10[{view}]"] = results["ndcg@10"] + shift
        results[f"gini@10[{view}]"] = results["gini@10"]
    results.loc[results["name"] == STRANGE, ["gini@10", "gini@10[cold]"]] = float("nan")
    results.to_csv(folder / "results.csv", index=False)

    fields = [f"item field: {name} (vector, size 2048, 75.5 % available)" for name in MODALITIES]
    for log in folder.glob("runs/*/log.txt"):
        log.write_text(LOG + "\n".join(fields), encoding="utf-8")
    _write_hard_studies(folder)
    return folder


def _write_hard_studies(folder: Path) -> None:
    draw = random.Random(1)
    rows = []
    gap = []
    points = []
    for run in sorted(folder.glob("runs/[!P]*")):
        about = {"model": "SiBraR", "checkpoint": str(run / "checkpoint" / "model.pth")}
        common = {**about, "side": "item", "share_missing": 0.5}
        subsets = [[name] for name in MODALITIES]
        subsets += [[other for other in MODALITIES if other != name] for name in MODALITIES]
        for subset in subsets:
            chosen = {"experiment": "subset", "modalities": "+".join(subset)}
            rows.append({**common, **chosen, "ndcg@10": 0.1 + draw.random() / 5})
        for rate in (0.0, 0.5, 1.0):
            loss = {"experiment": "loss", "modalities": "+".join(MODALITIES), "rate": rate}
            rows.append(
                {**common, **loss, "seed": 1, "share_missing": rate, "ndcg@10": 0.3 - rate / 5}
            )
        for first, second in combinations(MODALITIES, 2):
            pair = {"first": first, "second": second, "measure": "cosine_ratio"}
            gap.append({**about, **pair, "value": draw.random(), "low": 0.0, "high": 1.0})
        for name in MODALITIES:
            place = {"x": draw.random(), "y": draw.random(), "about": "81% of the variance"}
            points.append({**about, "modality": name, **place})

    pd.DataFrame(rows).to_csv(folder / "missing.csv", index=False)
    pd.DataFrame(gap).to_csv(folder / "gap.csv", index=False)
    pd.DataFrame(points).to_csv(folder / "projection.csv", index=False)


def write_bare_comparison(folder: Path) -> Path:
    """One run of one model, without baselines, tests and studies."""
    write_comparison(folder, studies=False, groups=False)
    results = pd.read_csv(folder / "results.csv")
    results[:1].to_csv(folder / "results.csv", index=False)
    (folder / "significance.csv").unlink()
    return folder


COMPARISONS = {"hard": write_hard_comparison, "bare": write_bare_comparison}
"""Comparisons at the ends of what there is."""


@pytest.fixture(scope="session")
def make_comparison() -> Callable[..., Path]:
    """Writes a comparison: ``make_comparison(folder)``."""
    return write_comparison


@pytest.fixture(scope="session")
def comparisons() -> dict[str, Callable[[Path], Path]]:
    """Writers of comparisons at the ends of what there is."""
    return COMPARISONS


@pytest.fixture
def comparison(tmp_path: Path) -> Path:
    """The folder of a comparison, studies of missing modalities and of the modality gap included."""
    return write_comparison(tmp_path / "comparison")


def write_search(folder: Path, n_trials: int = 12) -> tuple[Record, Plan]:
    """A search in which the size of the embedding decides all; one trial fails and one is stopped."""
    parameters = (
        Parameter("embedding_size", "choice", (16, 32, 64)),
        Parameter("learning_rate", "loguniform", (-9.0, -4.0)),
        Parameter("item_modalities", "choice", (["interactions", "text"], [STRANGE])),
    )
    config = {"valid_metric": "NDCG@10", "valid_metric_bigger": True, "seed": 7}
    space = Space(folder / "a.hyper", parameters)
    plan = Plan("SiBraR", "tiny", (), {"epochs": 3}, space, config, "hyperopt", "random", n_trials)  # type: ignore[arg-type]
    record = Record(folder / "search.result", {}, True, lambda trial: {})
    draw = random.Random(1)
    for number in range(n_trials):
        values = {
            "embedding_size": draw.choice((16, 32, 64)),
            "learning_rate": 10 ** draw.uniform(-4, -2),
            "item_modalities": draw.choice((["interactions", "text"], [STRANGE])),
        }
        score = 0.1 + values["embedding_size"] / 1000 + draw.random() / 1000
        status = {3: Status.FAILED, 5: Status.STOPPED}.get(number, Status.OK)
        trial = Trial(number, values, {}, status, score, 2, {"ndcg@10": score}, 4.5, 1)
        if status == Status.FAILED:
            trial.score, trial.reason = None, "out of memory"
        record.trials.append(trial)
        curve = pd.DataFrame(
            {"epoch": [0, 1, 2], "train_loss": [3.0, 2.0, 1.0], "ndcg@10": [0.05, score / 2, score]}
        )
        record.trial_folder(trial).mkdir(parents=True)
        curve.to_csv(record.trial_folder(trial) / "learning_curve.csv", index=False)
    assert record.best is not None
    record.best.test_result = {"ndcg@10": 0.123}
    return record, plan


@pytest.fixture(scope="session")
def make_search() -> Callable[..., tuple[Record, Plan]]:
    """Writes a search: ``make_search(folder)``."""
    return write_search
