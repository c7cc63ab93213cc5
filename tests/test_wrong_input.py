"""Wrong input ends in one line with the key or file, the value found and the values allowed."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from recbole.trainer import Trainer

from recbole_sibrar.config import ConfigError

MakeModel = Callable[..., tuple[Any, ...]]
INTER = ["user_id", "item_id"]


def edit(folder: Path, old: str, new: str) -> Path:
    file = folder / "tiny" / "tiny.item"
    text = file.read_text(encoding="utf-8")
    assert old in text
    file.write_text(text.replace(old, new, 1), encoding="utf-8")
    return file


def message(make_model: MakeModel, **settings: Any) -> str:
    with pytest.raises(ValueError, match=r"\S") as caught:
        make_model(**settings)
    text = str(caught.value)
    assert "\n" not in text
    return text


@pytest.mark.parametrize(
    ("metric", "piece"), [("NDGC@10", "NDCG@10"), ("NDCG@20", "topk, which is [10]")]
)
def test_valid_metric_has_to_be_measured(make_model: MakeModel, metric: str, piece: str) -> None:
    config, model, train, valid, _ = make_model(valid_metric=metric)
    trainer = Trainer(config, model)
    with pytest.raises(ConfigError, match="valid_metric") as caught:
        trainer.fit(train, valid, saved=False)
    assert piece in str(caught.value)
    assert f"'{metric}'" in str(caught.value)
    trainer.fit(train, saved=False)


@pytest.mark.parametrize(
    ("settings", "pieces"),
    [
        (
            {"item_modalities": ["interactions", "txt"]},
            [
                "item_modalities",
                "'txt'",
                "interactions, kind, tags, price, text, id",
                "did you mean 'text'?",
            ],
        ),
        (
            {"item_modalities": ["text", "kind", "text"]},
            ["item_modalities", "each modality once", "'text'"],
        ),
        (
            {"contrastive": "central", "central_modality": "cover"},
            ["central_modality (item side)", "'cover'", "interactions, kind, tags, price, text"],
        ),
        (
            {"item_modalities": ["text"], "contrastive": "pairwise"},
            ["contrastive", "'pairwise'", "item_modalities [text]", "at least two"],
        ),
        (
            {"user_contrastive": "pairwise"},
            ["user_contrastive", "user_modalities [interactions]", "at least two"],
        ),
        ({"temperature": -0.5}, ["temperature", "-0.5", "a number above 0"]),
        (
            {"contrastive_wieght": 0.1},
            ["contrastive_wieght", "unknown key", "did you mean 'contrastive_weight'?"],
        ),
        (
            {"load_col": {"inter": INTER, "item": ["item_id", "colour"]}},
            ["load_col", "tiny.item", "'colour'", "kind, price, tags, text"],
        ),
        ({"load_col": {"item": ["item_id"]}}, ["load_col", "'inter'"]),
        ({"load_col": {"inter": INTER, "item": "kind"}}, ["load_col", "'kind'"]),
        ({"load_col": {"inter": INTER, "item": ["kind"]}}, ["load_col", "tiny.item", "item_id"]),
        ({"unload_col": {"item": ["item_id"]}}, ["unload_col", "tiny.item", "item_id"]),
        (
            {"unload_col": {"user": ["agee"]}},
            ["unload_col", "tiny.user", "'agee'", "age, gender, likes, profile"],
        ),
    ],
)
def test_wrong_keys(make_model: MakeModel, settings: dict[str, Any], pieces: list[str]) -> None:
    text = message(make_model, **settings)
    assert all(piece in text for piece in pieces), text


@pytest.mark.parametrize(
    "settings",
    [
        {"item_modalities": ["interactions", "text"]},
        {"item_modalities": "auto", "contrastive": "pairwise"},
        {"load_col": {"inter": INTER, "item": ["item_id", "text"]}},
    ],
)
def test_a_missing_item_file(
    make_model: MakeModel, tiny_folder: Path, settings: dict[str, Any]
) -> None:
    file = tiny_folder / "tiny" / "tiny.item"
    file.unlink()
    text = message(make_model, **settings)
    assert f"the file {file} does not exist" in text
    assert any(key in text for key in ("item_modalities", "load_col"))


def test_interactions_alone_can_be_trained(make_model: MakeModel, tiny_folder: Path) -> None:
    (tiny_folder / "tiny" / "tiny.item").unlink()
    _, model, *_ = make_model(contrastive="none")
    assert model.item_encoder.modalities == ("interactions",)


def vector_of(folder: Path, item: str) -> str:
    lines = (folder / "tiny" / "tiny.item").read_text(encoding="utf-8").splitlines()
    return next(line for line in lines if line.startswith(f"{item}\t")).split("\t")[-1]


def test_ragged_vectors(make_model: MakeModel, tiny_folder: Path) -> None:
    vector = vector_of(tiny_folder, "i6")
    file = edit(tiny_folder, vector, vector.rsplit(" ", 1)[0])
    text = message(make_model)
    assert (
        f"{file}, line 7, field 'text' (float_seq): found 4 numbers, but the vectors before it have 5"
        in text
    )


def test_text_among_the_numbers_of_a_vector(make_model: MakeModel, tiny_folder: Path) -> None:
    vector = vector_of(tiny_folder, "i5")
    file = edit(tiny_folder, vector, vector.rsplit(" ", 1)[0] + " many")
    assert f"{file}, line 6, field 'text' (float_seq): 'many' is not a number" in message(
        make_model
    )


def test_text_instead_of_a_number(make_model: MakeModel, tiny_folder: Path) -> None:
    file = edit(tiny_folder, "\t2.5\t", "\tcheap\t")  # the price of item 5
    assert f"{file}, line 6, field 'price' (float): 'cheap' is not a finite number" in message(
        make_model
    )


def test_an_unknown_type(make_model: MakeModel, tiny_folder: Path) -> None:
    file = edit(tiny_folder, "text:float_seq", "text:vector")
    assert f"{file}, line 1: column 'text:vector' is not 'field:type'" in message(make_model)


@pytest.mark.slow
@pytest.mark.parametrize("case", ["unknown modality", "negative temperature", "ragged vectors"])
def test_the_command_ends_in_one_line(tiny_folder: Path, tmp_path: Path, case: str) -> None:
    argument, pieces = {
        "unknown modality": (
            "--item_modalities=[interactions,txt]",
            ["item_modalities", "'txt'", "did you mean 'text'?"],
        ),
        "negative temperature": ("--temperature=-1", ["temperature", "-1", "a number above 0"]),
        "ragged vectors": ("--epochs=1", ["tiny.item, line 7", "'text'", "found 4 numbers"]),
    }[case]

    if case == "ragged vectors":
        vector = vector_of(tiny_folder, "i6")
        edit(tiny_folder, vector, vector.rsplit(" ", 1)[0])

    command = [
        Path(sys.executable).with_name("run_recbole"),
        "--model=SiBraR",
        "--dataset=tiny",
        "--state=ERROR",
    ]
    command += [f"--data_path={tiny_folder}", argument]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)

    errors = [line for line in run.stderr.splitlines() if "error:" in line]
    assert run.returncode == 2, run.stderr
    assert len(errors) == 1
    assert errors[0].startswith("run_recbole: error: ")
    assert "Traceback" not in run.stderr + run.stdout
    assert all(piece in errors[0] for piece in pieces), errors[0]
