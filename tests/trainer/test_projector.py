from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from google.protobuf import text_format
from recbole.quick_start import load_data_and_model
from recbole.trainer import Trainer
from tensorboard.plugins.projector.projector_config_pb2 import ProjectorConfig

from recbole_sibrar.trainer.projector import projector_points
from recbole_sibrar.trainer.training_state import training_state

Build = Callable[..., tuple[Any, ...]]
FIELDS = {"kind": 7, "tags": 5, "price": 6, "text": 4}
"""Of item n the field is missing where n is divisible by the number."""


def fit(make_model: Build, saved: bool = True, **settings: Any) -> Trainer:
    """Train so that the first of several epochs is the best."""
    config, model, train, valid, _ = make_model(
        tensorboard="embeddings", stopping_step=100, **settings
    )
    trainer = Trainer(config, model)
    trainer.saved_model_file = "model.pth"
    validate = trainer._valid_epoch

    def ever_worse(*args: Any, **kwargs: Any) -> Any:
        _, result = validate(*args, **kwargs)
        return -max(trainer.train_loss_dict), result

    trainer._valid_epoch = ever_worse
    trainer.fit(train, valid, saved=saved)
    return trainer


def shown(trainer: Trainer) -> dict[str, tuple[list[list[str]], np.ndarray]]:
    """The lines of labels, header first, and the points of each tab of the Projector."""
    folder = Path(trainer.tensorboard.log_dir)
    config = text_format.Parse((folder / "projector_config.pbtxt").read_text(), ProjectorConfig())
    tabs = {}
    for tab in config.embeddings:
        labels = [
            line.split("\t") for line in (folder / tab.metadata_path).read_text().splitlines()
        ]
        tabs[tab.tensor_name.split(":")[0]] = (
            labels,
            np.loadtxt(folder / tab.tensor_path, delimiter="\t", ndmin=2),
        )
    return tabs


def test_points_of_every_item(make_model: Build, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        tabs = shown(fit(make_model, epochs=1))
    assert any("'Color by' modality" in message for message in caplog.messages)
    (header, *lines), points = tabs["items"]
    assert set(tabs) == {"users", "items"}
    assert header == ["item_id", "modality"]
    assert len(lines) == len(points) == len({tuple(line) for line in lines})
    for field, divisor in FIELDS.items():
        assert {item for item, label in lines if label == field} == {
            f"i{n}" for n in range(1, 40) if n % divisor
        }
    assert {item for item, label in lines if label == "fused"} == {f"i{n}" for n in range(1, 41)}
    assert {label for _, label in lines} == {"fused", "interactions", *FIELDS}
    assert {tuple(line) for line in tabs["users"][0][1:]} >= {
        (f"u{n}", "fused") for n in range(1, 31)
    }


@pytest.mark.slow
@pytest.mark.parametrize("model", ["SiBraR", "MuBraR", "DropoutNet"])
def test_points_of_the_tested_checkpoint(make_model: Build, model: str) -> None:
    trainer = fit(
        make_model,
        model=model,
        epochs=3,
        learning_rate=0.05,
        user_modalities="auto",
        item_modalities="auto",
    )
    _, best, dataset, *_ = load_data_and_model("model.pth")
    best.eval()
    last = trainer.model.encode_items().detach()
    assert not np.allclose(best.encode_items().numpy(), last.numpy(), atol=1e-3)
    for tab, field, encode in (
        ("items", "item_id", best.encode_items),
        ("users", "user_id", best.encode_users),
    ):
        (_, *lines), points = shown(trainer)[tab]
        for label in {label for _, label in lines}:
            rows = [row for row, line in enumerate(lines) if line[1] == label]
            embeddings = encode(modalities=None if label == "fused" else [label])
            wanted = embeddings[dataset.token2id(field, np.array([lines[row][0] for row in rows]))]
            assert points[rows] == pytest.approx(wanted.numpy(), abs=1e-5)


def test_points_without_checkpoints(make_model: Build) -> None:
    trainer = fit(make_model, saved=False, epochs=2)
    (_, *lines), points = shown(trainer)["items"]
    rows = [row for row, line in enumerate(lines) if line[1] == "fused"]
    ids = training_state(trainer).loader.dataset.token2id(
        "item_id", np.array([lines[row][0] for row in rows])
    )
    trainer.model.eval()
    assert points[rows] == pytest.approx(trainer.model.encode_items()[ids].numpy(), abs=1e-5)


def test_points_of_a_resumed_run(make_model: Build) -> None:
    first = shown(fit(make_model, epochs=1, learning_rate=0.05))["items"]
    trainer = fit(make_model, epochs=3, learning_rate=0.05, resume="model.pth")
    again = shown(trainer)["items"]
    assert again[0] == first[0]
    assert again[1] == pytest.approx(first[1], abs=1e-6)


def test_points_of_clcrec(make_model: Build) -> None:
    eval_args = {
        "split": {"CS": [0.8, 0.1, 0.1]},
        "group_by": "item",
        "order": "RO",
        "mode": "full",
    }
    trainer = fit(make_model, model="CLCRec", epochs=1, user_modalities=["id"], eval_args=eval_args)
    (_, *lines), _ = shown(trainer)["items"]
    dataset = training_state(trainer).loader.dataset
    trained = set(dataset.id2token("item_id", dataset.inter_feat["item_id"].numpy()))
    content = {item for item, label in lines if label != "fused"}
    assert content
    assert not content & trained


def test_sample_has_whole_entities(make_model: Build) -> None:
    _, model, *_ = make_model()
    model.eval()
    everything, _, _ = projector_points(model, "item", seed=1)
    whole = np.bincount(everything.numpy())
    entities, labels, points = projector_points(model, "item", seed=1, limit=60)
    found = np.bincount(entities.numpy(), minlength=len(whole))
    assert 50 < len(entities) == len(labels) == len(points) <= 60
    assert all(n in (0, whole[item]) for item, n in enumerate(found))
    assert projector_points(model, "item", seed=1, limit=60)[0].tolist() == entities.tolist()
    assert set(projector_points(model, "item", seed=2, limit=60)[0].tolist()) != set(
        entities.tolist()
    )


def test_a_model_without_modalities_says_so(
    make_model: Build, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        trainer = fit(make_model, model="BPR", epochs=1)
    assert "tensorboard: BPR encodes no modalities, so there are no embeddings" in caplog.messages
    assert not (Path(trainer.tensorboard.log_dir) / "projector_config.pbtxt").exists()
