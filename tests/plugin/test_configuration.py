from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from recbole.config import Config
from recbole.utils import get_model

from recbole_sibrar import MODELS
from recbole_sibrar.config import (
    BY_SPLIT,
    ConfigError,
    as_list,
    check_contrastive,
    encoder_config,
    recommender_config,
    resolve_modalities,
    settle_modalities,
)
from recbole_sibrar.names import SIDES


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


def test_prefixed_key_overrides_the_other() -> None:
    settings = Settings(
        BASE, item_modality_size=32, user_contrastive="none", item_modalities=["text", "genre"]
    )
    item, user = encoder_config(settings, "item"), encoder_config(settings, "user")
    assert (item.modality_size, user.modality_size) == (32, 4)
    assert (item.contrastive, user.contrastive) == ("pairwise", "none")
    assert (item.modalities, user.modalities) == (("text", "genre"), None)
    assert item.branch_hidden_sizes == user.branch_hidden_sizes == (16, 8)
    assert (item.side, user.side) == ("item", "user")


def test_keys_from_every_place_mean_the_same(
    make_config: Callable[..., Config],
    tiny_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    keys = {
        "item_modalities": "[id, text]",
        "user_batch_norm": "none",
        "branch_hidden_sizes": "[16, 8]",
    }
    (tmp_path / "my.yaml").write_text(
        "".join(f"{key}: {value}\n" for key, value in keys.items()), encoding="utf-8"
    )
    base = {"data_path": str(tiny_folder), "state": "ERROR"}
    in_file = Config(
        "SiBraR", "tiny", config_file_list=[str(tmp_path / "my.yaml")], config_dict=base
    )
    in_dictionary = make_config(
        item_modalities=["id", "text"], user_batch_norm="none", branch_hidden_sizes=[16, 8]
    )
    arguments = [f"--{key}={value.replace(' ', '')}" for key, value in keys.items()]
    monkeypatch.setattr("sys.argv", ["test", *arguments])
    on_command_line = make_config()
    for config in (in_file, in_dictionary, on_command_line):
        user, item = (encoder_config(config, side) for side in SIDES)
        assert (user.modalities, item.modalities) == (("interactions",), ("id", "text"))
        assert (user.batch_norm, item.batch_norm) == ("none", "last")
        assert user.branch_hidden_sizes == item.branch_hidden_sizes == (16, 8)


def test_hidden_keys_are_not_checked() -> None:
    settings = Settings(BASE, temperature=-1, item_temperature=0.2)
    assert encoder_config(settings, "item").temperature == 0.2
    with pytest.raises(ConfigError, match=r"^temperature: found -1"):
        encoder_config(settings, "user")


@pytest.mark.parametrize("flag", [True, False])
def test_a_flag_of_one_side_may_be_false(flag: bool) -> None:
    settings = Settings(BASE, modality_sampling=not flag, user_modality_sampling=flag)
    assert encoder_config(settings, "user").modality_sampling is flag
    assert encoder_config(settings, "item").modality_sampling is not flag


@pytest.mark.parametrize("none", [None, "none"])
def test_none_may_be_written_either_way(none: str | None) -> None:
    item = encoder_config(
        Settings(BASE, contrastive=none, batch_norm=none, activation=none), "item"
    )
    assert (item.contrastive, item.batch_norm, item.activation) == ("none", "none", "none")


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("[a, b]", ["a", "b"]),
        ("[id]", ["id"]),
        ("auto", "auto"),
        (("a", "b"), ["a", "b"]),
        ("[a", "[a"),
    ],
)
def test_lists_of_the_command_line(written: Any, expected: Any) -> None:
    assert as_list(written) == expected


