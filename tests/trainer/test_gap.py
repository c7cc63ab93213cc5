from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from recbole.trainer import Trainer

from recbole_sibrar.config import ConfigError
from recbole_sibrar.data.atomic import DataError
from recbole_sibrar.evaluator.embeddings import modality_embeddings
from recbole_sibrar.studies.gap.measures import measure_gap

Build = Callable[..., tuple[Any, ...]]
FEW = {
    "item_modalities": ["interactions", "text"],
    "user_modalities": ["id"],
    "save_gap": "gap.csv",
    "stopping_step": 99,
}


def fit(make_model: Build, stop_after: int | None = None, **settings: Any) -> Trainer:
    """Train, until an epoch in which Ctrl-C is pressed."""
    config, model, train, valid, _ = make_model(**{**FEW, **settings})
    trainer = Trainer(config, model)
    trainer.saved_model_file = "model.pth"

    def press(epoch: int, score: float) -> None:
        if epoch == stop_after:
            raise KeyboardInterrupt

    try:
        trainer.fit(train, valid, callback_fn=press)
    except KeyboardInterrupt:
        assert stop_after is not None
    return trainer


@pytest.mark.slow
def test_series_covers_the_training(make_model: Build) -> None:
    untrained = make_model(**FEW)[1]
    fit(make_model, epochs=5, gap_every=2, eval_step=5)
    rows = pd.read_csv("gap.csv", float_precision="round_trip")
    assert rows["epochs"].drop_duplicates().tolist() == [0, 2, 4]
    assert set(rows["side"]) == {"item"}
    trained = fit(make_model, epochs=4, gap_every=4, eval_step=4).model
    rows = pd.read_csv("gap.csv", float_precision="round_trip")
    for epochs, model in ((0, untrained), (4, trained)):
        found = modality_embeddings(model)
        expected = measure_gap(found.embeddings, found.available, found.names)["value"].tolist()
        assert rows.loc[rows["epochs"] == epochs, "value"].tolist() == expected


@pytest.mark.slow
def test_measuring_leaves_training_unchanged(make_model: Build) -> None:
    with_gap, without = (
        fit(make_model, epochs=3, gap_every=every, dropout_prob=0.3).model.state_dict()
        for every in (1, None)
    )
    assert all(torch.equal(with_gap[name], without[name]) for name in without)


@pytest.mark.slow
def test_a_resumed_run_continues_the_file(make_model: Build) -> None:
    fit(make_model, epochs=4, gap_every=1)
    expected = Path("gap.csv").read_bytes()
    Path("gap.csv").unlink()
    fit(make_model, 1, epochs=4, gap_every=1)
    assert pd.read_csv("gap.csv")["epochs"].max() == 2
    fit(make_model, epochs=4, gap_every=1, resume="model.pth")
    assert Path("gap.csv").read_bytes() == expected


def test_default_file_is_beside_checkpoint(make_model: Build) -> None:
    fit(make_model, epochs=1, gap_every=1, save_gap=None)
    assert set(pd.read_csv("model-gap.csv")["epochs"]) == {0, 1}


def test_both_sides_are_measured(make_model: Build) -> None:
    fit(make_model, epochs=1, gap_every=1, user_modalities=["interactions", "profile"])
    rows = pd.read_csv("gap.csv")
    assert rows.groupby("side")["first"].first().to_dict() == {
        "item": "interactions",
        "user": "interactions",
    }


def test_no_key_or_no_modalities(make_model: Build) -> None:
    fit(make_model, epochs=1)
    negatives = {"distribution": "uniform", "sample_num": 1}
    fit(make_model, model="BPR", epochs=1, gap_every=1, train_neg_sample_args=negatives)
    assert not Path("gap.csv").exists()


@pytest.mark.parametrize(
    ("key", "value"), [("gap_every", 0), ("gap_every", "often"), ("save_gap", "gap.txt")]
)
def test_wrong_values_fail_early(make_model: Build, key: str, value: Any) -> None:
    with pytest.raises(ConfigError, match=f"^{key}: found {value!r}, allowed is "):
        make_model(**{**FEW, key: value})


def test_unwritable_file_is_one_line(make_model: Build) -> None:
    Path("file").write_text("")
    with pytest.raises(DataError, match=r"^save_gap: cannot write file/gap\.csv: "):
        fit(make_model, epochs=1, gap_every=1, save_gap="file/gap.csv")
