"""Keys that nobody reads: of other models, of older RecBoles, misspelt ones, and those inside dictionaries."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import recbole
import yaml
from recbole.config import Config

from recbole_sibrar import properties
from recbole_sibrar.config import ConfigError

MakeConfig = Callable[..., Config]

EVALUATION = {"split": {"RS": [0.8, 0.1, 0.1]}, "group_by": "user", "order": "RO", "mode": "full"}


def keys_of(*files: Path) -> list[str]:
    """Every key with a default in files, by yaml's reader."""
    keys: set[str] = set()
    for file in files:
        keys |= set(yaml.safe_load(file.read_text(encoding="utf-8")) or {})
    return sorted(keys)


def keys_of_recbole() -> list[str]:
    folder = Path(recbole.__file__).parent / "properties"
    return keys_of(
        folder / "overall.yaml", folder / "dataset" / "sample.yaml", *folder.glob("[mq]*/*.yaml")
    )


def keys_of_ours() -> list[str]:
    folder = Path(properties.__file__).parent
    keys = set(keys_of(folder / "overall.yaml", folder / "model" / "SiBraR.yaml"))
    return sorted(keys.difference(keys_of_recbole()) | {"embedding_size", "loss_type"})


def test_no_key_of_recbole_is_refused(
    make_config: MakeConfig, caplog: pytest.LogCaptureFixture
) -> None:
    """A file of settings may serve all models of a comparison."""
    read = set(make_config().final_config_dict) | {"seed"}
    others = {key: "text" for key in keys_of_recbole() if key not in read}
    assert len(others) > 100
    caplog.clear()
    make_config(**others)
    assert set(re.findall(r"the key '([\w-]+)' has no effect", caplog.text)) == set(others)


@pytest.mark.parametrize(
    "key", ["neg_sampling", "training_neg_sample_num", "eval_setting", "group_by_user", "my_key"]
)
def test_older_and_foreign_keys_are_warnings(
    make_config: MakeConfig, caplog: pytest.LogCaptureFixture, key: str
) -> None:
    make_config(**{key: 1})
    assert f"the key '{key}' has no effect" in caplog.text


def test_an_old_key_is_answered_with_the_new(
    make_config: MakeConfig, caplog: pytest.LogCaptureFixture
) -> None:
    make_config(neg_sampling={"uniform": 1})
    assert (
        "today it is written train_neg_sample_args: {distribution: uniform, sample_num: 1}"
        in caplog.text
    )


def misspelt(word: str) -> list[str]:
    """A word with one letter less, one letter twice, two letters swapped, capitals, and signs."""
    middle = len(word) // 2
    swapped = word[:middle] + word[middle + 1 : middle - 1 : -1] + word[middle + 2 :]
    return [
        word[:middle] + word[middle + 1 :],
        word[:middle] + word[middle] + word[middle:],
        swapped,
        word.upper(),
        word.replace("_", "-"),
    ]


@pytest.mark.slow
@pytest.mark.parametrize("key", [key for key in keys_of_ours() if len(key) > 8])
def test_misspelt_keys_of_ours_are_errors(make_config: MakeConfig, key: str) -> None:
    known = {*keys_of_ours(), *keys_of_recbole()}
    for wrong in set(misspelt(key)) - known:
        with pytest.raises(
            ConfigError, match=f"^{re.escape(wrong)}: unknown key; did you mean '"
        ) as caught:
            make_config(**{wrong: 1})
        assert "\n" not in str(caught.value)


def test_our_keys_are_warnings_elsewhere(
    make_config: MakeConfig, caplog: pytest.LogCaptureFixture
) -> None:
    make_config("LightGCN", item_modalities=["id"], temperature=0.5, preference_size=3)
    for key in ("item_modalities", "temperature", "preference_size"):
        assert f"the key '{key}' has no effect: LightGCN does not read it" in caplog.text


