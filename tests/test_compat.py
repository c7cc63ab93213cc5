from __future__ import annotations

import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from recbole.evaluator import Evaluator
from recbole.evaluator.collector import Collector
from recbole.trainer import Trainer

from recbole_sibrar import compat
from recbole_sibrar.compat import CheckpointError, load_checkpoint

METRICS = ["ItemCoverage", "GiniIndex", "AveragePopularity", "TailPercentage", "ShannonEntropy"]
RUN = """
import sys, torch
{imports}
from recbole.quick_start import run_recbole
settings = dict(epochs=1, show_progress=False, checkpoint_dir="saved", train_batch_size=20000)
metrics = {metrics}
if metrics:
    settings.update(metrics=["NDCG", *metrics], valid_metric="NDCG@10")
print("RESULT", run_recbole("BPR", "ml-100k", config_dict=settings, saved={saved}))
"""


def python(script: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", script], cwd=folder, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder where RecBole alone has trained BPR, which fails when it loads its own checkpoint."""
    folder = tmp_path_factory.mktemp("plain")
    run = python(RUN.format(imports="", metrics=None, saved=True), folder)
    assert run.returncode != 0
    assert "Weights only load failed" in run.stderr
    return folder


def test_recbole_alone_fails_on_its_beyond_accuracy_metrics(tmp_path: Path) -> None:
    run = python(RUN.format(imports="", metrics=METRICS, saved=False), tmp_path)
    assert run.returncode != 0
    assert "has no attribute 'cpu'" in run.stderr


def test_with_the_plugin_the_metrics_run_and_the_best_model_is_loaded(tmp_path: Path) -> None:
    run = python(RUN.format(imports="import recbole_sibrar", metrics=METRICS, saved=True), tmp_path)
    assert run.returncode == 0, run.stderr
    assert all(f"{metric.lower()}@10" in run.stdout for metric in METRICS)
    assert "Loading model structure and parameters from saved/BPR-" in run.stderr


def test_the_repaired_metrics_are_those_of_the_definitions(make_model: Callable[..., tuple[Any, ...]]) -> None:
    settings = {"metrics": METRICS, "topk": [2], "valid_metric": "ItemCoverage@2", "tail_ratio": 0.5}
    config, _, train_data, _, _ = make_model(model="BPR", **settings)
    collector = Collector(config)
    collector.data_collect(train_data)
    collector.data_struct.set("data.num_items", 4)
    collector.data_struct.set("data.count_items", {1: 10, 2: 5, 3: 1, 4: 1})
    collector.data_struct.set("rec.items", torch.tensor([[1, 2], [1, 3]]))
    result = Evaluator(config).evaluate(collector.get_data_struct())
    assert result["itemcoverage@2"] == 0.75
    assert result["averagepopularity@2"] == pytest.approx((7.5 + 5.5) / 2)
    assert result["tailpercentage@2"] == 0.25  # of four recommendations one is item 3 of the tail {3, 4}
    # counts in ascending order 0, 1, 1, 2: sum of (2 i - 5) c_i = 9 - 3 = 5 + ..., worked out below
    assert result["giniindex@2"] == pytest.approx(((2 * 2 - 5) * 1 + (2 * 3 - 5) * 1 + (2 * 4 - 5) * 2) / 4 / 4)
    assert "data.num_items" in collector.data_struct  # kept for the next evaluation


def test_repairs_are_applied_once() -> None:
    before = (Collector.get_data_struct, Trainer.evaluate, torch.load)
    assert compat.apply_repairs() == {repair.name: True for repair in compat.REPAIRS}
    assert (Collector.get_data_struct, Trainer.evaluate, torch.load) == before


@pytest.mark.parametrize("first", ["import recbole_sibrar", "from recbole.quick_start import load_data_and_model"])
def test_a_checkpoint_of_recbole_alone_is_loaded_whatever_the_order_of_imports(plain: Path, first: str) -> None:
    (checkpoint,) = (plain / "saved").glob("BPR-*.pth")
    script = (
        f"{first}\nimport recbole_sibrar\nfrom recbole.quick_start import load_data_and_model\n"
        f"config, model, *_ = load_data_and_model({str(checkpoint)!r})\n"
        "print(type(model).__name__, config['model'], config.model_class.__name__)"
    )
    run = python(script, plain)
    assert run.returncode == 0, run.stderr
    assert run.stdout.split() == ["BPR", "BPR", "BPR"]


class Malicious:
    def __init__(self, function: Callable[..., Any], *arguments: str) -> None:
        self.function, self.arguments = function, arguments

    def __reduce__(self) -> tuple[Any, ...]:
        return self.function, self.arguments


@pytest.mark.parametrize(
    ("function", "argument", "named"),
    [(os.system, "touch {}", "posix.system"), (eval, "open({!r}, 'w')", "builtins.eval")],
)
@pytest.mark.parametrize("protocol", [2, 4])
def test_a_checkpoint_that_would_run_code_is_refused(
    tmp_path: Path, function: Callable[..., Any], argument: str, named: str, protocol: int
) -> None:
    marker, file = tmp_path / "marker", str(tmp_path / "evil.pth")
    torch.save({"config": Malicious(function, argument.format(str(marker)))}, file, pickle_protocol=protocol)
    with pytest.raises(CheckpointError) as caught:
        load_checkpoint(file)
    assert not marker.exists()
    assert file in str(caught.value)
    assert named in str(caught.value)
    assert "\n" not in str(caught.value)


class Mine:
    """A class that a user keeps in a checkpoint."""


def test_a_class_that_the_user_declares_safe_is_loaded(tmp_path: Path) -> None:
    file = str(tmp_path / "mine.pth")
    torch.save({"config": Mine()}, file)
    with pytest.raises(CheckpointError, match="add_safe_globals"):
        load_checkpoint(file)
    with torch.serialization.safe_globals([Mine]):
        assert isinstance(load_checkpoint(file)["config"], Mine)


def test_the_default_of_torch_is_left_alone(tmp_path: Path) -> None:
    file = str(tmp_path / "mine.pth")
    torch.save(Mine(), file)
    with pytest.raises(pickle.UnpicklingError, match="Weights only load failed"):
        torch.load(file)


@pytest.mark.parametrize(
    ("content", "expected"),
    [(None, "there is no such checkpoint"), (b"no checkpoint at all", "not a checkpoint that can be read")],
)
def test_what_is_no_checkpoint_ends_in_one_line(tmp_path: Path, content: bytes | None, expected: str) -> None:
    file = tmp_path / "file.pth"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(CheckpointError, match=expected) as caught:
        load_checkpoint(str(file))
    assert str(file) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_of_tensors_is_no_recbole_checkpoint(tmp_path: Path) -> None:
    file = str(tmp_path / "weights.pth")
    torch.save({"weight": torch.zeros(2)}, file)
    with pytest.raises(CheckpointError, match="it holds no configuration"):
        load_checkpoint(file)
