"""Three processes on this machine have the results of one."""

from __future__ import annotations

import math
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from recbole.trainer import PretrainTrainer, Trainer

pytestmark = [pytest.mark.slow, pytest.mark.processes]

SCRIPT = Path(__file__).with_name("several_processes.py")


@pytest.fixture(scope="module")
def found(shared_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Results of one process, and of each of three."""
    folder = tmp_path_factory.mktemp("processes")
    file = shared_folder / "tiny" / "tiny.item"
    header, *lines = file.read_text(encoding="utf-8").splitlines()
    rare = [f"{line}\t{'x' if number == 4 else ''}" for number, line in enumerate(lines)]
    file.write_text("\n".join([f"{header}\trare:token", *rare, ""]), encoding="utf-8")
    for n in (1, 3):
        (folder / str(n)).mkdir()
        command = [sys.executable, str(SCRIPT), str(folder / f"out{n}"), str(shared_folder), str(n)]
        done = subprocess.run(
            command, cwd=folder / str(n), capture_output=True, text=True, timeout=900
        )
        assert done.returncode == 0, done.stderr
    one, *three = (
        torch.load(folder / f"out{name}", weights_only=False)
        for name in ("1.0", "3.0", "3.1", "3.2")
    )
    return {"folder": folder, "one": one, "three": three}


def names(kind: str) -> list[str]:
    """Names of the script's cases of a kind."""
    import importlib.util

    specification = importlib.util.spec_from_file_location("several_processes", SCRIPT)
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return list(getattr(module, kind))


@pytest.mark.parametrize("name", names("GRADIENTS"))
def test_gradient_is_that_of_one_process(found: dict[str, Any], name: str) -> None:
    expected = found["one"]["gradients"][name]
    size = max(float(gradient.abs().max()) for gradient in expected.values())
    assert size > 1e-3
    for rank in range(3):
        gradients = found["three"][rank]["gradients"][name]
        assert gradients.keys() == expected.keys()
        for parameter, gradient in gradients.items():
            assert (gradient - expected[parameter]).abs().max() < 1e-5 * max(size, 1), parameter


@pytest.mark.parametrize("name", names("EVALUATIONS"))
def test_metrics_are_those_of_one_process(found: dict[str, Any], name: str) -> None:
    expected = found["one"]["evaluations"][name]
    assert len(expected) >= 4
    for rank in range(3):
        metrics = found["three"][rank]["evaluations"][name]
        assert metrics.keys() == expected.keys()
        for key, value in expected.items():
            assert metrics[key] == value or (math.isnan(value) and math.isnan(metrics[key])), key


@pytest.mark.parametrize("name", names("TRAININGS"))
def test_processes_agree(found: dict[str, Any], name: str) -> None:
    first, *others = (part["trainings"][name] for part in found["three"])
    for other in others:
        for key in ("score", "valid", "test", "losses"):
            assert first[key] == other[key], key
        for parameter, value in first["last"].items():
            assert torch.equal(value, other["last"][parameter]), parameter
    if name not in ("Pop", "ItemKNN"):
        assert len({tuple(run["random"].tolist()) for run in (first, *others)}) == 3


@pytest.mark.parametrize("name", ["Pop", "ItemKNN"])
def test_models_that_count_are_not_divided(found: dict[str, Any], name: str) -> None:
    expected, first = found["one"]["trainings"][name], found["three"][0]["trainings"][name]
    assert first["valid"] == expected["valid"]
    assert first["test"] == expected["test"]


def test_each_process_has_a_third(found: dict[str, Any]) -> None:
    one, *parts = (
        [user for batch in part["trainings"]["SiBraR"]["seen"] for user in batch]
        for part in (found["one"], *found["three"])
    )
    n = len(one) // 10  # the batch has a row for each of ten negatives
    assert [len(part) for part in parts] == [10 * -(-n // 3)] * 3
    together = [user for part in parts for user in part]
    assert set(together) == set(one)
    assert sum(abs(together.count(user) - one.count(user)) for user in set(one)) <= 20


def test_batches_add_up_to_one(found: dict[str, Any]) -> None:
    one, *parts = (
        [len(batch) for batch in part["trainings"]["SiBraR"]["seen"]]
        for part in (found["one"], *found["three"])
    )
    assert one[0] == sum(part[0] for part in parts)  # 51 positives


def test_one_process_writes(found: dict[str, Any]) -> None:
    folder, first = found["folder"] / "3", found["three"][0]
    for name in names("TRAININGS"):
        assert (folder / first["trainings"][name]["file"]).is_file()
    logs = len(list((folder / "log" / "MultiVAE").glob("*.log")))
    assert logs == len(list((found["folder"] / "1" / "log" / "MultiVAE").glob("*.log"))) == 1
    boards = [
        len(list((found["folder"] / n / "log_tensorboard").rglob("events*"))) for n in ("1", "3")
    ]
    assert boards[0] == boards[1]


def test_checkpoint_fits_a_single_process(
    found: dict[str, Any], monkeypatch: pytest.MonkeyPatch, shared_folder: Path
) -> None:
    from recbole.quick_start import load_data_and_model

    monkeypatch.chdir(found["folder"] / "3")
    monkeypatch.setattr(sys, "argv", ["test"])
    run = found["three"][0]["trainings"]["SiBraR"]
    config, model, _, _, _, test = load_data_and_model(run["file"])
    assert dict(Trainer(config, model).evaluate(test, load_best_model=False)) == run["test"]


def test_single_process_of_torchrun(make_model: Callable[..., Any]) -> None:
    results = []
    for keys in (
        {},
        {"local_rank": 0, "nproc": 1, "world_size": 1, "offset": 0, "ip": "localhost", "port": "1"},
    ):
        config, model, train, valid, test = make_model(model="BPR", **keys)
        trainer = Trainer(config, model)
        trainer.fit(train, valid)
        results.append(trainer.evaluate(test))
    assert results[0] == results[1]


def test_one_process_writes_pretraining(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("recbole_sibrar.parallel.processes.is_main", lambda config: False)
    trainer = SimpleNamespace(config={})
    PretrainTrainer.save_pretrained_model(trainer, 0, str(tmp_path / "a.pth"))
    assert not list(tmp_path.iterdir())
    assert trainer.saved_model_file == str(tmp_path / "a.pth")