def test_names_may_be_separated_by_commas() -> None:
    assert encoder_config(Settings(BASE, modalities="text, genre"), "item").modalities == (
        "text",
        "genre",
    )


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
        ("batch_norm", "first", "none, last, hidden, or a positive integer n"),
        ("batch_norm", 0, "none, last, hidden, or a positive integer n"),
        ("dropout_prob", 1.0, "a number from 0 to below 1"),
        (
            "activation",
            "relux",
            "one of relu, leakyrelu, selu, tanh, sigmoid, none; did you mean 'relu'?",
        ),
        ("output_activation", "yes", "True or False"),
        ("aggregation", "median", "one of mean, max"),
        ("modality_sampling", 1, "True or False"),
        ("contrastive", "pairwize", "one of none, pairwise, central; did you mean 'pairwise'?"),
        ("contrastive_scope", "epoch", "one of sample, batch"),
        ("contrastive_weight", -0.1, "a number of at least 0"),
        ("temperature", -0.1, "a number above 0"),
        ("temperature", 0, "a number above 0"),
        ("temperature", float("nan"), "a number above 0"),
        ("normalize_numbers", "l2", "one of standard, none"),
        ("normalize_numbers", True, "one of standard, none"),
        ("normalize_vectors", "standart", "one of none, l2, standard; did you mean 'standard'?"),
        ("normalize_vectors", "{text: l2", "one of none, l2, standard"),
        ("normalize_vectors", ["text"], "one of none, l2, standard"),
        ("normalize_vectors", {1: "l2"}, "names of fields, each with one of none, l2, standard"),
    ],
)
@pytest.mark.parametrize("prefix", ["", "item_"])
def test_wrong_value_names_what_is_allowed(key: str, value: Any, allowed: str, prefix: str) -> None:
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
        (
            {"train_neg_sample_args": {"sample_num": "none"}},
            "train_neg_sample_args",
            "a sample_num of at least 1",
        ),
        (
            {
                "loss_type": "SSM",
                "train_neg_sample_args": {"distribution": "popularity", "sample_num": 3},
            },
            "train_neg_sample_args",
            "distribution: uniform, which loss_type SSM corrects for",
        ),
    ],
)
def test_the_loss_needs_negatives_that_fit(
    settings: dict[str, Any], key: str, allowed: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        recommender_config(Settings({**BASE, **settings}))
    assert str(caught.value).startswith(f"{key}: found ")
    assert allowed in str(caught.value)


@pytest.mark.parametrize(
    "written", ["{text: l2, image: standard}", {"text": "l2", "image": "standard"}]
)
def test_scaling_of_single_fields(written: Any) -> None:
    item = encoder_config(
        Settings(BASE, normalize_vectors=written, item_normalize_numbers={"year": "none"}), "item"
    )
    assert [item.normalize_vectors.of(name) for name in ("text", "image", "audio")] == [
        "l2",
        "standard",
        "none",
    ]
    assert [item.normalize_numbers.of(name) for name in ("year", "price")] == ["none", "standard"]
    user = encoder_config(
        Settings(BASE, normalize_vectors="l2", user_normalize_vectors="standard"), "user"
    )
    assert (user.normalize_vectors.of("text"), user.normalize_numbers.of("age")) == (
        "standard",
        "none",
    )


def test_a_wrong_word_of_a_field_is_named() -> None:
    with pytest.raises(
        ConfigError, match=r"^item_normalize_vectors: text: found 'L2', allowed is one of none, l2"
    ):
        encoder_config(Settings(BASE, item_normalize_vectors={"text": "L2"}), "item")


@pytest.mark.parametrize("model", MODELS)
def test_default_scaling_is_of_numbers_only(make_config: Callable[..., Config], model: str) -> None:
    for side in SIDES:
        encoder = encoder_config(make_config(model), side, get_model(model).fixed)
        assert (encoder.normalize_numbers.of("price"), encoder.normalize_vectors.of("text")) == (
            "standard",
            "none",
        )


@pytest.mark.parametrize(
    ("settings", "n_new", "expected"),
    [
        ({"user_modalities": BY_SPLIT}, 0, ["interactions"]),
        ({"user_modalities": BY_SPLIT}, 9, ["interactions"]),
        ({"user_modalities": BY_SPLIT}, 10, "auto"),
        ({"modalities": BY_SPLIT}, 100, "auto"),
        ({"modalities": BY_SPLIT, "user_modalities": ["age"]}, 100, ["age"]),
        ({"modalities": BY_SPLIT, "user_modalities": "auto"}, 0, "auto"),
        ({"user_modalities": ["age"]}, 100, ["age"]),
    ],
)
def test_modalities_chosen_by_split(settings: dict[str, Any], n_new: int, expected: Any) -> None:
    config = Settings(BASE, **settings)
    asked = config["user_modalities"] or config["modalities"]
    line = settle_modalities(config, "user", AVAILABLE, 100, n_new)
    assert config["user_modalities"] == expected
    assert (line is not None) == (asked == BY_SPLIT)
    assert config["modalities"] == settings.get("modalities", "auto")  # the other side's stays
    if line:
        assert f"{n_new} of 100 evaluated users have no training interactions" in line


def test_no_split_means_known_users() -> None:
    config = Settings(BASE, user_modalities=BY_SPLIT)
    assert encoder_config(config, "user").modalities == ("interactions",)
    settle_modalities(config, "user", AVAILABLE, 0, 0)
    assert config["user_modalities"] == ["interactions"]
    without = Settings(BASE, user_modalities=BY_SPLIT)
    # CLCRec knows no modality of interactions
    settle_modalities(without, "user", ("age", "id"), 5, 0)
    assert without["user_modalities"] == "auto"


def test_auto_is_everything_but_id() -> None:
    item = encoder_config(Settings(BASE), "item")
    assert resolve_modalities(item, AVAILABLE, "fields of x.item") == (
        "interactions",
        "genre",
        "text",
    )
    chosen = encoder_config(Settings(BASE, item_modalities=["id", "text"]), "item")
    assert resolve_modalities(chosen, AVAILABLE, "fields of x.item") == ("id", "text")


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        (
            {"modalities": ["genres"]},
            ["item_modalities", "'genres'", "x.item", "did you mean 'genre'?"],
        ),
        (
            {"modalities": ["text"], "eval_modalities": ["genre"]},
            ["item_eval_modalities", "'genre'", "which are text"],
        ),
        (
            {"contrastive": "central", "central_modality": "txt"},
            ["central_modality", "'txt'", "interactions, genre"],
        ),
        (
            {"contrastive": "central"},
            ["central_modality (item side)", "None", "interactions, genre, text"],
        ),
    ],
)
def test_missing_modalities_are_named(settings: dict[str, Any], expected: list[str]) -> None:
    with pytest.raises(ConfigError) as caught:
        resolve_modalities(
            encoder_config(Settings(BASE, **settings), "item"), AVAILABLE, "fields of x.item"
        )
    assert all(piece in str(caught.value) for piece in expected), caught.value


