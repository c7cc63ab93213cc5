"""Trained models on data with new items, users, labels and extremes."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from recbole.quick_start import load_data_and_model
from recbole.trainer import Trainer
from recbole.utils import get_trainer
from recbole.utils.case_study import full_sort_topk

from recbole_sibrar.checkpoint_loading import load_checkpoint
from recbole_sibrar.errors import CheckpointError
from recbole_sibrar.studies.gap import study as gap
from recbole_sibrar.studies.missing import study as missing
from recbole_sibrar.studies.missing.options import read_plan

Build = Callable[..., tuple[Any, ...]]

NEW_ITEMS = [
    "new1\tc1\tt1 t5\t900\t9 9 9 9 9",
    "new2\tother\tt9\t-900\t",
    "twin\tc1\tt1\t0.5\t1 0 1 0 1",
    "bare\t\t\t\t",
]
NEW_USERS = ["newu\tother\tt9\t99\t1 2 3"]
LABELLED = {"load_col": None, "threshold": {"rating": 3}}
COLD = {"split": {"CS": [0.6, 0.2, 0.2]}, "group_by": "both", "mode": "full"}
IDS = {"user_modalities": ["id"], "item_modalities": ["id", "kind", "tags"], "contrastive": "none"}


def append(folder: Path, suffix: str, *rows: str) -> None:
    """Add rows at both ends, so that ids numbered in file order change."""
    file = folder / "tiny" / f"tiny.{suffix}"
    header, *lines = file.read_text().splitlines()
    file.write_text("\n".join([header, *rows[:1], *lines, *rows[1:]]) + "\n")


def train(make_model: Build, **keys: Any) -> str:
    """Train, and return the checkpoint."""
    config, model, train_data, valid_data, _ = make_model(**{"user_modalities": "auto", **keys})
    trainer = get_trainer(config["MODEL_TYPE"], config["model"])(config, model)
    trainer.fit(train_data, valid_data)
    return trainer.saved_model_file


def embeddings(file: str) -> tuple[dict[str, dict[str, np.ndarray]], Any, Any]:
    """For each side the embedding of each original id; the model, and the data set."""
    _, model, dataset, *_ = load_data_and_model(file)
    model.eval()
    found = {"user": model.encode_users(), "item": model.encode_items()}
    tokens = {side: dataset.field2id_token[f"{side}_id"] for side in found}
    named = {
        side: dict(zip(tokens[side], vectors.detach().numpy(), strict=True))
        for side, vectors in found.items()
    }
    return named, model, dataset


@pytest.mark.slow
@pytest.mark.parametrize(
    "keys",
    [
        {"normalize_all": True},
        {"model": "MuBraR"},
        {"model": "DropoutNet", "normalize_all": True},
        {"model": "CLCRec"},
        IDS,
        {"eval_args": COLD, "normalize_field": ["price", "text"]},
        {"numerical_features": ["price"], "discretization": {"price": {"method": "LD"}}},
    ],
    ids=lambda keys: "-".join([keys.get("model", "SiBraR"), *keys]),
)
def test_embeddings_of_training_stay(
    make_model: Build, tiny_folder: Path, caplog: pytest.LogCaptureFixture, keys: dict[str, Any]
) -> None:
    file = train(make_model, state="WARNING", **keys)
    before, *_ = embeddings(file)
    assert "not those" not in caplog.text

    append(tiny_folder, "item", *NEW_ITEMS)
    append(tiny_folder, "user", *NEW_USERS)
    after, *_ = embeddings(file)

    for side, known in before.items():
        for token, vector in known.items():
            np.testing.assert_allclose(after[side][token], vector, rtol=0, atol=1e-6)
    assert {*after["item"]} - {*before["item"]} == {"new1", "new2", "twin", "bare"}

    (said,) = {text for text in caplog.messages if "not those" in text}
    for part in (
        file,
        "1 new user (newu)",
        "4 new items (new1, new2, twin, ...)",
        "1 new label of 'kind' (other)",
        "1 new label of 'tags' (t9)",
    ):
        assert part in said


def test_new_item_encoded_from_content(make_model: Build, tiny_folder: Path) -> None:
    # as twin, but known, without interactions
    append(tiny_folder, "item", "old\tc1\tt1\t0.5\t1 0 1 0 1")
    file = train(
        make_model,
        normalize_all=True,
        item_modalities=["interactions", "id", "kind", "tags", "price", "text"],
    )
    append(tiny_folder, "item", *NEW_ITEMS)
    found, model, dataset = embeddings(file)
    np.testing.assert_allclose(found["item"]["twin"], found["item"]["old"], rtol=0, atol=1e-6)
    encoder = model.item_encoder
    row = dataset.field2token_id["item_id"]["new2"]
    there = dict(zip(encoder.modalities, encoder.availability[row].tolist(), strict=True))
    # labels that training had not are missing, and so is what only training gives
    assert there == {name: name == "price" for name in encoder.modalities}
    means = torch.from_numpy(np.stack([found["item"][f"i{n}"] for n in range(1, 41)])).mean(0)
    np.testing.assert_allclose(found["item"]["bare"], means.numpy(), rtol=0, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("model", ["SiBraR", "MuBraR", "DropoutNet", "CLCRec"])
def test_new_items_are_recommended(make_model: Build, tiny_folder: Path, model: str) -> None:
    file = train(make_model, model=model)
    append(tiny_folder, "item", *NEW_ITEMS)
    append(tiny_folder, "user", *NEW_USERS)
    config, network, dataset, _, _, test = load_data_and_model(file)
    result = Trainer(config, network).evaluate(test, load_best_model=False)
    assert all(np.isfinite(value) for value in result.values())
    scores, items = full_sort_topk(
        dataset.token2id("user_id", ["u1"]), network, test, dataset.item_num - 1
    )
    listed = {
        dataset.field2id_token["item_id"][i]
        for i, score in zip(items[0], scores[0], strict=True)
        if score > -1e9
    }
    assert {"new1", "new2", "twin", "bare"} <= listed


def test_new_interactions_are_another_split(
    make_model: Build, tiny_folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = train(make_model, state="WARNING", **IDS)
    before, *_ = embeddings(file)
    append(tiny_folder, "item", *NEW_ITEMS)
    append(tiny_folder, "inter", "u9\tnew1\t3\t5", "newu\tnew1\t3\t6", "newu\ti3\t3\t7")
    after, model, dataset = embeddings(file)
    assert all(
        np.allclose(after["item"][token], vector, atol=1e-6)
        for token, vector in before["item"].items()
    )
    (said,) = {text for text in caplog.messages if "not those" in text}
    assert "lines instead of" in said
    assert "the split is another one" in said
    new = dataset.field2token_id["user_id"]["newu"]
    assert not model.user_encoder.availability[new].any()


def test_changed_values_are_named(
    make_model: Build, tiny_folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = train(make_model, state="WARNING")
    path = tiny_folder / "tiny" / "tiny.item"
    path.write_text(path.read_text().replace("\t1.0\t", "\t1.25\t"))
    append(tiny_folder, "item", *NEW_ITEMS)
    embeddings(file)
    assert "other values of price in .item" in caplog.text


def test_a_model_can_be_trained_further(make_model: Build, tiny_folder: Path) -> None:
    file = train(make_model, **IDS)
    for generation in range(2):
        append(tiny_folder, "item", f"g{generation}\tk{generation}\tt1\t3\t")
        append(tiny_folder, "inter", f"u1\tg{generation}\t3\t5")
        config, model, _, train_data, valid_data, test_data = load_data_and_model(file)
        trainer = Trainer(config, model)
        trainer.saved_model_file = file = f"saved/{generation}.pth"
        trainer.fit(train_data, valid_data)
        assert trainer.evaluate(test_data)
    found, *_ = embeddings(file)
    assert {"g0", "g1"} <= {*found["item"]}


@pytest.mark.parametrize(
    ("model", "keys", "suffix", "row", "what"),
    [
        ("BPR", {}, "inter", "u1\tnew\t3\t5", r"1 new item \(new\)"),
        ("BPR", {}, "inter", "newu\ti1\t3\t5", r"1 new user \(newu\)"),
        ("Pop", {}, "inter", "u1\tnew\t3\t5", r"1 new item \(new\)"),
        ("ItemKNN", {}, "inter", "newu\tnew\t3\t5", r"1 new user \(newu\); 1 new item \(new\)"),
        (
            "FM",
            LABELLED,
            "item",
            NEW_ITEMS[1],
            r"1 new item \(new2\); 1 new label of 'kind' \(other\)",
        ),
    ],
)
def test_recboles_models_refuse_new_ids(
    make_model: Build,
    tiny_folder: Path,
    model: str,
    keys: dict[str, Any],
    suffix: str,
    row: str,
    what: str,
) -> None:
    file = train(make_model, model=model, **keys)
    append(tiny_folder, suffix, row)
    with pytest.raises(CheckpointError, match=what) as refused:
        load_data_and_model(file)
    assert str(refused.value).startswith(f"{file}: {model} cannot be used for")
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("model", ["BPR", "FM"])
def test_recboles_models_keep_their_numbers(
    make_model: Build, tiny_folder: Path, model: str
) -> None:
    keys = {"model": model, **LABELLED, "normalize_field": ["price", "text", "age"]}
    file = train(make_model, **keys)
    path = tiny_folder / "tiny" / "tiny.inter"
    header, *lines = path.read_text().splitlines()
    expected = scores_of(file)
    path.write_text("\n".join([header, *lines[::-1]]) + "\n")
    assert scores_of(file) == expected


def scores_of(file: str) -> dict[tuple[str, str], float]:
    """Original ids of some pairs -> score."""
    _, model, dataset, *_ = load_data_and_model(file)
    pairs = [(f"u{n}", f"i{n + 3}") for n in range(1, 9)]
    ids = {
        name: dataset.token2id(name, [pair[i] for pair in pairs])
        for i, name in enumerate(("user_id", "item_id"))
    }
    batch = dataset.join(dataset.inter_feat[torch.arange(8)])
    for name, values in ids.items():
        batch[name] = torch.from_numpy(values)
    scores = model.eval().predict(dataset.join(batch))
    return dict(zip(pairs, scores.tolist(), strict=True))


def test_misfit_without_a_record(make_model: Build, tiny_folder: Path) -> None:
    file = train(make_model, **IDS)
    content = load_checkpoint(file)
    del content["training_data"]
    torch.save(content, file)
    load_data_and_model(file)
    append(tiny_folder, "item", *NEW_ITEMS)
    with pytest.raises(
        CheckpointError, match="was trained with other data than there are now"
    ) as refused:
        load_data_and_model(file)
    assert "\n" not in str(refused.value)


def test_a_damaged_record_is_one_line(make_model: Build) -> None:
    file = train(make_model, model="BPR")
    content = load_checkpoint(file)
    torch.save({**content, "training_data": {"tokens": 3}}, file)
    with pytest.raises(CheckpointError, match="record of the training data is damaged"):
        load_data_and_model(file)


def test_foreign_saved_data_are_refused(make_model: Build, tiny_folder: Path) -> None:
    keys = {"model": "BPR", "checkpoint_dir": "saved"}
    file = train(make_model, **keys)
    path = tiny_folder / "tiny" / "tiny.inter"
    header, *lines = path.read_text().splitlines()
    path.write_text("\n".join([header, *lines[::-1]]) + "\n")
    make_model(**keys, save_dataset=True)
    with pytest.raises(CheckpointError, match="of a saved file is not that of the checkpoint"):
        load_data_and_model(file)


def test_the_commands_say_it(make_model: Build, tiny_folder: Path) -> None:
    file = train(make_model)
    append(tiny_folder, "item", *NEW_ITEMS)
    said: list[str] = []
    missing.run([file], read_plan("item", "text", "1", "1"), None, said.append)
    gap.run([file], gap.Options(), said.append)
    assert sum("4 new items (new1, new2, twin, ...)" in text for text in said) == 2


def test_the_record_is_small(make_model: Build) -> None:
    record = load_checkpoint(train(make_model))["training_data"]
    n_characters = sum(map(len, record["tokens"].values()))
    assert n_characters < len(pickle.dumps(record, protocol=4)) < n_characters + 2000
