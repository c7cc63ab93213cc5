"""Checkpoints with a data set moved after training."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from recbole.config import Config
from recbole.quick_start import load_data_and_model
from recbole.trainer import Trainer

from recbole_sibrar import cli
from recbole_sibrar.errors import CheckpointError
from recbole_sibrar.plugin.training.moved_data import Request, place_data
from recbole_sibrar.quick_start.group.single_run import CHECKPOINT

Build = Callable[..., tuple[Any, ...]]
METRIC = {"metrics": ["Recall", "NDCG"], "valid_metric": "NDCG@10", "epochs": 1}


@pytest.fixture
def moved(
    make_model: Build, tiny_folder: Path, tmp_path: Path
) -> Callable[..., tuple[Any, str, Path]]:
    """Train a model and move its data: the trained model, its checkpoint, the folder above the data."""

    def build(model: str = "SiBraR", **keys: Any) -> tuple[Any, str, Path]:
        config, network, train, valid, _ = make_model(model=model, **METRIC, **keys)
        trainer = Trainer(config, network)
        trainer.fit(train, valid, show_progress=False)
        shutil.move(tiny_folder, tmp_path / "new place")
        return trainer.model, trainer.saved_model_file, tmp_path / "new place"

    return build


@pytest.mark.parametrize("model", ["SiBraR", "BPR"])
def test_data_that_are_gone_are_one_line(
    moved: Callable[..., Any], model: str, tiny_folder: Path
) -> None:
    _, file, _ = moved(model)
    with pytest.raises(CheckpointError) as caught:
        load_data_and_model(file)
    text = str(caught.value)
    assert text.startswith(
        f"{file}: its data set 'tiny' was read from {tiny_folder / 'tiny'}, where tiny.inter cannot"
    )
    assert "--data_path=FOLDER" in text
    assert "load_data_and_model(file, data_path=FOLDER)" in text
    assert "\n" not in text
    assert not tiny_folder.exists()


@pytest.mark.slow
@pytest.mark.parametrize("form", ["above", "itself", "relative", "path"])
@pytest.mark.parametrize("model", ["SiBraR", "BPR"])
def test_data_are_read_from_their_new_place(
    moved: Callable[..., Any], model: str, form: str
) -> None:
    network, file, folder = moved(model)
    forms = {
        "above": str(folder),
        "itself": str(folder / "tiny"),
        "relative": os.path.relpath(folder),
        "path": folder,
    }
    config, loaded, _, _, _, test = load_data_and_model(file, data_path=forms[form])
    assert Path(config["data_path"]).samefile(folder / "tiny")
    for name, value in network.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], value)
    result = Trainer(config, loaded).evaluate(test, load_best_model=False)
    assert result["recall@10"] > 0


def test_the_place_of_training_is_enough(make_model: Build) -> None:
    config, network, train, valid, _ = make_model(**METRIC)
    trainer = Trainer(config, network)
    trainer.fit(train, valid, show_progress=False)
    assert load_data_and_model(trainer.saved_model_file)[0]["data_path"] == config["data_path"]


def test_a_place_without_data_is_one_line(moved: Callable[..., Any], tmp_path: Path) -> None:
    _, file, _ = moved()
    with pytest.raises(
        CheckpointError,
        match=rf"^--data_path: found {tmp_path}, .* tiny has tiny.inter, .* of {file}$",
    ):
        load_data_and_model(file, data_path=tmp_path)


def test_parts_in_files_are_looked_for(
    make_model: Build, moved: Callable[..., Any], tiny_folder: Path
) -> None:
    parts = ["train", "valid", "test"]
    header, *rows = (tiny_folder / "tiny" / "tiny.inter").read_text().splitlines()
    for number, part in enumerate(parts):
        text = (
            "\n".join([header, *(row for place, row in enumerate(rows) if place % 3 == number)])
            + "\n"
        )
        (tiny_folder / "tiny" / f"tiny.{part}.inter").write_text(text)
    _, file, folder = moved("BPR", benchmark_filename=parts)
    assert len(load_data_and_model(file, data_path=folder)[5]._dataset) == len(rows[2::3])
    (folder / "tiny" / "tiny.valid.inter").unlink()
    with pytest.raises(
        CheckpointError, match=r"^--data_path: .* has tiny.train.inter, tiny.valid.inter, tiny.test"
    ):
        load_data_and_model(file, data_path=folder)


def test_ml_100k_lies_inside_of_recbole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["test"])
    config = Config("Pop", "ml-100k", config_dict={"state": "ERROR"})
    here = Path(config["data_path"])
    config.final_config_dict["data_path"] = "/other/site-packages/recbole/dataset_example/ml-100k"
    place_data(config, Request("pop.pth", None))
    assert Path(config["data_path"]).samefile(here)


@pytest.mark.slow
@pytest.mark.parametrize("command", ["missing", "gap"])
def test_commands_take_the_new_place(
    moved: Callable[..., Any], command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    _, file, folder = moved(item_modalities=["text", "kind"])
    extra = ["--seeds=1", "--rates=0.5"] if command == "missing" else []
    capsys.readouterr()
    assert cli.main([command, file, *extra]) == cli.WRONG_INPUT
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(
        f"recbole-sibrar {command}: error: {file}: its data set 'tiny' was read from "
    )
    assert "--data_path=FOLDER" in line
    assert cli.main([command, file, *extra, f"--data_path={folder}"]) == 0
    assert len(pd.read_csv(f"{command}/{command}.csv"))


@pytest.mark.slow
def test_a_report_takes_the_new_place(
    moved: Callable[..., Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, file, folder = moved(item_modalities=["text", "kind"])
    comparison = tmp_path / "comparison"
    run = comparison / "runs" / "SiBraR-1-000000000000"
    (run / CHECKPOINT).parent.mkdir(parents=True)
    shutil.copy(file, run / CHECKPOINT)
    result = {
        "test_result": {"ndcg@10": 0.1},
        "best_valid_score": 0.1,
        "seconds": 1,
        "peak_memory_mb": 1,
    }
    (run / "result.json").write_text(json.dumps(result))
    head = {
        "name": "SiBraR",
        "model": "SiBraR",
        "seed": 1,
        "minutes": 1,
        "valid_score": 0.1,
        "ndcg@10": 0.1,
    }
    pd.DataFrame([head]).to_csv(comparison / "results.csv", index=False)

    capsys.readouterr()
    assert cli.main(["report", str(comparison), "--gap"]) == cli.WRONG_INPUT
    assert "--data_path=FOLDER" in capsys.readouterr().err.splitlines()[-1]
    assert cli.main(["report", str(comparison), "--gap", f"--data_path={folder}"]) == 0
    assert "cosine_ratio" in (comparison / "gap" / "gap.csv").read_text()
