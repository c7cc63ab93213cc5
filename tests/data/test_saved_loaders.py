"""Loaders that are saved, and used again where they are those that a run would make."""

from __future__ import annotations

import pickle
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from recbole.quick_start import load_data_and_model, run_recbole

from recbole_sibrar.data.atomic import DataError

Build = Callable[..., tuple[Any, ...]]
COLD = {"split": {"CS": [0.6, 0.2, 0.2]}, "group_by": "item", "mode": "full"}
SAMPLED = {"split": {"RS": [0.6, 0.2, 0.2]}, "group_by": "user", "mode": "uni5"}
TINY = {"hidden_size": 4, "inner_size": 4, "n_layers": 1, "MAX_ITEM_LIST_LENGTH": 5, "epochs": 1}
PLAIN: dict[str, Any] = {
    "epochs": 2,
    "show_progress": False,
    "state": "ERROR",
    "train_batch_size": 256,
}


@pytest.fixture
def folder(tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with ``dataset/tiny``, of whose items most have an entity of a small knowledge graph."""
    monkeypatch.setattr(sys, "argv", ["test"])
    monkeypatch.chdir(tmp_path)
    triples = [f"e{n}\tr{n % 2}\te{n * 7 % 40 + 1}" for n in range(1, 41)]
    links = [f"i{n}\te{n}" for n in range(1, 36)]
    name = tiny_folder / "tiny" / "tiny"
    Path(f"{name}.kg").write_text(
        "\n".join(["head_id:token\trelation_id:token\ttail_id:token", *triples]) + "\n"
    )
    Path(f"{name}.link").write_text("\n".join(["item_id:token\tentity_id:token", *links]) + "\n")
    return tmp_path


def run(model: str, **keys: Any) -> Any:
    return run_recbole(model, "tiny", config_dict={**PLAIN, **keys})["test_result"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "keys"),
    [
        ("BPR", {}),
        ("BPR", {"eval_args": SAMPLED}),
        ("BPR", {"worker": 1}),
        ("SiBraR", {"eval_args": COLD}),
        ("SiBraR", {"eval_args": {**SAMPLED, "split": COLD["split"], "group_by": "both"}}),
        ("SiBraR", {"worker": 2, "eval_candidates": "split", "save_dataset": True}),
        ("CKE", {}),
        (
            "BERT4Rec",
            {
                **TINY,
                "train_neg_sample_args": None,
                "load_col": {"inter": ["user_id", "item_id", "timestamp"]},
            },
        ),
    ],
)
def test_saving_changes_no_number(folder: Path, model: str, keys: dict[str, Any]) -> None:
    expected = run(model, checkpoint_dir="without", **keys)
    assert run(model, checkpoint_dir="saved", save_dataloaders=True, **keys) == expected
    assert run(model, checkpoint_dir="saved", save_dataloaders=True, **keys) == expected
    assert (
        run(model, checkpoint_dir="other", dataloaders_save_path=str(saved_file(model)), **keys)
        == expected
    )


def saved_file(model: str) -> Path:
    return Path("saved") / f"tiny-for-{model}-dataloader.pth"


@pytest.mark.slow
@pytest.mark.parametrize("model", ["SiBraR", "CKE"])
def test_saved_loaders_are_used_again(
    folder: Path, caplog: pytest.LogCaptureFixture, model: str
) -> None:
    caplog.set_level("INFO")
    run(model, checkpoint_dir="saved", save_dataloaders=True, state="INFO")
    assert "Load split dataloaders" not in caplog.text
    run(
        model,
        checkpoint_dir="saved",
        learning_rate=0.5,
        epochs=1,
        topk=[3],
        valid_metric="MRR@3",
        state="INFO",
    )
    assert "Load split dataloaders" in caplog.text


def test_read_loaders_have_new_keys(make_model: Build) -> None:
    _, _, *saved = make_model(checkpoint_dir="saved", save_dataloaders=True)
    assert all(loader.generator is not None for loader in saved)
    config, _, *read = make_model(checkpoint_dir="saved", learning_rate=0.5)
    assert all(loader.config is config for loader in read)
    assert [loader.generator.initial_seed() for loader in read] == [
        loader.generator.initial_seed() for loader in saved
    ]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"train_batch_size": 128}, "train_batch_size: 512 there, 128 here"),
        ({"eval_batch_size": 999}, "eval_batch_size: 4000000 there, 999 here"),
        (
            {"train_neg_sample_args": {"distribution": "uniform", "sample_num": 3}},
            "train_neg_sample_args",
        ),
        ({"eval_candidates": "split"}, "eval_args"),
        ({"eval_args": SAMPLED}, "eval_args"),
        ({"worker": 1}, "worker: 0 there, 1 here"),
        ({"seed": 3}, "seed: 2020 there, 3 here"),
        ({"normalize_all": True}, "normalize_all"),
        ({"numerical_features": ["price"]}, "numerical_features"),
        ({"model": "MuBraR"}, "model: SiBraR there, MuBraR here"),
    ],
)
def test_loaders_of_others_are_not_used(
    make_model: Build, caplog: pytest.LogCaptureFixture, changed: dict[str, Any], message: str
) -> None:
    make_model(checkpoint_dir="saved", save_dataloaders=True)
    asked = {"dataloaders_save_path": str(saved_file("SiBraR")), "state": "WARNING"}
    config, _, train, *_ = make_model(**asked, **changed)
    (said,) = [text for text in caplog.messages if "made anew" in text]
    assert message in said
    assert "\n" not in said
    own = make_model(checkpoint_dir="none", **changed)[2]
    assert (len(train), train.num_workers) == (len(own), own.num_workers)
    assert config["train_batch_size"] == changed.get("train_batch_size", 512)


def test_loaders_of_other_data_are_not_used(
    make_model: Build, tiny_folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    make_model(model="BPR", checkpoint_dir="saved", save_dataloaders=True)
    with (tiny_folder / "tiny" / "tiny.inter").open("a") as file:
        file.write("u1\tnew\t3\t5\n")
    caplog.set_level("INFO")
    train = make_model(model="BPR", checkpoint_dir="saved", state="INFO")[2]
    assert "new" in train._dataset.field2id_token["item_id"]
    assert "made anew" in caplog.text
    assert "1 new item (new)" in caplog.text


@pytest.mark.parametrize(
    ("content", "reason"), [(b"no pickle", "cannot be read"), (None, "there is no such file")]
)
def test_a_file_without_loaders_is_said(
    make_model: Build,
    caplog: pytest.LogCaptureFixture,
    tmp_path: Path,
    content: bytes | None,
    reason: str,
) -> None:
    file = tmp_path / "loaders.pth"
    if content is not None:
        file.write_bytes(content)
    train = make_model(dataloaders_save_path=str(file), state="WARNING")[2]
    assert len(train._dataset)
    assert any(str(file) in text and reason in text for text in caplog.messages)


def test_a_folder_that_is_full_is_one_line(
    make_model: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pickle, "dump", fail)
    with pytest.raises(
        DataError, match=r"save_dataloaders: cannot write saved/.*: No space left on device"
    ):
        make_model(checkpoint_dir="saved", save_dataloaders=True)
    assert not list(Path("saved").glob("*"))


@pytest.mark.slow
def test_a_loaded_checkpoint_writes_nothing(folder: Path) -> None:
    run("BPR", checkpoint_dir="saved", save_dataloaders=True, save_dataset=True)
    (checkpoint,) = Path("saved").glob("BPR-*.pth")
    for file in Path("saved").glob("tiny-*"):
        file.unlink()
    load_data_and_model(str(checkpoint))
    assert list(Path("saved").glob("tiny-*")) == []
