"""Whatever the results and studies hold, the page is made, well-formed, and has a place for every mark."""

from __future__ import annotations

import json
import tempfile
from itertools import combinations
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from report_page import Reader

from recbole_sibrar.quick_start.group.variants import file_name
from recbole_sibrar.report import build as report

NAMES = {
    "SiBraR": "SiBraR",
    "SiBraR contrastive_temperature=0.125,user_modalities=none": "SiBraR",
    "<b>A & $B$</b>": "MuBraR",
    "nan": "BPR",
    "Pop": "Pop",
    "a model": "EASEContent",
    "1": "CLCRec",
}
"""Name of a model -> its class."""

METRICS = ("ndcg@10", "rmse", "ndcg@10[cold]", "ndcg@10[warm]", "gini@10", "ndcg@10[age=below 18]")
MODALITIES = tuple(f"{kind}_of_the_{i}th_description" for i in range(8) for kind in ("text",))
MEASURES = ("cosine_ratio", "recall@1", "classifier_accuracy", "something new")

values = st.sampled_from([0.25, 0.25, 0.5, 0.0, -1.0, 1e-9, 12345.6, float("nan"), float("inf")])
"""Ties, nothing, numbers of all sizes."""

shares = st.sampled_from([0.0, 0.02, 0.25, 1.0, float("nan")])


def write_results(folder: Path, draw: st.DataObject) -> list[tuple[str, str]]:
    """Write results and, of most runs, the folder; return names and checkpoints."""
    names = draw.draw(st.lists(st.sampled_from(list(NAMES)), min_size=1, max_size=7, unique=True))
    metrics = draw.draw(st.lists(st.sampled_from(METRICS[:5]), min_size=1, unique=True))
    if draw.draw(st.booleans()):
        metrics.append(METRICS[5])

    rows = []
    checkpoints = []
    for name in names:
        for seed in range(draw.draw(st.integers(1, 3))):
            head = {"name": name, "model": NAMES[name], "seed": seed, "minutes": 0.5}
            results = {metric: draw.draw(values) for metric in metrics}
            rows.append({**head, "valid_score": draw.draw(values), **results})
            run = folder / "runs" / f"{file_name(name)}-{seed}-{len(rows):012x}"
            checkpoints.append((name, str(run / "checkpoint" / "model.pth")))
            if draw.draw(st.booleans()):
                write_run(run, metrics[0], results, draw)
    pd.DataFrame(rows).to_csv(folder / "results.csv", index=False)
    (folder / "runs").mkdir(exist_ok=True)
    return checkpoints


def write_run(run: Path, metric: str, results: dict[str, float], draw: st.DataObject) -> None:
    """Write what a run leaves; parts of it may be missing."""
    run.mkdir(parents=True)
    result: dict[str, Any] = {"test_result": results}
    if draw.draw(st.booleans()):
        result["peak_memory_mb"] = 600.5
    (run / "result.json").write_text(json.dumps(result), encoding="utf-8")

    if draw.draw(st.booleans()):
        split = draw.draw(st.sampled_from([{"CS": [8, 1, 1]}, {"RS": [8, 1, 1]}, None, "RS"]))
        keys = {"valid_metric": metric.upper(), "eval_args": {"split": split}}
        (run / "config.yaml").write_text(yaml.safe_dump(keys), encoding="utf-8")
    if draw.draw(st.booleans()):
        n = draw.draw(st.integers(1, 3))
        curve = {"epoch": range(n), "train_loss": [draw.draw(values) for _ in range(n)]}
        if draw.draw(st.booleans()):
            curve[metric] = [draw.draw(values) for _ in range(n)]
        pd.DataFrame(curve).to_csv(run / "learning_curve.csv", index=False)


def write_significance(folder: Path, names: list[str], draw: st.DataObject) -> None:
    """Write tests of some of the pairs in one metric."""
    metric = pd.read_csv(folder / "results.csv").columns[5]
    rows = []
    for a, b in combinations(names, 2):
        if draw.draw(st.booleans()):
            means = {key: draw.draw(values) for key in ("mean_a", "mean_b", "low", "high")}
            tests = ("effect", "p_t", "p_wilcoxon", "p_t_bonferroni", "p_wilcoxon_bonferroni")
            about = {"metric": metric, "a": a, "b": b, "n_users": draw.draw(st.integers(2, 900))}
            rows.append({**about, **means, **{test: draw.draw(shares) for test in tests}})
    if rows:
        pd.DataFrame(rows).to_csv(folder / "significance.csv", index=False)


def write_missing(
    folder: Path, checkpoints: list[tuple[str, str]], metric: str, draw: st.DataObject
) -> None:
    """Write a study of one to eight modalities, with or without subsets and rates."""
    modalities = MODALITIES[: draw.draw(st.integers(1, 8))]
    rows = []
    for name, checkpoint in checkpoints:
        side = draw.draw(st.sampled_from(["item", "user"]))
        about = {"model": NAMES[name], "checkpoint": checkpoint, "side": side, "share_missing": 0.5}
        for rate in draw.draw(st.lists(st.sampled_from([0.0, 0.5, 1.0]), min_size=1, unique=True)):
            loss = {"experiment": "loss", "modalities": "+".join(modalities), "rate": rate}
            rows.append({**about, **loss, "seed": 1, metric: draw.draw(values)})
        for modality in draw.draw(st.lists(st.sampled_from(modalities), unique=True)):
            subset = {"experiment": "subset", "modalities": modality}
            rows.append({**about, **subset, metric: draw.draw(values)})
    pd.DataFrame(rows).to_csv(folder / "missing.csv", index=False)


def write_gap(folder: Path, checkpoints: list[tuple[str, str]], draw: st.DataObject) -> None:
    """Write measures of some pairs, and perhaps a projection."""
    rows = []
    points = []
    for name, checkpoint in checkpoints:
        about = {"checkpoint": checkpoint, "model": NAMES[name]}
        for measure in draw.draw(st.lists(st.sampled_from(MEASURES), min_size=1, unique=True)):
            pair = draw.draw(st.sampled_from([("a", "b"), ("a", "a"), ("", "")]))
            found = {key: draw.draw(values) for key in ("value", "low", "high")}
            rows.append({**about, "first": pair[0], "second": pair[1], "measure": measure, **found})
        place = {"x": draw.draw(st.floats(-2, 2)), "y": 0.5}
        points.append({**about, "name": name, "modality": "a", **place, "about": "81 %"})
    (folder / "gap").mkdir()
    pd.DataFrame(rows).to_csv(folder / "gap" / "gap.csv", index=False)
    if draw.draw(st.booleans()):
        pd.DataFrame(points).to_csv(folder / "gap" / "projection.csv", index=False)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")  # of infinite results
@settings(max_examples=50, deadline=None, suppress_health_check=list(HealthCheck))
@given(draw=st.data())
def test_every_comparison_has_a_page(draw: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        checkpoints = write_results(folder, draw)
        names = list(dict(checkpoints))
        metric = pd.read_csv(folder / "results.csv").columns[5]
        write_significance(folder, names, draw)
        if draw.draw(st.booleans()):
            write_missing(folder, checkpoints, metric, draw)
        if draw.draw(st.booleans()):
            write_gap(folder, checkpoints, draw)

        page = report.run(folder)[0]
        read = Reader(page)
        assert all(name in read.text for name in names)
        for _, attributes in read.attributes:
            places = [str(attributes.get(key)) for key in ("style", "points", "cx", "x", "d")]
            assert not [place for place in places if "nan" in place or "inf" in place]
