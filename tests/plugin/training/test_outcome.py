"""Final report of a run: losses by name, checkpoint, and one closing block."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from recbole.config import Config
from recbole.quick_start import run_recbole

from recbole_sibrar.checkpoint_loading import load_checkpoint

MakeConfig = Callable[..., Config]
Run = Callable[..., tuple[dict[str, Any], str]]


@pytest.fixture
def run(make_config: MakeConfig, caplog: pytest.LogCaptureFixture) -> Run:
    """Run a model; return its result and its log without colours."""
    caplog.set_level(logging.INFO)

    def start(model: str = "SiBraR", saved: bool = True, **keys: Any) -> tuple[dict[str, Any], str]:
        config = make_config(model, **keys)
        result = run_recbole(
            model, "tiny", config_dict=dict(config.variable_config_dict), saved=saved
        )
        return result, re.sub(r"\x1b\[[0-9;]*m", "", caplog.text)

    return start


def closing(log: str) -> dict[str, str]:
    """The lines of the block by their names."""
    block = log[log.rindex("the run has ended") :].splitlines()[1:]
    return {line[2:13].strip(): line[14:] for line in block if line[2:13].strip()}


@pytest.mark.slow
@pytest.mark.parametrize("model", ["SiBraR", "BPR", "Pop"])
def test_the_checkpoint_is_in_the_result(run: Run, model: str) -> None:
    result, log = run(model)
    assert load_checkpoint(result["checkpoint"])["config"]["model"] == model
    assert closing(log)["checkpoint"] == result["checkpoint"]
    assert result["checkpoint"] in closing(log)["next"]


@pytest.mark.slow
def test_without_saving_there_is_none(run: Run) -> None:
    result, log = run("BPR", saved=False)
    assert result["checkpoint"] is None
    assert not {"checkpoint", "next"} & closing(log).keys()


@pytest.mark.slow
def test_the_block_has_a_line_for_each_view(run: Run) -> None:
    split = {"CS": [0.6, 0.2, 0.2], "warm": [0.6, 0.2, 0.2]}
    result, log = run("Pop", metrics=["NDCG"], eval_args={"split": split, "group_by": "item"})
    block = closing(log)
    for name, key in (
        ("validation", "best_valid_result"),
        ("valid cold", "best_valid_result"),
        ("test warm", "test_result"),
    ):
        suffix = f"[{name.split()[1]}]" if " " in name else ""
        assert block[name] == f"ndcg@10 : {result[key][f'ndcg@10{suffix}']}"


@pytest.mark.slow
def test_the_block_says_what_was_run(run: Run) -> None:
    result, log = run(epochs=3, seed=7, metrics=["NDCG"], stopping_step=5)
    block = closing(log)
    assert block["model"] == "SiBraR"
    assert block["data"] == "tiny: 30 users, 40 items, parts by RS [0.8, 0.1, 0.1], seed 7"
    assert block["test"] == f"ndcg@10 : {result['test_result']['ndcg@10']}"
    assert block["validation"] == f"ndcg@10 : {result['best_valid_result']['ndcg@10']}"
    saved = [
        int(epoch) for epoch in re.findall(r"epoch (\d+) training", log.split("Saving current")[-2])
    ]
    assert block["training"] == f"epochs 0 to 2, the best by NDCG@10 is {saved[-1]}"


@pytest.mark.slow
@pytest.mark.parametrize("eval_step", [1, 2])
def test_the_best_epoch_is_the_one_saved(run: Run, eval_step: int) -> None:
    result, log = run("BPR", epochs=7, eval_step=eval_step, learning_rate=0.1)
    epoch = load_checkpoint(result["checkpoint"])["epoch"]
    assert closing(log)["training"] == f"epochs 0 to 6, the best by MRR@10 is {epoch}"


@pytest.mark.slow
def test_losses_have_names(run: Run) -> None:
    _, log = run(contrastive="pairwise", user_modalities=["interactions", "gender"], epochs=1)
    (line,) = [line for line in log.splitlines() if "epoch 0 training" in line]
    names = re.findall(r"([a-z_]+) loss: [\d.]+", line)
    assert names == ["recommendation", "contrastive_user", "contrastive_item"]
    assert "train_loss" not in line


@pytest.mark.slow
def test_losses_of_recbole_stay(run: Run) -> None:
    _, log = run("SimpleX", epochs=1)
    assert re.search(r"epoch 0 training \[time: [\d.]+s, train loss: [\d.]+\]", log)


@pytest.mark.slow
def test_files_are_said(run: Run, tiny_folder: Path) -> None:
    lines = (
        (tiny_folder / "tiny" / "tiny.inter").read_text(encoding="utf-8").splitlines(keepends=True)
    )
    for part, rows in (("train", lines[1:250]), ("valid", lines[250:280]), ("test", lines[280:])):
        (tiny_folder / "tiny" / f"tiny.{part}.inter").write_text(
            "".join([lines[0], *rows]), encoding="utf-8"
        )
    _, log = run("Pop", benchmark_filename=["train", "valid", "test"])
    assert "parts by files" in closing(log)["data"]
