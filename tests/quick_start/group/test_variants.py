from __future__ import annotations

from typing import Any

import pytest
import yaml

from recbole_sibrar.config import ConfigError
from recbole_sibrar.config.choices import configuration_file, model_names
from recbole_sibrar.names import OWN_MODELS
from recbole_sibrar.quick_start.group.variants import (
    Variant,
    file_name,
    parse_seeds,
    parse_variants,
)

MODELS = ["Pop", "BPR", "LightGCN", "SiBraR", "MuBraR"]


def test_variants_have_keys_and_names() -> None:
    text = "Pop, SiBraR:item_modalities=[interactions,text]:epochs=3 ,text = SiBraR:item_modalities=[text],BPR"
    assert parse_variants(text, MODELS) == [
        Variant("Pop", "Pop", {}),
        Variant(
            "SiBraR:item_modalities=[interactions,text]:epochs=3",
            "SiBraR",
            {"item_modalities": "[interactions,text]", "epochs": "3"},
        ),
        Variant("text", "SiBraR", {"item_modalities": "[text]"}),
        Variant("BPR", "BPR", {}),
    ]


def test_signs_in_brackets_belong_to_a_value() -> None:
    (variant,) = parse_variants(
        "BPR:eval_args={'split': {'RS': [8,1,1]}, 'order': 'RO'}:load_col=(a=b)", MODELS
    )
    assert variant.keys == {
        "eval_args": "{'split': {'RS': [8,1,1]}, 'order': 'RO'}",
        "load_col": "(a=b)",
    }


def test_list_of_a_yaml_file() -> None:
    names = [
        variant.name for variant in parse_variants(["Pop", "a=BPR:layers=[1,2]", "BPR"], MODELS)
    ]
    assert names == ["Pop", "a", "BPR"]


def test_ready_made_training_paradigms() -> None:
    with open(configuration_file("training_paradigms"), encoding="utf-8") as file:
        variants = parse_variants(yaml.safe_load(file)["model_list"], model_names())
    assert len(variants) == len({str(variant.keys) + variant.model for variant in variants}) == 8
    assert {variant.model for variant in variants} == {"SiBraR", "MuBraR"}
    assert all(variant.keys.keys() == {"modality_sampling", "contrastive"} for variant in variants)


def test_ready_made_models_of_cold_start() -> None:
    with open(configuration_file("cold_start_models"), encoding="utf-8") as file:
        variants = parse_variants(yaml.safe_load(file)["model_list"], model_names())
    assert {variant.model for variant in variants} == {"Random", *OWN_MODELS}
    assert not any(variant.keys for variant in variants)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("BPR,sibrar", "found 'sibrar', allowed is the name of a model; did you mean 'SiBraR'?"),
        ("LightGNC", "did you mean 'LightGCN'?"),
        (
            "mine=SiBrar:epochs=2",
            "found 'SiBrar', allowed is the name of a model; did you mean 'SiBraR'?",
        ),
        ("BPR,BPR", "found 'BPR' 2 times; give each variant a name of its own"),
        ("BPR:epochs=1,BPR:epochs=1", "such as mine=BPR:epochs=1"),
        ("a b=BPR,a-b=Pop", "found 'a b' 2 times"),
        ("BPR:epochs", "found 'BPR:epochs', allowed is BPR:key=value"),
        ("BPR:=3", "allowed is BPR:key=value"),
        ("BPR:epochs=1:epochs=2", "allowed is one value of epochs"),
        ("SiBraR:item_modalities=[text,BPR", "as many closing brackets as opening ones"),
        ("=BPR", "a name with letters or digits before =BPR"),
        ("--=BPR", "a name with letters or digits before =BPR"),
        ("", "names of models separated by commas"),
        (" , ", "names of models separated by commas"),
        ([], "names of models separated by commas"),
        (5, "found 5, allowed is a list of models"),
        ({"BPR": {"epochs": 3}}, "allowed is a list of models"),
    ],
)
def test_unreadable_list_is_one_line(text: Any, reason: str) -> None:
    with pytest.raises(ConfigError) as refused:
        parse_variants(text, MODELS)
    assert str(refused.value).startswith("--model_list: ")
    assert reason in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    "name", ["SiBraR_S", "with text", "ä/ö:x=[1,2]", "a" * 300, "../up", "C:\\x"]
)
def test_every_name_can_be_that_of_a_file(name: str) -> None:
    made = file_name(name)
    assert made
    assert not set(made) & set('/\\:*?"<>| []')
    assert len(made) <= 100


@pytest.mark.parametrize(
    ("text", "seeds"),
    [
        ("1", [2020]),
        ("3", [2020, 2021, 2022]),
        ("5,", [5]),
        ("7, 1", [7, 1]),
        ("[1,2]", [1, 2]),
        ("0,1", [0, 1]),
    ],
)
def test_seeds_are_a_number_or_a_list(text: str, seeds: list[int]) -> None:
    assert parse_seeds(text, 2020) == seeds


@pytest.mark.parametrize("text", ["0", "-1", "x", "", "1.5", "1,1", "1,x", "²", ","])
def test_unreadable_seeds_are_one_line(text: str) -> None:
    with pytest.raises(
        ConfigError, match=r"^--seeds: found .*, allowed is (a number of|each|at least one) seed"
    ):
        parse_seeds(text, 2020)
