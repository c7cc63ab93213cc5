"""Repairs of RecBole; a process without the plugin shows each fault."""

from __future__ import annotations

import builtins
import json
import os
import pickle
import subprocess
import sys
import warnings
import zipfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import recbole.quick_start
import torch
import yaml
from alone import ALONE
from recbole.config import Config
from recbole.evaluator import Collector, Evaluator
from recbole.trainer import Trainer

from recbole_sibrar.checkpoint_loading import load_checkpoint
from recbole_sibrar.errors import CheckpointError
from recbole_sibrar.plugin import repairs

BEYOND_ACCURACY = (
    "ItemCoverage",
    "GiniIndex",
    "AveragePopularity",
    "TailPercentage",
    "ShannonEntropy",
)

PLAIN = """
import json, sys
from recbole.config import Config
from recbole.data import create_dataset, data_preparation
from recbole.quick_start import load_data_and_model
from recbole.utils import get_model, get_trainer, init_logger, init_seed

settings = {"epochs": 1, "show_progress": False, "state": "ERROR", "eval_batch_size": 1000000}
config = Config("BPR", "ml-100k", config_dict={**settings, "train_batch_size": 8192})
init_seed(config["seed"], config["reproducibility"])
init_logger(config)
train_data, valid_data, test_data = data_preparation(config, create_dataset(config))
model = get_model("BPR")(config, train_data.dataset)
trainer = get_trainer(config["MODEL_TYPE"], "BPR")(config, model)
trainer.saved_model_file = "plain.pth"
trainer.fit(train_data, valid_data)
test = trainer.evaluate(test_data, load_best_model=False)


def error_of(function):
    try:
        function()
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return ""


def evaluate(metrics):
    config = Config("BPR", "ml-100k", config_dict={**settings, "metrics": metrics})
    trainer = get_trainer(config["MODEL_TYPE"], "BPR")(config, model)
    trainer.eval_collector.data_collect(train_data)
    trainer.evaluate(test_data, load_best_model=False)


metrics = METRICS
print(json.dumps({
    "test": {key: float(value) for key, value in test.items()},
    "metrics": {metric: error_of(lambda: evaluate([metric])) for metric in metrics},
    "all": error_of(lambda: evaluate(metrics)),
    "evaluate": error_of(lambda: trainer.evaluate(test_data)),
    "load": error_of(lambda: load_data_and_model("plain.pth")),
    "resume": error_of(lambda: trainer.resume_checkpoint("plain.pth")),
    "plugin": "recbole_sibrar" in sys.modules,
}))
"""


