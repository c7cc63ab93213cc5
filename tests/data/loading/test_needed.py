"""Fields that a key needs are loaded by default, and one line says which key lacks which field."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from logging import INFO
from pathlib import Path
from typing import Any

import pytest
from alone import ALONE
from recbole.config import Config
from recbole.data import create_dataset

Build = Callable[..., Any]
OWN = {"load_col": {"inter": ["user_id", "item_id"]}}
LABELED = {
    "eval_args": {
        "split": {"RS": [0.8, 0.1, 0.1]},
        "order": "RO",
        "group_by": None,
        "mode": "labeled",
    },
    "train_neg_sample_args": None,
    "metrics": ["AUC"],
    "valid_metric": "AUC",
}


RANKED = {
    "eval_args": {
        "split": {"RS": [0.8, 0.1, 0.1]},
        "order": "RO",
        "group_by": None,
        "mode": "full",
    },
    "train_neg_sample_args": None,
    "metrics": ["Recall"],
    "valid_metric": "Recall@10",
}


def by_time(split: dict[str, Any] | None = None, order: str = "TO") -> dict[str, Any]:
    return {
        "eval_args": {"split": split or {"RS": [0.8, 0.1, 0.1]}, "order": order, "group_by": "user"}
    }


@pytest.fixture
def build(make_config: Build, tiny_folder: Path) -> Build:
    """A data set whose ``load_col`` is the default: ``build("BPR", threshold={"rating": 3})``."""
    make_config()  # works in a folder of its own

    def create(model: str, **keys: Any) -> Any:
        settings = {"data_path": str(tiny_folder), "state": "ERROR", "show_progress": False}
        return create_dataset(Config(model, "tiny", config_dict={**settings, **keys}))

    return create


def rename(folder: Path, **names: str) -> None:
    """Give columns of the data set other names, in all its files."""
    for file in (folder / "tiny").iterdir():
        header, _, rows = file.read_text(encoding="utf-8").partition("\n")
        for old, new in names.items():
            header = header.replace(f"{old}:", f"{new}:")
        file.write_text(f"{header}\n{rows}", encoding="utf-8")


NEEDS: list[tuple[str, dict[str, Any], str, str]] = [
    ("BPR", by_time(), "timestamp", "eval_args: order: TO (TIME_FIELD)"),
    (
        "BPR",
        by_time({"TS": [0.8, 0.1, 0.1]}, "RO"),
        "timestamp",
        "eval_args: split: TS (TIME_FIELD)",
    ),
    ("BPR", by_time({"LS": "valid_and_test"}), "timestamp", "eval_args: order: TO (TIME_FIELD)"),
    ("SiBraR", by_time(), "timestamp", "eval_args: order: TO (TIME_FIELD)"),
    ("GRU4Rec", {"train_neg_sample_args": None}, "timestamp", "eval_args: order: TO (TIME_FIELD)"),
    (
        "GRU4Rec",
        {"train_neg_sample_args": None, **by_time(order="RO")},
        "timestamp",
        "the sequential model GRU4Rec",
    ),
    ("BPR", {"threshold": {"rating": 3}}, "rating", "threshold: {'rating': 3}"),
    ("BPR", {"val_interval": {"rating": "[3,inf)"}}, "rating", "val_interval"),
    ("SiBraR", {"val_interval": {"rating": "[3,inf)"}}, "rating", "val_interval"),
    ("BPR", {"normalize_field": ["rating"]}, "rating", "normalize_field"),
    ("BPR", {"numerical_features": ["rating"]}, "rating", "numerical_features"),
    ("FM", {**LABELED, "LABEL_FIELD": "rating"}, "rating", "eval_args: mode: labeled (LABEL_FIELD"),
    ("FM", {**LABELED, "threshold": {"rating": 3}}, "rating", "threshold: {'rating': 3}"),
    ("FM", {**RANKED, "LABEL_FIELD": "rating"}, "rating", "training without train_neg_sample_args"),
    ("DMF", {"inter_matrix_type": "rating"}, "rating", "inter_matrix_type: rating (RATING_FIELD)"),
    ("DiffRec", {"time-aware": True}, "timestamp", "time-aware: True (TIME_FIELD)"),
]


@pytest.mark.parametrize(("model", "keys", "field", "key"), NEEDS)
def test_a_needed_field_is_loaded(
    build: Build,
    caplog: pytest.LogCaptureFixture,
    model: str,
    keys: dict[str, Any],
    field: str,
    key: str,
) -> None:
    with caplog.at_level(INFO):
        dataset = build(model, **keys)
    assert "threshold" in keys or field in dataset.inter_feat
    assert (
        f"load_col: '{field}' of the interactions is loaded as well, for {key}" in caplog.text
        or "threshold" in keys
    )
    other = {"rating": "timestamp", "timestamp": "rating"}[field]
    assert other not in dataset.inter_feat


@pytest.mark.parametrize(("model", "keys", "field", "key"), NEEDS)
def test_a_load_col_without_it_is_told(
    build: Build, model: str, keys: dict[str, Any], field: str, key: str
) -> None:
    for own in (OWN, {"load_col": None, "unload_col": {"inter": [field]}}):
        with pytest.raises(ValueError, match=f"'{field}'") as caught:
            build(model, **keys, **own)
        name = "load_col" if own is OWN else "unload_col"
        assert str(caught.value).startswith(f"{name}: found [")
        assert key in str(caught.value)


@pytest.mark.parametrize("model", ["BPR", "SiBraR"])
def test_a_column_that_is_not_there_is_told(
    build: Build, caplog: pytest.LogCaptureFixture, model: str
) -> None:
    build(
        model, load_col={"inter": ["user_id", "item_id", "rating", "time_stamp"]}, state="WARNING"
    )
    said = [line for line in caplog.messages if line.startswith("load_col: ")]
    assert said == [
        "load_col: there is no field 'time_stamp' for inter; the interactions have user_id, item_id, rating, "
        "timestamp; did you mean 'timestamp'?"
    ]


def test_a_missing_column_of_parts_is_told(build: Build, caplog: pytest.LogCaptureFixture) -> None:
    names = ["train", "valid", "test"]
    folder = Path(build("BPR").dataset_path)
    for name in names:
        (folder / f"tiny.{name}.inter").write_text(
            (folder / "tiny.inter").read_text(), encoding="utf-8"
        )
    caplog.clear()
    build(
        "BPR",
        benchmark_filename=names,
        load_col={"inter": ["user_id", "item_id", "rate"]},
        state="WARNING",
    )
    said = [line for line in caplog.messages if line.startswith("load_col: ")]
    assert said == [
        "load_col: there is no field 'rate' for inter; the interactions have user_id, item_id, rating, timestamp; "
        "did you mean 'rating'?"
    ]


def test_a_misspelt_threshold_field_is_told(build: Build) -> None:
    with pytest.raises(
        ValueError, match=r"tiny.inter has no field 'ratings', which threshold.*'rating'\?$"
    ):
        build("FM", threshold={"ratings": 3})


@pytest.mark.parametrize(("model", "keys", "field", "key"), NEEDS)
def test_a_file_without_it_is_told(
    build: Build, tiny_folder: Path, model: str, keys: dict[str, Any], field: str, key: str
) -> None:
    rename(tiny_folder, **{field: f"{field}s"})
    with pytest.raises(ValueError, match=f"tiny.inter has no field '{field}', which") as caught:
        build(model, **keys)
    assert key in str(caught.value)
    assert f"did you mean '{field}s'?" in str(caught.value)


def test_nothing_else_is_loaded(build: Build) -> None:
    for model in ("BPR", "SiBraR", "DMF"):
        assert list(build(model).inter_feat.columns) == ["user_id", "item_id"]
    assert "rating" not in build("SiBraR", val_interval={"price": "[1,inf)"}).inter_feat
    parts = {"benchmark_filename": ["train", "valid", "test"], **by_time()}
    folder = Path(build("BPR").dataset_path)
    for part in parts["benchmark_filename"]:
        (folder / f"tiny.{part}.inter").write_text(
            (folder / "tiny.inter").read_text(), encoding="utf-8"
        )
    assert "timestamp" not in build("BPR", **parts).inter_feat


@pytest.mark.parametrize(("model", "is_loaded"), [("BPR", False), ("SiBraR", True)])
def test_repetitions_are_ordered_by_time(build: Build, model: str, is_loaded: bool) -> None:
    assert ("timestamp" in build(model, rm_dup_inter="last").inter_feat) == is_loaded
    assert "timestamp" not in build(model, rm_dup_inter="last", **OWN).inter_feat


@pytest.mark.parametrize("model", ["BPR", "SiBraR"])
def test_ids_may_have_any_name(build: Build, tiny_folder: Path, model: str) -> None:
    before = build(model)
    rename(tiny_folder, user_id="uid", item_id="asin", timestamp="when")
    names = {"USER_ID_FIELD": "uid", "ITEM_ID_FIELD": "asin", "TIME_FIELD": "when"}
    dataset = build(model, **names, **by_time())
    assert list(dataset.inter_feat.columns) == ["uid", "asin", "when"]
    assert dataset.field2id_token["asin"].tolist() == before.field2id_token["item_id"].tolist()
    assert [part.inter_num > 0 for part in dataset.build()] == [True, True, True]


def test_ids_of_graphs_may_have_any_name(build: Build, tiny_folder: Path) -> None:
    folder = tiny_folder / "tiny"
    triples = "".join(f"e{i}\tr{i % 2}\te{i + 1}\n" for i in range(1, 39))
    (folder / "tiny.kg").write_text(f"head:token\trelation:token\ttail:token\n{triples}")
    links = "".join(f"i{i}\te{i}\n" for i in range(1, 39))
    (folder / "tiny.link").write_text(f"item_id:token\tentity:token\n{links}")
    rename(tiny_folder, item_id="asin")
    names = {
        "HEAD_ENTITY_ID_FIELD": "head",
        "TAIL_ENTITY_ID_FIELD": "tail",
        "RELATION_ID_FIELD": "relation",
    }
    assert build("CKE", **names, ENTITY_ID_FIELD="entity", ITEM_ID_FIELD="asin").entity_num > 30


@pytest.mark.parametrize("model", ["BPR", "SiBraR"])
@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        (
            {"USER_ID_FIELD": "uid"},
            "tiny.inter has no field 'uid', which USER_ID_FIELD needs.*did you mean 'user_id'",
        ),
        (
            {"ITEM_ID_FIELD": "asin"},
            "tiny.inter has no field 'asin', which ITEM_ID_FIELD needs.*set ITEM_ID_FIELD",
        ),
        (
            {"load_col": {"inter": ["user_id", "rating"]}},
            "load_col: found .*ITEM_ID_FIELD needs the field 'item_id'",
        ),
        (
            {"load_col": {"inter": "user_id"}},
            "load_col: inter: found 'user_id', allowed is a list of fields",
        ),
        ({"load_col": {"inter": None}}, "load_col: inter: found None, allowed is a list of fields"),
        (
            {"load_col": {"item": ["item_id"]}},
            r"allowed is a list for 'inter' .* such as {inter: \[user_id, item_id\]}",
        ),
        ({"load_col": ["user_id", "item_id"]}, "load_col: found .*, allowed is a dictionary"),
        (
            {"load_col": {"inter": "*", "item": None}},
            "load_col: item: found None, allowed is a list of fields",
        ),
        (
            {"load_col": None, "unload_col": ["item_id"]},
            "unload_col: found .*, allowed is a dictionary",
        ),
        (
            {"load_col": None, "unload_col": {"inter": ["item_id"]}},
            "unload_col: found .* 'item_id' .* remove it",
        ),
    ],
)
def test_columns_without_ids_are_told(
    build: Build, model: str, keys: dict[str, Any], expected: str
) -> None:
    with pytest.raises(ValueError, match=expected) as caught:
        build(model, **keys)
    assert "\n" not in str(caught.value)


def test_our_models_need_ids(build: Build) -> None:
    with pytest.raises(ValueError, match="USER_ID_FIELD: found None"):
        build("SiBraR", USER_ID_FIELD=None, ITEM_ID_FIELD=None)


SCRIPT = """
import json, sys

