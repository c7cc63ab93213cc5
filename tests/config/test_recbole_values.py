"""Values with which RecBole would fail: one line before anything is read; what RecBole can work with stays."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from recbole.config import Config
from recbole.data import create_dataset

from recbole_sibrar.config import ConfigError

MakeConfig = Callable[..., Config]

SHARES = "three shares of training, validation and test"


@pytest.mark.slow
@pytest.mark.parametrize("model", ["SiBraR", "BPR"])
@pytest.mark.parametrize(
    ("key", "value", "allowed"),
    [
        ("learning_rate", "abc", "a number of at least 0"),
        ("learning_rate", "'0.1'", "a number of at least 0"),
        ("learning_rate", -1, "a number of at least 0"),
        ("weight_decay", None, "a number of at least 0"),
        ("train_batch_size", "'512'", "a positive integer"),
        ("train_batch_size", 0, "a positive integer"),
        ("train_batch_size", 10.0, "a positive integer"),
        ("eval_batch_size", [4096], "a positive integer"),
        ("epochs", 2.5, "a whole number of at least 0"),
        ("epochs", "many", "a whole number of at least 0"),
        ("eval_step", "one", "a whole number of epochs"),
        ("stopping_step", -1, "a whole number of validations"),
        ("seed", "abc", "a whole number from 0 to 4294967295"),
        ("seed", -1, "a whole number from 0 to 4294967295"),
        ("seed", 2**32, "a whole number from 0 to 4294967295"),
        ("topk", "ten", "a positive integer such as 10"),
        ("topk", [10, 0], "a positive integer such as 10"),
        ("topk", [], "a positive integer such as 10"),
        ("topk", "[5, '10']", "a positive integer such as 10"),
        ("metrics", "Recal", "There is no metric named 'Recal'; did you mean 'Recall'?"),
        ("metrics", [1], "a list of metrics such as [Recall, NDCG]"),
        ("metrics", [], "a list of metrics such as [Recall, NDCG]"),
        ("encoding", "utf9", "the name of an encoding"),
        ("encoding", 8, "the name of an encoding"),
        ("field_separator", "", "a text of at least one character"),
        ("log_wandb", True, "pip install wandb"),
        ("clip_grad_norm", 5, "a dictionary"),
        ("load_col", ["user_id"], "a dictionary"),
        ("load_col", {"inter": "user_id"}, "a list of fields such as [user_id]"),
        ("threshold", 3, "a dictionary"),
        ("user_inter_num_interval", "5", "an interval such as '[5,inf)'"),
        ("item_inter_num_interval", "[a,b]", "an interval such as '[5,inf)'"),
        ("item_inter_num_interval", "[9,5]", "an interval such as '[5,inf)'"),
        ("benchmark_filename", ["train", "test"], "a list of three parts"),
        ("eval_args", "RS", "a dictionary such as"),
        ("eval_args", {"order": "to"}, "one of RO, TO"),
        ("eval_args", {"mode": "uni"}, "full, labeled, or a number of candidates"),
        ("eval_args", {"mode": {"valid": 100}}, "full, labeled, or a number of candidates"),
        ("eval_args", {"split": {"RS": [0.8, 0.2]}}, SHARES),
        ("eval_args", {"split": {"RS": "[0.8"}}, SHARES),
        ("eval_args", {"split": {"RS": [0, 0.5, 0.5]}}, SHARES),
        ("eval_args", {"split": {"TS": [0.8, "0.1", 0.1]}}, SHARES),
        ("eval_args", {"split": {"LS": "valid_and_tset"}}, "did you mean 'valid_and_test'?"),
        ("eval_args", {"split": {"XY": [0.8, 0.1, 0.1]}}, "one of RS, LS, TS, CS"),
        ("eval_args", {"split": None}, "one way to split"),
        ("train_neg_sample_args", {"sample_num": "five"}, "a positive integer"),
        ("train_neg_sample_args", {"alpha": "high"}, "a number of at least 0"),
    ],
)
def test_a_wrong_value_is_one_line(
    make_config: MakeConfig, model: str, key: str, value: Any, allowed: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        make_config(model, **{key: value})
    line = str(caught.value)
    assert line.startswith(key)
    assert "found" in line
    assert allowed in line
    assert "\n" not in line


@pytest.mark.parametrize("name", ["/data/tiny", "data/tiny", "tiny/", "C:\\data\\tiny", ""])
def test_a_path_is_no_data_set(make_config: MakeConfig, name: str) -> None:
    make_config()
    with pytest.raises(ConfigError, match=r"^dataset: found"):
        Config("BPR", name)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("epochs", 0),
        ("eval_step", 2.0),
        ("eval_step", -1),
        ("topk", 5),
        ("clip_grad_norm", {"max_norm": 5, "norm_type": 2}),
        ("clip_grad_norm", None),
        ("user_inter_num_interval", "[0,inf)"),
        ("user_inter_num_interval", "[0,1];(1,40)"),
        ("user_inter_num_interval", "[0, 100]"),
        ("encoding", "latin-1"),
        ("state", None),
        ("metrics", "recall"),
        ("eval_args", {"split": {"RS": [8, 1, 1]}, "mode": {"test": "pop10"}}),
        ("normalize_field", None),
        ("loss_decimal_place", "4"),
        ("worker", False),
    ],
)
def test_what_recbole_takes_is_taken(make_config: MakeConfig, key: str, value: Any) -> None:
    overrides = {"valid_metric": "Recall@10"} if key == "metrics" else {}
    create_dataset(make_config("BPR", **{**overrides, key: value}))


@pytest.mark.parametrize("learner", ["adan", "adamm", "lion"])
def test_unknown_learner_is_refused_for_ours(make_config: MakeConfig, learner: str) -> None:
    with pytest.raises(
        ConfigError, match=f"^learner: found '{learner}', allowed is one of adam, adamw, sgd"
    ):
        make_config(learner=learner)
    assert make_config("BPR", learner=learner)["learner"] == learner
