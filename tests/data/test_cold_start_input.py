"""Wrong input of a cold-start split: one line with the key, what was found and what is allowed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from recbole.config import Config
from recbole.data import create_dataset

from recbole_sibrar import cli
from recbole_sibrar.config import ConfigError
from recbole_sibrar.data.atomic import DataError

MakeConfig = Callable[..., Config]

RATIOS = [0.6, 0.2, 0.2]
COLD = {"split": {"CS": RATIOS}, "group_by": "item"}
READY_MADE = sorted(
    file.stem
    for file in Path(__file__, "../../../properties/quick_start_config").resolve().glob("*.yaml")
)


@pytest.mark.parametrize(
    ("eval_args", "pieces"),
    [
        (
            {"split": {"CS": [0.8, 0.1]}, "group_by": "item"},
            ["split: CS: found [0.8, 0.1]", "three shares above 0"],
        ),
        (
            {"split": {"CS": [0.8, 0.1, 0.2]}, "group_by": "item"},
            ["[0.8, 0.1, 0.2]", "sum to 1", "sum to 1.1"],
        ),
        ({"split": {"CS": [0.9, 0.1, 0]}, "group_by": "item"}, ["[0.9, 0.1, 0]", "above 0"]),
        (
            {"split": {"CS": [1.2, -0.1, -0.1]}, "group_by": "item"},
            ["[1.2, -0.1, -0.1]", "above 0"],
        ),
        (
            {"split": {"CS": "0.8,0.1,0.1"}, "group_by": "item"},
            ["found '0.8,0.1,0.1'", "such as [0.8, 0.1, 0.1]"],
        ),
        (
            {"split": {"CS": [0.8, "0.1", 0.1]}, "group_by": "item"},
            ["[0.8, '0.1', 0.1]", "such as [0.8, 0.1, 0.1]"],
        ),
        (
            {"split": {"CS": [float("nan"), 0.1, 0.1]}, "group_by": "item"},
            ["[nan, 0.1, 0.1]", "sum to 1"],
        ),
        (
            {"split": {"CS": RATIOS, "RS": RATIOS}, "group_by": "item"},
            ["eval_args: split: found", "one way to split"],
        ),
        ({"split": {"CS": RATIOS}}, ["group_by: found None", "one of item, user, both"]),
        (
            {"split": {"CS": RATIOS}, "group_by": "itme"},
            ["group_by: found 'itme'", "did you mean 'item'?"],
        ),
        (
            {"split": {"CS": RATIOS}, "group_by": "user", "order": "T0"},
            ["order: found 'T0'", "one of RO, TO"],
        ),
    ],
)
@pytest.mark.parametrize("model", ["SiBraR", "BPR"])
def test_a_wrong_split(
    make_config: MakeConfig, model: str, eval_args: dict[str, Any], pieces: list[str]
) -> None:
    with pytest.raises(ConfigError) as caught:
        make_config(model, eval_args=eval_args)
    text = str(caught.value)
    assert text.startswith("eval_args: ")
    assert "\n" not in text
    assert all(piece in text for piece in pieces), text


def test_misspelt_candidates(make_config: MakeConfig) -> None:
    with pytest.raises(
        ConfigError,
        match=r"^eval_candidates: found 'splitt', allowed is one of split, all; did you mean 'split'",
    ):
        make_config("BPR", eval_args=COLD, eval_candidates="splitt")


@pytest.mark.parametrize("model", ["SASRec", "FM", "KGAT", "CKE"])
def test_other_kind_of_model_is_named(make_config: MakeConfig, model: str) -> None:
    settings: dict[str, Any] = {"train_neg_sample_args": None} if model == "SASRec" else {}
    with pytest.raises(
        ConfigError, match=f"^eval_args: split: found 'CS', allowed is RS, LS or TS for {model}"
    ):
        make_config(model, eval_args=COLD, **settings)


def test_too_few_entities_for_the_ratios(make_config: MakeConfig) -> None:
    with pytest.raises(
        DataError,
        match=r"30 users cannot be divided by \[0.98, 0.01, 0.01\]: that leaves 29 for train, 1 for valid, 0 for test",
    ):
        create_dataset(
            make_config("BPR", eval_args={"split": {"CS": [0.98, 0.01, 0.01]}, "group_by": "user"})
        )


@pytest.mark.parametrize("value", ["", 5, ["a"]])
def test_a_folder_that_is_no_name(make_config: MakeConfig, value: Any) -> None:
    with pytest.raises(
        ConfigError, match=r"^save_split: found .*, allowed is the path of a folder$"
    ):
        make_config("BPR", save_split=value)


@pytest.mark.parametrize(
    ("arguments", "pieces"),
    [
        (
            ["--config_files=cold_start_itm"],
            [
                "config_files: found 'cold_start_itm', allowed are files and the ready-made "
                f"{', '.join(READY_MADE)}; did you mean 'cold_start_item'?",
            ],
        ),
        (
            ["--config_files=cold_start_item", "--save_split=file/x"],
            ["save_split: cannot write to file/x: Not a dir"],
        ),
    ],
)
def test_the_command_ends_in_one_line(
    tmp_path: Path,
    tiny_folder: Path,
    make_config: MakeConfig,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    pieces: list[str],
) -> None:
    make_config()
    (tmp_path / "file").write_text("")
    tiny = ["--model=Pop", "--dataset=tiny", f"--data_path={tiny_folder}", "--state=ERROR"]
    assert cli.run_recbole([*tiny, *arguments]) == cli.WRONG_INPUT
    (line,) = [text for text in capsys.readouterr().err.splitlines() if "error:" in text]
    assert all(piece in line for piece in pieces), line
