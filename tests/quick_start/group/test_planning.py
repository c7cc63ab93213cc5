"""Runs of a comparison before their start: their names, keys and checks."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from recbole_sibrar.config import ConfigError
from recbole_sibrar.quick_start.group import planning
from recbole_sibrar.quick_start.group.runs import Run
from recbole_sibrar.quick_start.group.variants import Variant

Plan = Callable[..., tuple[list[Run], list[str]]]


def key(plan: Plan, *variants: Variant, **keys: Any) -> str:
    """The name of the only run's folder."""
    (run,) = plan(variants or [Variant("BPR", "BPR")], **keys)[0]
    return run.folder.name


@pytest.mark.parametrize(
    "change",
    [
        {"seeds": [2]},
        {"learning_rate": "0.1"},
        {"epochs": "7"},
        {"topk": "[3]"},
        {"metrics": "['MRR']"},
        {"eval_groups": "{gender: user}"},
        {"eval_args": "{'split': {'RS': [0.5,0.1,0.4]}}"},
        {"train_neg_sample_args": "{'sample_num': 3}"},
        {"load_col": "{'inter': ['user_id', 'item_id']}"},
        {"user_inter_num_interval": "[3,inf)"},
        {"files": ["cold_start_item"]},
    ],
)
def test_other_configuration_is_another_run(plan: Plan, change: dict[str, Any]) -> None:
    assert key(plan, **change) != key(plan)


def test_other_variant_is_another_run(plan: Plan) -> None:
    variants = [
        Variant("a", "BPR"),
        Variant("a", "Pop"),
        Variant("a", "BPR", {"embedding_size": "8"}),
    ]
    assert len({key(plan, variant) for variant in variants}) == 3


@pytest.mark.parametrize(
    "change",
    [
        {"state": "DEBUG"},
        {"show_progress": "False"},
        {"checkpoint_dir": "elsewhere"},
        {"save_per_user": "a.parquet"},
        {"save_learning_curve": "a.csv"},
        {"gpu_id": "1"},
        {"files": ["models.yaml"]},
        {"embedding_size": "64"},
    ],
)
def test_keys_without_effect_keep_the_run(plan: Plan, change: dict[str, Any]) -> None:
    Path("models.yaml").write_text("model_list: [Pop, BPR]\n", encoding="utf-8")
    assert key(plan, **change) == key(plan)


@pytest.mark.parametrize("file", ["tiny.inter", "tiny.item", "tiny.user", "tiny.new"])
def test_other_data_are_another_run(plan: Plan, tiny_folder: Path, file: str) -> None:
    before = key(plan)
    assert key(plan) == before
    with open(tiny_folder / "tiny" / file, "a", encoding="utf-8") as written:
        written.write("\n")
    assert key(plan) != before


def test_relative_data_path_is_the_same_run(plan: Plan, tiny_folder: Path) -> None:
    runs = [plan(data_path=path)[0][0] for path in (str(tiny_folder), os.path.relpath(tiny_folder))]
    assert runs[0].folder == runs[1].folder
    assert runs[1].specification["keys"]["data_path"] == str(tiny_folder)


def test_seeds_start_from_each_variant(plan: Plan, tiny_folder: Path) -> None:
    variants = [Variant("a", "BPR"), Variant("b", "BPR", {"seed": "7"})]
    keys = {"data_path": str(tiny_folder), "load_col": "None"}
    plan()
    runs = planning.plan(
        variants, "tiny", [], keys, lambda first: [first, first + 1], Path("out"), print
    )
    assert [(run.variant.name, run.seed) for run in runs] == [
        ("a", 2020),
        ("a", 2021),
        ("b", 7),
        ("b", 8),
    ]


def test_all_models_keep_all_interactions(plan: Plan) -> None:
    runs, _ = plan([Variant("a", "BPR"), Variant("b", "SiBraR"), Variant("c", "FM")])
    assert [run.configuration["filter_inter_by_user_or_item"] for run in runs] == [False] * 3
    runs, _ = plan(
        [Variant("a", "BPR"), Variant("b", "SiBraR")], filter_inter_by_user_or_item="True"
    )
    assert [run.configuration["filter_inter_by_user_or_item"] for run in runs] == [True] * 2


def test_no_user_results_of_value_metrics(plan: Plan) -> None:
    value = {"metrics": "['RMSE']", "valid_metric": "RMSE", "eval_args": "{'mode': 'labeled'}"}
    (run,), _ = plan([Variant("FM", "FM")], **value, train_neg_sample_args="None", label="rating")
    assert "save_per_user" not in run.specification["keys"]


def test_unread_keys_are_noted_once(plan: Plan) -> None:
    variants = [
        Variant("a", "BPR", {"stoping_step": "1"}),
        Variant("b", "SiBraR"),
        Variant("c", "SiBraR"),
    ]
    _, notes = plan(variants, [1, 2], colour="red", item_modalities="[text]", n_layers="2")
    assert [note.split(":")[:2] for note in sorted(notes)] == [
        ["warning", " a"],
        ["warning", " the key 'colour' has no effect"],
        ["warning", " the key 'n_layers' has no effect"],
    ]
    assert "did you mean 'stopping_step'?" in sorted(notes)[0]


@pytest.mark.parametrize(
    ("variant", "keys", "reason"),
    [
        (
            Variant("mine", "SiBraR", {"item_modalites": "[text]"}),
            {},
            "mine: item_modalites: unknown key",
        ),
        (
            Variant("mine", "BPR"),
            {"eval_candidates": "some"},
            "mine: eval_candidates: found 'some'",
        ),
        (Variant("mine", "BPR"), {"metrics": "Recal"}, "mine: .*There is no metric named 'Recal'"),
        (Variant("mine", "BPR"), {"dataset": "nowhere"}, "--dataset: there is no folder .*nowhere"),
    ],
)
def test_wrong_configuration_is_one_line(
    plan: Plan, variant: Variant, keys: dict[str, str], reason: str
) -> None:
    with pytest.raises(ConfigError, match=f"^{reason}[^\n]*$"):
        plan([variant], **keys)
