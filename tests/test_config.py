from __future__ import annotations

from typing import Any

import pytest

from recbole_sibrar.config import (
    ConfigError,
    as_list,
    check_keys,
    encoder_config,
    own_keys,
    recommender_config,
    resolve_modalities,
)


class Settings(dict[str, Any]):
    def __missing__(self, key: str) -> None:
        return None


BASE: dict[str, Any] = {
    "modalities": "auto",
    "embedding_size": 8,
    "modality_size": 4,
    "projection_hidden_sizes": [],
    "normalize_interactions": True,
    "normalize_branch_input": False,
    "branch_hidden_sizes": "[16, 8]",
    "batch_norm": 2,
    "dropout_prob": 0,
    "activation": "relu",
    "output_activation": False,
    "aggregation": "mean",
    "modality_sampling": True,
    "contrastive": "pairwise",
    "contrastive_scope": "sample",
    "contrastive_weight": 0.1,
    "temperature": 1,
    "loss_type": "BPR",
    "train_neg_sample_args": {"distribution": "uniform", "sample_num": 4},
}
AVAILABLE = ("interactions", "genre", "text", "id")


def test_a_key_with_prefix_goes_before_the_key_without() -> None:
    settings = Settings(BASE, item_modality_size=32, user_contrastive="none", item_modalities=["text", "genre"])
    item, user = encoder_config(settings, "item"), encoder_config(settings, "user")
    assert (item.modality_size, user.modality_size) == (32, 4)
    assert (item.contrastive, user.contrastive) == ("pairwise", "none")
    assert (item.modalities, user.modalities) == (("text", "genre"), None)
    assert item.branch_hidden_sizes == user.branch_hidden_sizes == (16, 8)
    assert (item.side, user.side) == ("item", "user")


@pytest.mark.parametrize(
    ("written", "expected"),
    [("[a, b]", ["a", "b"]), ("[id]", ["id"]), ("auto", "auto"), (("a", "b"), ["a", "b"]), ("[a", "[a")],
)
def test_lists_are_read_as_they_are_written_on_the_command_line(written: Any, expected: Any) -> None:
    assert as_list(written) == expected


def test_names_may_be_separated_by_commas() -> None:
    assert encoder_config(Settings(BASE, modalities="text, genre"), "item").modalities == ("text", "genre")


@pytest.mark.parametrize(
    ("key", "value", "allowed"),
    [
        ("modalities", [], "a list of modality names"),
        ("modalities", 3, "a list of modality names"),
        ("modalities", ["text", "genre", "text"], "each modality once, 'text' occurs 2 times"),
        ("eval_modalities", [1], "a list of modality names"),
        ("embedding_size", 0, "a positive integer"),
        ("modality_size", "large", "a positive integer"),
        ("modality_size", True, "a positive integer"),
        ("branch_hidden_sizes", 64, "a list of layer sizes"),
        ("branch_hidden_sizes", [64, -1], "a positive integer"),
        ("batch_norm", "first", "none, last, or a positive integer n"),
        ("batch_norm", 0, "none, last, or a positive integer n"),
        ("dropout_prob", 1.0, "a number from 0 to below 1"),
        ("activation", "relux", "one of relu, leakyrelu, tanh, sigmoid, none; did you mean 'relu'?"),
        ("output_activation", "yes", "True or False"),
        ("aggregation", "median", "one of mean, max"),
        ("modality_sampling", 1, "True or False"),
        ("contrastive", "pairwize", "one of none, pairwise, central; did you mean 'pairwise'?"),
        ("contrastive_scope", "epoch", "one of sample, batch"),
        ("contrastive_weight", -0.1, "a number of at least 0"),
        ("temperature", -0.1, "a number above 0"),
        ("temperature", 0, "a number above 0"),
        ("temperature", float("nan"), "a number above 0"),
    ],
)
@pytest.mark.parametrize("prefix", ["", "item_"])
def test_a_wrong_value_is_answered_with_what_is_allowed(key: str, value: Any, allowed: str, prefix: str) -> None:
    written = key if key == "embedding_size" else prefix + key
    with pytest.raises(ConfigError) as caught:
        encoder_config(Settings(BASE, **{written: value}), "item")
    message = str(caught.value)
    assert message.startswith(f"{written}: found ")
    assert allowed in message
    assert "\n" not in message


@pytest.mark.parametrize(
    ("settings", "key", "allowed"),
    [
        ({"loss_type": "CE"}, "loss_type", "one of BPR, BCE, SSM"),
        ({"train_neg_sample_args": None}, "train_neg_sample_args", "a sample_num of at least 1"),
        ({"train_neg_sample_args": {"sample_num": "none"}}, "train_neg_sample_args", "a sample_num of at least 1"),
        (
            {"loss_type": "SSM", "train_neg_sample_args": {"distribution": "popularity", "sample_num": 3}},
            "train_neg_sample_args",
            "distribution: uniform, which loss_type SSM corrects for",
        ),
    ],
)
def test_the_loss_needs_negatives_that_fit(settings: dict[str, Any], key: str, allowed: str) -> None:
    with pytest.raises(ConfigError) as caught:
        recommender_config(Settings({**BASE, **settings}))
    assert str(caught.value).startswith(f"{key}: found ")
    assert allowed in str(caught.value)


def test_auto_is_everything_but_id() -> None:
    item = encoder_config(Settings(BASE), "item")
    assert resolve_modalities(item, AVAILABLE, "fields of x.item") == ("interactions", "genre", "text")
    chosen = encoder_config(Settings(BASE, item_modalities=["id", "text"]), "item")
    assert resolve_modalities(chosen, AVAILABLE, "fields of x.item") == ("id", "text")


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"modalities": ["genres"]}, ["item_modalities", "'genres'", "x.item", "did you mean 'genre'?"]),
        ({"modalities": ["text"], "eval_modalities": ["genre"]}, ["item_eval_modalities", "'genre'", "which are text"]),
        ({"contrastive": "central", "central_modality": "txt"}, ["central_modality", "'txt'", "interactions, genre"]),
        ({"contrastive": "central"}, ["central_modality (item side)", "None", "interactions, genre, text"]),
    ],
)
def test_modalities_that_are_not_there_are_named(settings: dict[str, Any], expected: list[str]) -> None:
    with pytest.raises(ConfigError) as caught:
        resolve_modalities(encoder_config(Settings(BASE, **settings), "item"), AVAILABLE, "fields of x.item")
    assert all(piece in str(caught.value) for piece in expected), caught.value


def test_a_misspelt_key_of_ours_is_an_error_and_an_unknown_one_a_warning() -> None:
    known = {"learning_rate", "epochs"}
    with pytest.raises(ConfigError, match="contrastve_weight: unknown key; did you mean 'contrastive_weight'"):
        check_keys(["contrastve_weight"], known)
    (warning,) = check_keys(["epochs", "item_modalities", "frobnicate"], known)
    assert "'frobnicate' has no effect" in warning
    assert check_keys(["item_modalities"], known, strict=False) != []
    assert {"temperature", "user_temperature", "item_temperature", "loss_type"} <= set(own_keys())
