"""Entities that files hold out: where negatives are drawn from, and what the parts know of the split."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from recbole.config import Config
from recbole.data import create_dataset, data_preparation
from recbole.utils import get_model, get_trainer, init_seed

import recbole_sibrar
from recbole_sibrar.config import ConfigError
from recbole_sibrar.data.atomic import DataError
from recbole_sibrar.data.held_out import Evaluated, negative_pool
from recbole_sibrar.evaluator.evaluation_state import evaluation_state

MakeConfig = Callable[..., Config]

PARTS = ["train", "valid", "test"]
BY_ITEM = {"split": {"CS": [0.6, 0.2, 0.2]}, "group_by": "item"}
BY_USER = {"split": {"CS": [0.6, 0.2, 0.2]}, "group_by": "user"}


def run(config: Config) -> tuple[Any, ...]:
    """Model and loaders after a training without validation."""
    init_seed(config["seed"], config["reproducibility"])
    loaders = data_preparation(config, create_dataset(config))
    init_seed(config["seed"], config["reproducibility"])
    model = get_model(config["model"])(config, loaders[0]._dataset)
    trainer = get_trainer(config["MODEL_TYPE"], config["model"])(config, model)
    trainer.fit(loaders[0], saved=False, show_progress=False)
    return model, trainer, *loaders


def parameters(model: Any) -> dict[str, list[Any]]:
    return {name: value.tolist() for name, value in model.state_dict().items()}


def items(loader: Any) -> set[int]:
    return set(loader._dataset.inter_feat["item_id"].tolist())


def negatives(loader: Any, n_epochs: int = 3) -> set[int]:
    """Every item that some epochs draw as a negative."""
    batches = [batch for _ in range(n_epochs) for batch in loader]
    return {item for batch in batches for item in batch["neg_item_id"].tolist()}


@pytest.fixture
def written(make_config: MakeConfig, tmp_path: Path) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """Write the parts of a split, and give the keys that read them, without those that made them."""

    def write(eval_args: dict[str, Any]) -> dict[str, Any]:
        folder = tmp_path / "parts"
        config = make_config("Pop", eval_args=eval_args, save_split=str(folder))
        data_preparation(config, create_dataset(config))
        return {"data_path": str(folder), "benchmark_filename": PARTS}

    return write


@pytest.mark.slow
@pytest.mark.parametrize("model", recbole_sibrar.MODELS)
@pytest.mark.parametrize("eval_args", [BY_ITEM, BY_USER], ids=["item", "user"])
def test_parts_alone_give_the_same_run(
    make_config: MakeConfig,
    written: Callable[..., dict[str, Any]],
    model: str,
    eval_args: dict[str, Any],
) -> None:
    """The same modalities, negatives, correction of the loss, parameters and results, those of popularity included."""
    settings = {
        "model": model,
        "metrics": ["NDCG", "ARP", "Coverage"],
        "valid_metric": "NDCG@10",
        "epochs": 1,
    }
    settings |= {"loss_type": "SSM", "eval_candidates": "split", "load_col": None}
    first, trainer, _, _, test = run(make_config(**settings, eval_args=eval_args))
    again, other, *_, test_again = run(make_config(**settings, **written(eval_args)))
    assert parameters(again) == parameters(first)
    results = [
        dict(x.evaluate(y, load_best_model=False))
        for x, y in ((trainer, test), (other, test_again))
    ]
    assert np.array_equal(list(results[0].values()), list(results[1].values()), equal_nan=True)
    assert np.isnan(results[1]["arp@10"]) == (eval_args is BY_ITEM)


@pytest.mark.parametrize(
    ("model", "choice", "from_training"),
    [
        ("SiBraR", None, True),
        ("SiBraR", "all", False),
        ("BPR", None, False),
        ("BPR", "train", True),
    ],
)
def test_who_draws_held_out_items(
    make_config: MakeConfig,
    written: Callable[..., dict[str, Any]],
    caplog: pytest.LogCaptureFixture,
    model: str,
    choice: str | None,
    from_training: bool,
) -> None:
    keys = {
        "model": model,
        "train_neg_candidates": choice,
        "train_batch_size": 20,
        **written(BY_ITEM),
    }
    caplog.clear()
    caplog.set_level(logging.INFO)
    config = make_config(**keys)
    train, *held_out = data_preparation(config, create_dataset(config))
    drawn = negatives(train)
    assert drawn <= items(train) if from_training else drawn & items(held_out[1])
    (line,) = [line for line in caplog.messages if line.startswith("train_neg_candidates")]
    n_new = len(items(held_out[0]) | items(held_out[1]))
    if from_training:
        assert f"from the {len(items(train))} items that it has interactions with" in line
        assert (f"files hold out {n_new} items; all draws from all 40" in line) == (choice is None)
    else:
        assert type(train._sampler).__module__ == "recbole.sampler.sampler"  # as without the plugin
        assert f"from all 40 items, also {n_new} evaluated items" in line


def test_the_softmax_counts_the_pool(
    make_config: MakeConfig, written: Callable[..., dict[str, Any]]
) -> None:
    keys = written(BY_ITEM)
    found = {}
    for choice in ("train", "all"):
        config = make_config(train_neg_candidates=choice, **keys)
        train, *_ = data_preparation(config, create_dataset(config))
        found[choice] = get_model("SiBraR")(config, train._dataset).n_negative_candidates
    assert found == {"train": len(items(train)), "all": 40}


def test_random_splits_draw_as_recbole(
    make_config: MakeConfig, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    config = make_config()
    train, *_ = data_preparation(config, create_dataset(config))
    assert type(train._sampler).__module__ == "recbole.sampler.sampler"
    assert train._dataset.n_negative_candidates == 40
    assert not [line for line in caplog.messages if line.startswith("train_neg_candidates")]
    config = make_config(train_neg_candidates="train")
    train, *_ = data_preparation(config, create_dataset(config))
    assert negatives(train) <= items(train)


def test_cold_start_can_draw_from_all(make_config: MakeConfig) -> None:
    config = make_config(eval_args=BY_ITEM, train_neg_candidates="all", train_batch_size=20)
    train, _, test = data_preparation(config, create_dataset(config))
    assert negatives(train) & items(test)


def test_a_wrong_value_is_refused(make_config: MakeConfig) -> None:
    with pytest.raises(
        ConfigError,
        match=r"^train_neg_candidates: found 'trian', allowed is one of train, all; did you",
    ):
        make_config(train_neg_candidates="trian")


def test_parts_know_whom_they_hold_out(
    make_config: MakeConfig, written: Callable[..., dict[str, Any]]
) -> None:
    config = make_config(**written(BY_USER))
    parts = create_dataset(config).build()
    users = [set(part.inter_feat["user_id"].tolist()) for part in parts]
    held = [set(part.inter_feat["item_id"].tolist()) for part in parts]
    assert parts[0].evaluated == {
        "user": (len(users[1] | users[2]), len(users[1] | users[2])),
        "item": (len(held[1] | held[2]), len((held[1] | held[2]) - held[0])),
    }
    assert parts[0].evaluated["user"].all_new
    assert not parts[0].evaluated["item"].all_new


def write_parts(folder: Path, parts: dict[str, list[tuple[str, str]]]) -> dict[str, Any]:
    """Files of pairs by hand, and the keys that read them."""
    folder.mkdir()
    for part, pairs in parts.items():
        lines = ["user_id:token\titem_id:token", *("\t".join(pair) for pair in pairs)]
        (folder / f"tiny.{part}.inter").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return {"data_path": str(folder), "benchmark_filename": list(parts)}


def test_a_user_with_every_item_is_served(
    make_config: MakeConfig, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """RecBole alone trains on such data; only who asks for items of training is told that it cannot be."""
    train = [("u1", "i1"), ("u1", "i2"), ("u2", "i1")]
    parts = {"train": train, "valid": [("u2", "i3")], "test": [("u1", "i4")]}
    settings = write_parts(tmp_path / "by_hand", parts) | {
        "load_col": {"inter": ["user_id", "item_id"]},
        "topk": 3,
    }
    config = make_config(**settings, contrastive="none")
    loader, *_ = data_preparation(config, create_dataset(config))
    tokens = loader._dataset.field2id_token["item_id"]
    assert {tokens[item] for item in negatives(loader, 20)} == {"i2", "i3", "i4"}
    assert any("train_neg_candidates: all, because user 'u1'" in line for line in caplog.messages)
    assert loader._dataset.n_negative_candidates == 4
    config = make_config(**settings, contrastive="none", train_neg_candidates="train")
    with pytest.raises(
        DataError,
        match=r"user 'u1' has interacted with all 2 items .*or use train_neg_candidates: all",
    ):
        data_preparation(config, create_dataset(config))


def test_popularity_of_new_and_mixed_items(make_config: MakeConfig, tmp_path: Path) -> None:
    """Where the test has known items too, a new one has no training users: popularity 0, not unknown."""
    train = [("u1", "i1"), ("u2", "i1"), ("u3", "i2"), ("u1", "i3")]
    mixed = {"train": train, "valid": [("u2", "i2")], "test": [("u3", "i4")]}
    settings = {"load_col": {"inter": ["user_id", "item_id"]}, "contrastive": "none", "topk": 3}
    for name, parts, popularity in (
        ("mixed", mixed, 0.0),
        ("new", {**mixed, "valid": [("u2", "i4")]}, np.nan),
    ):
        config = make_config(**write_parts(tmp_path / name, parts), **settings)
        *_, test = data_preparation(config, create_dataset(config))
        item = test._dataset.token2id("item_id", "i4")
        assert np.array_equal(
            evaluation_state(test).knowledge.popularity[item], popularity, equal_nan=True
        )


def test_repeatable_rows_exclude_their_item(make_config: MakeConfig) -> None:
    config = make_config("BPR", repeatable=True, train_neg_candidates="train")
    train, *_ = data_preparation(config, create_dataset(config))
    for _ in range(20):
        for batch in train:
            assert not bool((batch["neg_item_id"] == batch["item_id"]).any())
            assert set(batch["neg_item_id"].tolist()) <= items(train)


@pytest.mark.parametrize("choice", [None, "train", "all"])
@pytest.mark.parametrize("is_cold_start", [True, False])
@pytest.mark.parametrize("from_files", [True, False])
@pytest.mark.parametrize("is_ours", [True, False])
@pytest.mark.parametrize("new", [(0, 0), (0, 1), (1, 0)])
def test_the_pool_by_default(
    choice: Any, is_cold_start: bool, from_files: bool, is_ours: bool, new: tuple[int, int]
) -> None:
    evaluated: Any = {"user": Evaluated(5, new[0]), "item": Evaluated(5, new[1])}
    found = negative_pool(choice, is_cold_start, from_files, is_ours, evaluated)
    by_default = is_cold_start or all([from_files, is_ours, any(new)])
    assert found == (choice or ("train" if by_default else "all"))
