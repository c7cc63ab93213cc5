"""Cold start by the commands: ready-made configurations, options of the log."""

from __future__ import annotations

import logging
import re
import sys
from pathlib import Path

import pytest
import yaml
from recbole.config import Config

from recbole_sibrar import cli


def command(*arguments: str) -> list[str]:
    """Run ``run_recbole`` in this process, and return what it logged."""
    messages: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: messages.append(record.getMessage())  # type: ignore[method-assign]
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    try:
        assert (
            cli.run_recbole(["--show_progress=False", "--eval_batch_size=1000000", *arguments]) == 0
        )
    finally:
        root.removeHandler(handler)
        root.setLevel(level)
    return messages


def results(messages: list[str]) -> str:
    (line,) = [text for text in messages if "test result" in text]
    return line


@pytest.fixture
def at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of its own to work in."""
    monkeypatch.setattr(sys, "argv", ["run_recbole"])
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.slow
def test_logged_options_read_the_parts(at_home: Path) -> None:
    """RecBole reads this data set from its own folder, whatever ``data_path`` says."""
    settings = ["--model=BPR", "--dataset=ml-100k", "--config_files=cold_start_item", "--epochs=1"]
    first = command(*settings, "--save_split=parts")
    (line,) = [text for text in first if text.startswith("wrote the parts to parts")]
    options = re.findall(r"--\S+=\S+", line)
    assert options == ["--data_path=parts", "--benchmark_filename=[train,valid,test]"]
    # a model that reads interactions only needs nothing else
    (at_home / "parts" / "ml-100k.user").unlink()
    again = command(*settings, *options)
    assert results(again) == results(first)
    assert {text for text in first if "held-out" in text} == {
        text for text in again if "held-out" in text
    }
    assert not list((at_home / "parts").glob("*.user"))


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["cold_start_item", "cold_start_user", "cold_start_both", "warm", "temporal"]
)
def test_ready_made_configuration_runs(at_home: Path, name: str) -> None:
    line = results(command("--model=Pop", "--dataset=ml-100k", f"--config_files={name}"))
    found = {key: float(value) for key, value in re.findall(r"'(\w+@10)', ([\d.]+|nan)", line)}
    file = next(Path(cli.__file__).parents[2].glob(f"properties/quick_start_config/{name}.yaml"))
    metrics = yaml.safe_load(file.read_text(encoding="utf-8"))["metrics"]
    assert len(found) == len(metrics)
    assert 0 < found["ndcg@10"] < 1


def test_recboles_config_by_its_name(at_home: Path) -> None:
    (at_home / "mine.yaml").write_text("topk: [5]\n", encoding="utf-8")
    for model in ("SiBraR", "BPR"):
        config = Config(model, "ml-100k", config_file_list=["cold_start_item", "mine.yaml"])
        assert config["eval_args"]["split"] == {"CS": [0.8, 0.1, 0.1]}
        assert (config["eval_args"]["group_by"], config["eval_candidates"]) == ("item", "split")
        assert config["topk"] == [5]
    # a file of the user's goes before a name of ours
    (at_home / "warm").write_text("topk: [7]\n", encoding="utf-8")
    assert Config("BPR", "ml-100k", config_file_list=["warm"])["topk"] == [7]
