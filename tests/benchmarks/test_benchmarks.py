"""Benchmarks run and count right; times are not tested."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
import pytest
import recbole
from recbole.sampler.sampler import AbstractSampler

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
ML_100K = Path(recbole.__path__[0]) / "dataset_example" / "ml-100k" / "ml-100k.inter"


def rows_of(script: str, options: str, folder: Path) -> list[dict[str, str]]:
    """Run a benchmark and read the table that it prints."""
    command = [sys.executable, str(BENCHMARKS / script), "--threads=1", *options.split()]
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder, timeout=600)
    assert done.returncode == 0, done.stderr
    header, _, *rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in done.stdout.splitlines()
        if line[:1] == "|"
    ]
    return [dict(zip(header, row, strict=True)) for row in rows]


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A benchmark as a module: ``load("common")``."""
    monkeypatch.syspath_prepend(BENCHMARKS)

    def load_module(name: str) -> ModuleType:
        monkeypatch.delitem(sys.modules, name, raising=False)
        return importlib.import_module(name)

    return load_module


@pytest.mark.slow
@pytest.mark.processes
def test_steps_count_distinct_cells_only(tmp_path: Path) -> None:
    """2 FLOPs for each weight and cell, three times: forward, gradient of the input, gradient of the weights."""
    rows = rows_of(
        "train_step.py",
        "--config P --batch_sizes 32 --steps 2 --set branch_hidden_sizes=[128]",
        tmp_path,
    )
    assert [(row["configuration"], row["positives"]) for row in rows] == [("P", "32")]
    weights = 512 * 128 + 128 * 128
    for row in rows:
        cells = int(row["cells"].replace(",", ""))
        assert 0 < cells <= 2 * 11 * int(row["positives"])
        assert float(row["GFLOP"]) == pytest.approx(6 * weights * cells / 1e9, abs=0.006)
        parts = [
            float(row[part]) for part in ("sampling", "loading", "forward", "backward", "optimiser")
        ]
        assert all(part >= 0 for part in parts)
        # Medians of two steps are their means. Each number has one decimal place.
        step, rounding = float(row["ms a step"]), 0.0501
        assert sum(parts) == pytest.approx(step, abs=6 * rounding)
        thousands = np.ceil(float(training_rows()) / int(row["positives"])) / 1000
        epoch = pytest.approx(thousands * step, abs=(thousands + 1) * rounding)
        assert float(row["s an epoch"]) == epoch


@pytest.mark.slow
@pytest.mark.processes
def test_steps_beside_another_program(tmp_path: Path) -> None:
    program = tmp_path / "other.py"
    program.write_text(
        "import time\n"
        "def make_step(data, batch_size, threads, pause, **others):\n"
        "    print('no answer')\n"
        "    return lambda: time.sleep(pause)\n"
    )
    options = '--batch_sizes 32 --rounds 3 --steps 2 --options {"pause":0.5}'
    (row,) = rows_of("beside.py", f"{program} {options}", tmp_path)
    assert (row["configuration"], row["positives"]) == ("R", "32")
    assert float(row["other, ms a step"]) >= 500
    assert float(row["other, ms of processor time"]) < 100
    ratio = float(row["other, ms a step"]) / float(row["ours, ms a step"])
    assert float(row["ratio"]) == pytest.approx(ratio, rel=0.5)
    assert float(row["ours, peak MB"]) > float(row["other, peak MB"])


def training_rows() -> int:
    """Number of training interactions of ml-100k, after a tenth of each user for validation and another for test."""
    per_user = pd.read_csv(ML_100K, sep="\t")["user_id:token"].value_counts()
    return int((per_user - 2 * (per_user // 10)).sum())


@pytest.mark.slow
@pytest.mark.processes
def test_negative_sampling_compares_samplers(tmp_path: Path) -> None:
    rows = rows_of("negative_sampling.py", "--negatives 1 3 --share 0.02 --repetitions 1", tmp_path)
    assert [(row["distribution"], row["negatives"]) for row in rows] == [
        (distribution, n) for distribution in ("uniform", "popularity") for n in ("1", "3")
    ]
    for row in rows:
        assert row["draws"] == f"{int(row['negatives']) * training_rows():,}"
        ratio = float(row["RecBole s"]) / float(row["ours s"])
        assert float(row["ratio"]) == pytest.approx(ratio, rel=0.1)


@pytest.mark.slow
@pytest.mark.processes
def test_record_of_a_checkpoint_is_measured(tmp_path: Path) -> None:
    rows = rows_of("training_record.py", "--models BPR --repetitions 1", tmp_path)
    assert [row["model"] for row in rows] == ["BPR"]
    share = float(rows[0]["record s"]) / float(rows[0]["load and split s"])
    assert float(rows[0]["share"].removesuffix(" %")) == pytest.approx(100 * share, abs=1)
    # ids of 943 users and 1682 items, one a line
    assert 9 < float(rows[0]["of them record"]) < 20


@pytest.mark.slow
@pytest.mark.processes
def test_portable_model_with_an_index(tmp_path: Path) -> None:
    options = "--items 900 --users 60 --requests 5 --encoded 40 --index ivf --parts start,single"
    rows = rows_of("serving.py", options, tmp_path)
    values = {(row["part"], row["measure"]): float(row["value"]) for row in rows}
    embeddings = (900 + 60) * 64 * 4 / 1e6
    assert values["start", "MB of embeddings"] == pytest.approx(embeddings, abs=0.5)
    assert 0.9 <= values["single", "recall@20 of the exact result"] <= 1


def test_recboles_sampler_is_measured_alone(load: Any) -> None:
    extended = AbstractSampler.sample_by_key_ids
    with load("negative_sampling").without_plugin():
        assert AbstractSampler.sample_by_key_ids is extended._recbole_sibrar_original
    assert AbstractSampler.sample_by_key_ids is extended


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("raise MemoryError('too many items')", "MemoryError: too many items"),
        ("import os; os.kill(os.getpid(), 9)", "out of memory (killed)"),
    ],
)
def test_failing_size_is_a_row_with_a_reason(
    load: Any, tmp_path: Path, code: str, reason: str
) -> None:
    (tmp_path / "child.py").write_text(code)
    assert load("common").run_child(str(tmp_path / "child.py"), {"threads": 1}) == {"error": reason}


def test_generated_data_are_divided_by_user(load: Any, tmp_path: Path) -> None:
    load("scaling").generate(tmp_path / "generated", 2100, 1000)
    parts = {
        part: pd.read_csv(tmp_path / "generated" / f"generated.{part}.inter", sep="\t")
        for part in ("train", "valid", "test")
    }
    for part in ("valid", "test"):
        assert parts[part]["user_id:token"].tolist() == list(range(2000))
    everything = pd.concat(parts.values())
    assert not everything.duplicated().any()
    assert everything.groupby("user_id:token").size().between(30, 50).all()
    lines = (tmp_path / "generated" / "generated.item").read_text().splitlines()
    vectors = np.array([line.split("\t")[1].split(" ") for line in lines[1:]], dtype=float)
    assert vectors.shape == (1000, 512)
    assert 0 <= vectors.min() < 0.1 < 0.9 < vectors.max() < 1
