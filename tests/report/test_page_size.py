"""Size of the page of six models with two studies."""

from __future__ import annotations

import json
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from recbole_sibrar.report import build as report

MODELS = {
    "Pop": "Pop",
    "BPR": "BPR",
    "DropoutNet": "DropoutNet",
    "SiBraR": "SiBraR",
    "MuBraR": "MuBraR",
    "SiBraR without contrast": "SiBraR",
}
SEEDS = (2020, 2021, 2022)
METRICS = ("recall@10", "mrr@10", "ndcg@10", "hit@10", "precision@10")
GROUPS = ("gender=F", "gender=M", "popularity=low", "popularity=mid", "popularity=high")
MODALITIES = ("interactions", "class", "movie_title", "release_year")

N_ITEMS = 150
"""Items of a projection, the largest number that ``recbole-sibrar report --gap`` keeps."""

N_EPOCHS = 50


@pytest.fixture
def six_models(tmp_path: Path) -> Path:
    """A comparison with results by group, long learning curves and both studies, all of random numbers."""
    draw = np.random.default_rng(0)
    rows = []
    checkpoints = {}
    for name, model in MODELS.items():
        for seed in SEEDS:
            run = tmp_path / "runs" / f"{name.replace(' ', '-')}-{seed}-{len(rows):012x}"
            _write_run(run, model, seed, draw)
            columns = [*METRICS, *(f"{metric}[{group}]" for metric in METRICS for group in GROUPS)]
            head = {"name": name, "model": model, "seed": seed, "minutes": 1.5, "valid_score": 0.3}
            rows.append({**head, **dict(zip(columns, draw.random(len(columns)), strict=True))})
            if model not in ("Pop", "BPR"):
                checkpoints[str(run / "checkpoint" / "model.pth")] = model

    pd.DataFrame(rows).to_csv(tmp_path / "results.csv", index=False)
    (tmp_path / "summary.md").write_text(
        "tiny epochs=50\n\n| table |\n\nA legend.\n", encoding="utf-8"
    )
    _write_significance(tmp_path, draw)
    _write_missing(tmp_path, checkpoints, draw)
    _write_gap(tmp_path, checkpoints, draw)
    return tmp_path


def _write_run(folder: Path, model: str, seed: int, draw: np.random.Generator) -> None:
    folder.mkdir(parents=True)
    result = {"test_result": {}, "best_valid_score": 0.3, "seconds": 90, "peak_memory_mb": 612.4}
    (folder / "result.json").write_text(json.dumps(result), encoding="utf-8")

    keys = {f"key_{i}": i for i in range(200)}
    keys |= {"model": model, "seed": seed, "valid_metric": "NDCG@10", "dataset": "tiny"}
    (folder / "config.yaml").write_text(yaml.safe_dump(keys), encoding="utf-8")

    packages = {f"package-{i}": "1.2.3" for i in range(30)}
    environment = {"python": "3.11.7", "platform": "Linux", "packages": packages}
    (folder / "environment.json").write_text(json.dumps(environment), encoding="utf-8")

    curve = pd.DataFrame(draw.random((N_EPOCHS, len(METRICS))), columns=list(METRICS))
    curve.insert(0, "train_loss", draw.random(N_EPOCHS))
    curve.insert(0, "epoch", range(N_EPOCHS))
    curve.to_csv(folder / "learning_curve.csv", index=False)


def _write_significance(folder: Path, draw: np.random.Generator) -> None:
    rows = []
    for metric in METRICS:
        for a, b in combinations(MODELS, 2):
            means = dict(
                zip(("mean_a", "mean_b", "low", "high", "effect"), draw.random(5), strict=True)
            )
            names = ("p_t", "p_wilcoxon", "p_t_bonferroni", "p_wilcoxon_bonferroni")
            tests = dict(zip(names, draw.random(4), strict=True))
            rows.append({"metric": metric, "a": a, "b": b, "n_users": 900, **means, **tests})
    pd.DataFrame(rows).to_csv(folder / "significance.csv", index=False)


def _write_missing(folder: Path, checkpoints: dict[str, str], draw: np.random.Generator) -> None:
    rows = []
    subsets = [subset for n in range(1, 5) for subset in combinations(MODALITIES, n)]
    losses = [(rate, seed) for rate in (0.0, 0.25, 0.5, 0.75, 1.0) for seed in range(5)]
    for checkpoint, model in checkpoints.items():
        common = {"model": model, "checkpoint": checkpoint, "side": "item"}
        for subset in subsets:
            about = {"experiment": "subset", "modalities": "+".join(subset), "share_missing": 0.5}
            rows.append({**common, **about, **dict(zip(METRICS, draw.random(5), strict=True))})
        for rate, seed in losses:
            about = {
                "experiment": "loss",
                "modalities": "+".join(MODALITIES),
                "rate": rate,
                "seed": seed,
            }
            values = dict(zip(METRICS, draw.random(5), strict=True))
            rows.append({**common, **about, "share_missing": rate, **values})
    (folder / "missing").mkdir()
    pd.DataFrame(rows).to_csv(folder / "missing" / "missing.csv", index=False)


def _write_gap(folder: Path, checkpoints: dict[str, str], draw: np.random.Generator) -> None:
    measures = (
        "cosine_ratio",
        "euclidean_ratio",
        "centroid_ratio",
        "recall@1",
        "recall@10",
        "mrr",
        "alignment",
    )
    rows = []
    clouds = []
    for checkpoint, model in checkpoints.items():
        common = {"model": model, "checkpoint": checkpoint}
        for measure in measures:
            for first, second in combinations(MODALITIES, 2):
                value, low, high = draw.random(3)
                pair = {"first": first, "second": second, "measure": measure}
                rows.append({**common, **pair, "value": value, "low": low, "high": high})

        points = pd.DataFrame(
            draw.normal(size=(N_ITEMS * len(MODALITIES), 2)).round(4), columns=["x", "y"]
        )
        points["modality"] = np.tile(MODALITIES, N_ITEMS)
        clouds.append(points.assign(name="any", about="81% of the variance", **common))
    (folder / "gap").mkdir()
    pd.DataFrame(rows).to_csv(folder / "gap" / "gap.csv", index=False)
    pd.concat(clouds).to_csv(folder / "gap" / "projection.csv", index=False)


@pytest.mark.slow
def test_a_page_of_six_models_is_light(six_models: Path) -> None:
    page = report.run(six_models)[0]
    text = page.read_text(encoding="utf-8")
    assert all(name in text for name in (*MODELS, *MODALITIES))
    assert page.stat().st_size < 1_000_000