def refusal(settings: dict[str, Any], user: tuple[str, ...], item: tuple[str, ...]) -> str:
    config = Settings(BASE, **settings)
    encoders = {side: encoder_config(config, side) for side in SIDES}
    try:
        check_contrastive(
            config, encoders, {"user": user, "item": item}, {"user": "x.user", "item": "x.item"}
        )
    except ConfigError as error:
        return str(error)
    return ""


@pytest.mark.parametrize(
    ("settings", "user", "item", "expected"),
    [
        (
            {},
            1,
            1,
            [
                "contrastive: found 'pairwise'",
                "user_modalities [a]",
                "item_modalities [a]",
                "at least two",
            ],
        ),
        (
            {"user_contrastive": "pairwise"},
            1,
            2,
            ["user_contrastive: found 'pairwise'", "user_modalities [a] (x.user)"],
        ),
        (
            {"user_contrastive": "none"},
            2,
            1,
            ["contrastive: found 'pairwise'", "item_modalities [a] (x.item)"],
        ),
        ({}, 1, 2, []),
        ({}, 2, 1, []),
        ({"contrastive": "none"}, 1, 1, []),
        ({"user_contrastive": "none"}, 1, 2, []),
        ({"contrastive": "none", "item_contrastive": "pairwise"}, 1, 2, []),
    ],
)
def test_contrast_needs_two_modalities(
    settings: dict[str, Any], user: int, item: int, expected: list[str]
) -> None:
    message = refusal(settings, ("a", "b")[:user], ("a", "b")[:item])
    assert bool(message) == bool(expected)
    assert all(piece in message for piece in expected), message
    assert "\n" not in message
