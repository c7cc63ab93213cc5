"""What an evaluation needs of the data: enough items, and labels where they are compared with."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from recbole.utils import get_trainer

from recbole_sibrar.config import ConfigError
from recbole_sibrar.data.atomic import DataError

Build = Callable[..., tuple[Any, ...]]
N_ITEMS = 40
COLUMNS = {"inter": ["user_id", "item_id", "timestamp"]}
SEQUENTIAL = {
    "load_col": COLUMNS,
    "train_neg_sample_args": None,
    "eval_args": {
        "split": {"LS": "valid_and_test"},
        "group_by": "user",
        "order": "TO",
        "mode": "full",
    },
}
EVALUATIONS: list[tuple[str, dict[str, Any]]] = [
    ("SiBraR", {}),
    ("BPR", {}),
    ("DMF", {}),
    ("BPR", {"eval_args": {"split": {"CS": [0.8, 0.1, 0.1]}, "group_by": "item"}}),
    ("BPR", {"eval_args": {"split": {"RS": [0.8, 0.1, 0.1]}, "group_by": "user", "mode": "uni5"}}),
    ("SASRec", SEQUENTIAL),
]


@pytest.mark.parametrize(("model", "settings"), EVALUATIONS)
def test_lists_longer_than_the_items(
    make_model: Build, model: str, settings: dict[str, Any]
) -> None:
    with pytest.raises(
        ConfigError,
        match=rf"^topk: found \[5, 41\], allowed is a cut-off of at most {N_ITEMS}, [^\n]*$",
    ):
        make_model(model=model, topk=[5, 41], valid_metric="MRR@5", **settings)


@pytest.mark.parametrize(("model", "settings"), EVALUATIONS)
def test_lists_of_all_items(make_model: Build, model: str, settings: dict[str, Any]) -> None:
    built = make_model(model=model, topk=N_ITEMS, valid_metric=f"Recall@{N_ITEMS}", **settings)
    config, network, *_, test = built
    result = get_trainer(config["MODEL_TYPE"], model)(config, network).evaluate(
        test, load_best_model=False
    )
    assert result[f"recall@{N_ITEMS}"] == 1


def test_a_loader_made_by_hand_is_checked(make_model: Build) -> None:
    config, network, *_, test = make_model(model="BPR")
    config.final_config_dict["topk"] = [99]
    trainer = get_trainer(config["MODEL_TYPE"], "BPR")(config, network)
    loader = type(test)(config, test._dataset, test._sampler, shuffle=False)
    with pytest.raises(
        ConfigError, match=r"^topk: found \[99\], allowed is a cut-off of at most 40"
    ):
        trainer.evaluate(loader, load_best_model=False)


def test_cut_offs_do_not_matter_for_labels(make_model: Build) -> None:
    mode = {"split": {"RS": [0.8, 0.1, 0.1]}, "group_by": "user", "order": "RO", "mode": "uni5"}
    make_model(model="BPR", metrics=["AUC"], valid_metric="AUC", topk=[1000], eval_args=mode)


@pytest.mark.parametrize(
    ("model", "keys", "said"),
    [
        (
            "FM",
            {},
            r"FM learns from labels.*no field 'label'; set threshold.*train_neg_sample_args",
        ),
        (
            "BPR",
            {"metrics": ["AUC"]},
            r"AUC compare.*no field 'label'; set threshold.*eval_args: mode",
        ),
        (
            "SiBraR",
            {"metrics": ["AUC", "MAE"]},
            r"AUC, MAE compare.*no field 'label'; set threshold",
        ),
    ],
)
def test_missing_labels_are_missed_early(
    make_model: Build, model: str, keys: dict[str, Any], said: str
) -> None:
    evaluated = {
        "split": {"RS": [0.8, 0.1, 0.1]},
        "group_by": "user",
        "order": "RO",
        "mode": "labeled",
    }
    config, network, train, valid, test = make_model(
        model=model, valid_metric="AUC", eval_args=evaluated, **keys
    )
    before = {name: value.clone() for name, value in network.state_dict().items()}
    trainer = get_trainer(config["MODEL_TYPE"], model)(config, network)
    with pytest.raises(ConfigError, match=rf"^threshold: found None, but {said}[^\n]*$"):
        trainer.fit(train, valid, saved=False, show_progress=False)
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    with pytest.raises(ConfigError, match=r"^threshold: found None, but AUC[^\n]*$"):
        trainer.evaluate(test, load_best_model=False)


def test_training_alone_needs_no_labels(make_model: Build) -> None:
    keys = {"train_neg_sample_args": {"distribution": "uniform", "sample_num": 1}, "epochs": 1}
    # whose evaluation is labelled by default
    config, network, train, *_ = make_model(model="FM", **keys)
    trainer = get_trainer(config["MODEL_TYPE"], "FM")(config, network)
    trainer.fit(train, saved=False, show_progress=False)
    assert trainer.train_loss_dict[0] > 0


def test_labels_come_from_threshold(make_model: Build) -> None:
    columns = {"inter": ["user_id", "item_id", "rating"]}
    config, _, train, valid, test = make_model(
        model="FM", threshold={"rating": 3}, load_col=columns
    )
    lines = Path(config["data_path"], "tiny.inter").read_text().splitlines()[1:]
    rows = [line.split("\t") for line in lines]
    labels = sum(float(part._dataset.inter_feat["label"].sum()) for part in (train, valid, test))
    assert labels == sum(float(row[2]) >= 3 for row in rows)
    assert "rating" not in train._dataset.inter_feat.columns


@pytest.mark.parametrize(
    ("threshold", "error", "said"),
    [
        ({"user_id": 3}, DataError, "found 'user_id', .*: rating, timestamp"),
        ({"rating": "x"}, ConfigError, "one field and its least positive value"),
        ({"rating": 3, "timestamp": 1}, ConfigError, "one field and its least positive value"),
    ],
)
def test_a_wrong_threshold_is_one_line(
    make_model: Build, threshold: Any, error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=rf"^threshold: .*{said}[^\n]*$"):
        make_model(model="FM", threshold=threshold)