@pytest.mark.parametrize("model", ["SiBraR", "BPR"])
@pytest.mark.parametrize(
    ("keys", "line"),
    [
        (
            {"eval_args": {"splits": {"CS": [0.8, 0.1, 0.1]}}},
            "eval_args: splits: unknown key; did you mean 'split'?",
        ),
        (
            {"eval_args": {"group-by": "item"}},
            "eval_args: group-by: unknown key; did you mean 'group_by'?",
        ),
        (
            {"eval_args": {"split": {"cs": [0.8, 0.1, 0.1]}}},
            "eval_args: split: cs: unknown key; did you mean 'CS'?",
        ),
        (
            {"eval_args": {"mode": {"vaild": "full"}}},
            "eval_args: mode: vaild: unknown key; did you mean 'valid'?",
        ),
        (
            {"load_col": {"items": ["item_id"]}},
            "load_col: items: unknown key; did you mean 'item'?",
        ),
        (
            {"train_neg_sample_args": {"distribtion": "uniform"}},
            "train_neg_sample_args: distribtion: unknown key; did you mean 'distribution'?",
        ),
        (
            {"eval_group": {"gender": "user"}},
            "eval_group: unknown key; did you mean 'eval_groups'?",
        ),
    ],
)
def test_misspelt_keys_inside_dictionaries(
    make_config: MakeConfig, model: str, keys: dict[str, Any], line: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        make_config(model, **keys)
    assert str(caught.value) == line


@pytest.mark.parametrize("model", ["SiBraR", "BPR"])
def test_keys_that_stand_beside_are_said(
    make_config: MakeConfig, caplog: pytest.LogCaptureFixture, model: str
) -> None:
    make_config(model, eval_args={**EVALUATION, "metrics": ["NDCG"], "topk": 5, "nonsense": 1})
    for key in ("metrics", "topk"):
        assert (
            f"eval_args: the key '{key}' has no effect there; it stands beside eval_args"
            in caplog.text
        )
    assert (
        "eval_args: the key 'nonsense' has no effect; allowed are split, order, group_by, mode"
        in caplog.text
    )


def test_negatives_in_the_old_form(
    make_config: MakeConfig, caplog: pytest.LogCaptureFixture
) -> None:
    old, new = {"uniform": 5}, "write {distribution: uniform, sample_num: 5}"
    with pytest.raises(ConfigError, match=re.escape(new)):
        make_config("SiBraR", train_neg_sample_args=old)
    make_config("BPR", train_neg_sample_args=old)
    assert new in caplog.text


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"distribution": "uniform"}, ("uniform", 10)),
        ({"sample_num": 3}, ("uniform", 3)),
        ({"distribution": "popularity"}, ("popularity", 10)),
        ({}, ("uniform", 10)),
    ],
)
def test_negatives_keep_the_other_defaults(
    make_config: MakeConfig, given: dict[str, Any], expected: tuple[str, int]
) -> None:
    found = make_config(train_neg_sample_args=given)["train_neg_sample_args"]
    assert (found["distribution"], found["sample_num"]) == expected
    alone = make_config("BPR", train_neg_sample_args=dict(given))["train_neg_sample_args"]
    assert alone["sample_num"] == given.get("sample_num", 1)  # as RecBole completes it


TWO_RUNS = """
import recbole_sibrar
from recbole.quick_start import run_recbole

for seed in (1, 2):
    keys = {"data_path": "dataset", "seed": seed, "nonsense": seed, "show_progress": False, "state": "WARNING"}
    run_recbole("Pop", "tiny", config_dict=keys)
"""


@pytest.mark.slow
@pytest.mark.processes
def test_each_run_has_its_own_log(tiny_folder: Path) -> None:
    """RecBole lets all runs of a process write into the log file of the first."""
    folder = tiny_folder.parent
    done = subprocess.run(
        [sys.executable, "-c", TWO_RUNS], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("the key 'nonsense' has no effect") == 2
    logs = [log.read_text(encoding="utf-8") for log in (folder / "log" / "Pop").glob("*.log")]
    assert [log.count("the key 'nonsense' has no effect") for log in logs] == [1, 1]