if sys.argv.pop(1) == "with":
    import recbole_sibrar
from recbole.config import Config
from recbole.data import create_dataset
from recbole.utils import init_seed

found = []
for keys in json.loads(sys.argv.pop(1)):
    config = Config("BPR", "tiny", config_dict={"state": "ERROR", **keys})
    init_seed(config["seed"], config["reproducibility"])
    parts = create_dataset(config).build()
    found.append([{name: part.inter_feat[name].tolist() for name in part.inter_feat} for part in parts])
print(json.dumps(found))
"""


@pytest.mark.slow
@pytest.mark.processes
def test_parts_are_those_of_recbole(tiny_folder: Path, tmp_path: Path) -> None:
    named = ["user_id", "item_id"]
    keys = [
        (by_time(), "timestamp"),
        (by_time({"TS": [0.8, 0.1, 0.1]}, "RO"), "timestamp"),
        ({"val_interval": {"rating": "[3,inf)"}}, "rating"),
        ({"threshold": {"rating": 3}}, "rating"),
    ]

    def parts(plugin: str, settings: list[dict[str, Any]]) -> Any:
        settings = [{"data_path": str(tiny_folder), **each} for each in settings]
        script = SCRIPT if plugin == "with" else ALONE + SCRIPT
        command = [sys.executable, "-c", script, plugin, json.dumps(settings)]
        done = subprocess.run(
            command, cwd=tmp_path, env=os.environ, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout.splitlines()[-1])

    alone = parts(
        "without", [{**each, "load_col": {"inter": [*named, field]}} for each, field in keys]
    )
    assert parts("with", [each for each, _ in keys]) == alone
    assert len(alone[0][0]["user_id"]) > 200