def run(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Report of RecBole without the plugin; ``file`` is its checkpoint."""
    folder = tmp_path_factory.mktemp("plain")
    done = run(
        folder, sys.executable, "-c", ALONE + PLAIN.replace("METRICS", repr(list(BEYOND_ACCURACY)))
    )
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["plugin"] is False
    return {**found, "file": folder / "plain.pth", "output": done.stdout + done.stderr}


@pytest.mark.slow
@pytest.mark.processes
def test_recbole_alone_has_the_faults(plain: dict[str, Any]) -> None:
    assert "has no attribute 'cpu'" in plain["all"]
    for metric in ("ItemCoverage", "GiniIndex", "AveragePopularity", "TailPercentage"):
        assert "has no attribute 'cpu'" in plain["metrics"][metric], metric
    for function in ("evaluate", "load", "resume"):
        assert plain[function].startswith("UnpicklingError: Weights only load failed"), function
    assert "Warning" in plain["output"]


def test_metrics_beyond_accuracy_by_hand(make_config: Callable[..., Config]) -> None:
    config = make_config(
        model="BPR", metrics=list(BEYOND_ACCURACY), topk=[2], valid_metric="ItemCoverage@2"
    )
    collector = Collector(config)
    dataset = SimpleNamespace(
        num=lambda field: 6, item_counter=Counter({1: 3, 2: 2, 3: 1, 4: 2, 5: 4})
    )
    collector.data_collect(SimpleNamespace(dataset=dataset))

    # The best two of the first user are 1 and 2, of the second 1 and 3; 0 is the padding.
    scores = torch.tensor([[-torch.inf, 9, 8, 7, 6, 5], [-torch.inf, 9, 1, 8, 2, 3]])
    expected = {
        "itemcoverage@2": 3 / 6,
        "giniindex@2": (1 * 1 + 3 * 1 + 5 * 2)
        / 4
        / 6,  # counts 1, 1, 2 on the ranks 4, 5, 6 of 6: 2 * rank - 6 - 1
        "averagepopularity@2": ((3 + 2) / 2 + (3 + 1) / 2) / 2,
        "tailpercentage@2": (0 / 2 + 1 / 2)
        / 2,  # a tenth of five items, but one at least: the item 3
        "shannonentropy@2": 0.3466,  # -(ln(1/2) / 2 + 2 * ln(1/4) / 4) / 3
    }

    for _ in range(2):
        collector.eval_batch_collect(scores, None, torch.tensor([0, 1]), torch.tensor([1, 5]))
        found = Evaluator(config).evaluate(collector.get_data_struct())
        assert found == pytest.approx(expected, abs=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("model", ["SiBraR", "BPR"])
def test_metrics_beyond_accuracy_run(
    make_config: Callable[..., Config], tiny_folder: Path, model: str
) -> None:
    config = make_config(model=model)
    settings = {key: config[key] for key in ("load_col", "epochs", "show_progress", "state")}
    settings |= {
        "data_path": str(tiny_folder),
        "metrics": ["Recall", *BEYOND_ACCURACY],
        "valid_metric": "Recall@10",
    }
    found = recbole.quick_start.run_recbole(model, "tiny", config_dict=settings)["test_result"]
    assert set(found) == {f"{metric.lower()}@10" for metric in ("Recall", *BEYOND_ACCURACY)}
    assert all(value > 0 for value in found.values())


@pytest.mark.slow
@pytest.mark.processes
def test_checkpoint_of_recbole_alone(
    plain: dict[str, Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(sys, "argv", ["test"])
    monkeypatch.chdir(tmp_path)
    config, model, _, _, _, test_data = recbole.quick_start.load_data_and_model(str(plain["file"]))
    trainer = Trainer(config, model)
    found = [trainer.evaluate(test_data, load_best_model=False)]
    torch.nn.init.zeros_(model.item_embedding.weight)
    found.append(trainer.evaluate(test_data, model_file=str(plain["file"])))
    trainer.resume_checkpoint(str(plain["file"]))
    assert trainer.start_epoch == 1
    assert found == [pytest.approx(plain["test"]), pytest.approx(plain["test"])]


class Harmful:
    """An object with a harmful pickle: loading it calls a function named by the file."""

    def __init__(self, function: Callable[..., Any], *arguments: Any) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return self.call


def attacks(marker: Path) -> dict[str, Harmful]:
    """Objects that create a file on loading."""
    code = f"open({str(marker)!r}, 'w').close()"
    return {
        f"{os.name}.system": Harmful(os.system, f"touch {marker}"),
        "builtins.eval": Harmful(eval, code),
        "builtins.exec": Harmful(builtins.exec, code),
        "builtins.getattr": Harmful(getattr, "", "join"),
        "recbole.config.configurator.Config": Harmful(
            Config, "BPR", "ml-100k", None, {"epochs": code}
        ),
    }


@pytest.mark.parametrize("protocol", [2, 4])
@pytest.mark.parametrize("name", list(attacks(Path())))
def test_harmful_checkpoint_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, protocol: int
) -> None:
    monkeypatch.setattr(sys, "argv", ["test"])
    file, marker = tmp_path / "harmful.pth", tmp_path / "marker"
    torch.save({"config": attacks(marker)[name], "state_dict": {}}, file, pickle_protocol=protocol)
    # whatever it raises, the marker comes first
    with pytest.raises((CheckpointError, Exception)) as refused:
        recbole.quick_start.load_data_and_model(str(file))
    assert not marker.exists()
    assert refused.type is CheckpointError
    assert str(file) in str(refused.value)
    assert name in str(refused.value)
    assert "\n" not in str(refused.value)


def test_stored_configuration_is_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["test"])
    monkeypatch.chdir(tmp_path)
    marker = tmp_path / "marker"
    config = Config("KD_DAGFM", "ml-100k", config_dict={"state": "ERROR"})
    config["teacher"] = (
        f"open({str(marker)!r}, 'w').close()"  # RecBole's KD_DAGFM evaluates the value of this key
    )
    torch.save({"config": config, "state_dict": {}}, tmp_path / "harmful.pth", pickle_protocol=4)
    with pytest.raises((CheckpointError, Exception)):  # whatever it raises, the marker comes first
        recbole.quick_start.load_data_and_model(str(tmp_path / "harmful.pth"))
    assert not marker.exists()


def with_pickle(file: Path, content: bytes) -> str:
    """Write a file in torch's format with the given pickle."""
    torch.save({}, file)
    with zipfile.ZipFile(file) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(file, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, content if name.endswith("/data.pkl") else data)
    return str(file)


def test_refused_checkpoint_changes_no_class(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(yaml.FullLoader, "yaml_constructors", yaml.FullLoader.yaml_constructors)
    before = yaml.FullLoader.yaml_constructors
    build = b"cyaml.loader\nFullLoader\nN}Vyaml_constructors\n}s\x86b."  # sets an attribute of the class itself
    with pytest.raises(CheckpointError):
        load_checkpoint(with_pickle(tmp_path / "harmful.pth", build))
    assert yaml.FullLoader.yaml_constructors is before


@pytest.mark.parametrize(
    "missing", ["general_recommender.mine\nMine", "abstract_recommender\nMine"]
)
def test_model_class_that_is_not_installed(tmp_path: Path, missing: str) -> None:
    file = with_pickle(tmp_path / "own.pth", f"crecbole.model.{missing}\n.".encode())
    with pytest.raises(CheckpointError) as refused:
        load_checkpoint(file)
    assert file in str(refused.value)
    assert "Mine" in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("write", ["legacy", "pickle"])
def test_other_formats_run_no_code(tmp_path: Path, write: str) -> None:
    file, marker = tmp_path / "harmful.pth", tmp_path / "marker"
    content = {"config": {}, "state_dict": Harmful(os.system, f"touch {marker}")}
    if write == "pickle":
        file.write_bytes(pickle.dumps(content))
    else:
        torch.save(content, file, _use_new_zipfile_serialization=False)
    with pytest.raises(CheckpointError, match="not a checkpoint"):
        load_checkpoint(str(file))
    assert not marker.exists()


@pytest.mark.parametrize("content", [torch.zeros(2), {"weight": torch.zeros(2)}, [1, 2]])
def test_file_of_tensors_is_refused(tmp_path: Path, content: Any) -> None:
    file = tmp_path / "weights.pth"
    torch.save(content, file)
    with pytest.raises(
        CheckpointError,
        match=r"weights\.pth is not a RecBole checkpoint: it holds no configuration",
    ):
        load_checkpoint(str(file))


@pytest.mark.parametrize("content", [None, b"", b"not a checkpoint\n", b"PK\x03\x04 cut off"])
def test_file_that_is_no_checkpoint(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "model.pth"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(CheckpointError) as refused:
        recbole.quick_start.load_data_and_model(str(file))
    assert str(file) in str(refused.value)
    assert ("no such checkpoint" if content is None else "not a checkpoint") in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.slow
@pytest.mark.processes
def test_the_default_of_torch_stays_as_it_is(plain: dict[str, Any], tmp_path: Path) -> None:
    file, default = tmp_path / "custom.pth", torch.load
    torch.save({"config": Harmful(print, "loaded")}, file)
    with pytest.raises(CheckpointError):
        recbole.quick_start.load_data_and_model(str(file))
    assert torch.load is default
    for path in (file, plain["file"]):
        with pytest.raises(pickle.UnpicklingError, match="Weights only load failed"):
            torch.load(path)
    torch.save({"weight": torch.ones(2)}, file)
    assert torch.load(file)["weight"].tolist() == [1, 1]


def test_repairs_are_applied_once() -> None:
    owners = (Trainer, Collector, recbole.quick_start, recbole.quick_start.quick_start, torch)
    before = [dict(vars(owner)) for owner in owners]
    filters = list(warnings.filters)
    applied = repairs.apply_repairs()
    assert set(applied) == {repair.name for repair in repairs.REPAIRS}
    assert [dict(vars(owner)) for owner in owners] == before
    assert warnings.filters == filters


@pytest.mark.slow
@pytest.mark.processes
def test_the_command_shows_no_warning(tmp_path: Path) -> None:
    options = ["--epochs=1", "--show_progress=False", "--train_neg_sample_args={'sample_num': 1}"]
    command = Path(sys.executable).with_name("run_recbole")
    done = run(tmp_path, str(command), "--model=SiBraR", "--dataset=ml-100k", *options)
    assert "test result" in done.stdout + done.stderr
    assert [
        line for line in (done.stdout + done.stderr).splitlines() if "warning" in line.lower()
    ] == []
