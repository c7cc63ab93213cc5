"""Fields of additional files, as RecBole's manual has them, are modalities like those of ``.user`` and ``.item``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from recbole.config import Config
from recbole.data import create_dataset, data_preparation
from recbole.data.dataset import Dataset

from recbole_sibrar.data.atomic import cache
from recbole_sibrar.data.dataset import MultimodalDataset
from recbole_sibrar.data.features import read_field
from recbole_sibrar.data.modality import ModalityTable

MakeDataset = Callable[..., MultimodalDataset]
MakeConfig = Callable[..., Config]
MakeModel = Callable[..., tuple[Any, ...]]

VECTORS = {f"i{n}": [n / 8, -n, 0.5] for n in range(38, 1, -1) if n % 4}
"""Vectors of some items, in another order than the interactions."""
MANUAL = {
    "additional_feat_suffix": ["itememb"],
    "load_col": {"inter": ["user_id", "item_id"], "itememb": ["iid", "item_emb"]},
    "alias_of_item_id": ["iid"],
    "preload_weight": {"iid": "item_emb"},
}
"""What RecBole's manual says about such a file."""
SHORT = {"additional_feat_suffix": ["itememb"], "alias_of_item_id": ["iid"]}


def write(
    folder: Path,
    rows: list[str],
    header: str = "iid:token\titem_emb:float_seq",
    suffix: str = "itememb",
) -> Path:
    file = folder / "tiny" / f"tiny.{suffix}"
    file.write_text("\n".join([header, *rows, ""]), encoding="utf-8")
    return file


def vector_rows(vectors: dict[str, list[float]] = VECTORS) -> list[str]:
    return [f"{item}\t{' '.join(map(str, vector))}" for item, vector in vectors.items()]


def values(
    dataset: MultimodalDataset, table: ModalityTable, side: str = "item"
) -> dict[str, list[float]]:
    """Original id -> value of a table, where there is one."""
    tokens = dataset.field2id_token[f"{side}_id"]
    entities = table.available.nonzero().flatten()
    rows = table.values_of(entities).reshape(len(entities), -1).tolist()
    return dict(zip((str(tokens[i]) for i in entities), rows, strict=True))


@pytest.mark.parametrize(
    "keys", [MANUAL, SHORT, {**SHORT, "load_col": {"inter": "*", "itememb": "*", "item": "*"}}]
)
def test_vectors_are_a_modality(
    make_dataset: MakeDataset, tiny_folder: Path, keys: dict[str, Any]
) -> None:
    write(tiny_folder, [*vector_rows(), "new\t7 8 9"])
    dataset = make_dataset(**keys)
    table = dataset.modality_tables("item")["item_emb"]
    assert (table.kind.value, table.size) == ("vector", 3)
    assert table.values is not None
    assert table.values.dtype == torch.float32
    assert values(dataset, table) == {**VECTORS, "new": [7, 8, 9]}


@pytest.mark.parametrize("model", ["SiBraR", "BPR"])
def test_no_load_col_is_needed(make_config: MakeConfig, tiny_folder: Path, model: str) -> None:
    write(tiny_folder, [*vector_rows(), "new\t7 8 9"])
    keys = {
        "data_path": str(tiny_folder),
        "state": "ERROR",
        "preload_weight": {"iid": "item_emb"},
        **SHORT,
    }
    make_config()  # works in a folder of its own
    dataset = create_dataset(Config(model, "tiny", config_dict=keys))
    assert dataset.token2id("item_id", "new") == dataset.item_num - 1
    if model == "SiBraR":
        assert list(dataset.field_tables["item"]) == ["kind", "tags", "price", "text", "item_emb"]
        assert "rating" not in dataset.inter_feat
    else:
        assert dataset.get_preload_weight("iid")[-1].tolist() == [7, 8, 9]


def test_models_are_trained_with_them(make_model: MakeModel, tiny_folder: Path) -> None:
    write(tiny_folder, vector_rows())
    _, model, train, *_ = make_model(**MANUAL)
    assert model.item_encoder.modalities == ("interactions", "item_emb")
    assert set(next(iter(train)).columns) == {"user_id", "item_id", "neg_item_id"}


def test_items_are_numbered_as_recbole_does(
    make_dataset: MakeDataset, make_config: MakeConfig, tiny_folder: Path
) -> None:
    write(tiny_folder, [*vector_rows(), "new\t7 8 9"])
    dataset, plain = make_dataset(**MANUAL), Dataset(make_config(**MANUAL))
    assert dataset.field2token_id["item_id"] == plain.field2token_id["item_id"]
    assert dataset.field2token_id["iid"] == plain.field2token_id["iid"]
    assert np.array_equal(
        dataset.get_preload_weight("iid"), plain.get_preload_weight("iid").astype(np.float32)
    )
    dataset.build()
    plain.build()
    assert dataset.itememb_feat.columns == plain.itememb_feat.columns
    assert all(
        torch.equal(dataset.itememb_feat[name], plain.itememb_feat[name])
        for name in plain.itememb_feat
    )


@pytest.mark.parametrize("side", ["user", "item"])
def test_fields_of_every_type_are_modalities(
    make_dataset: MakeDataset, tiny_folder: Path, side: str
) -> None:
    rows = [f"{side[0]}{n}\t{n / 2}\tc{n % 3}\ta b{n % 2}\t{n} 1" for n in range(20, 4, -1)] + [
        f"{side[0]}25\t\t\t\t"
    ]
    write(
        tiny_folder,
        rows,
        "x:token\tnumber:float\tkind_of:token\tlabels:token_seq\tvector:float_seq",
        "more",
    )
    dataset = make_dataset(additional_feat_suffix=["more"], **{f"alias_of_{side}_id": ["x"]})
    tables = dataset.field_tables[side]
    expected = {f"{side[0]}{n}": n for n in range(5, 21)}
    assert values(dataset, tables["number"], side) == {
        token: [n / 2] for token, n in expected.items()
    }
    assert values(dataset, tables["vector"], side) == {
        token: [n, 1] for token, n in expected.items()
    }
    categories = dataset.field2id_token["kind_of"]
    found = values(dataset, tables["kind_of"], side)
    assert {token: categories[i] for token, (i,) in found.items()} == {
        t: f"c{n % 3}" for t, n in expected.items()
    }
    labels, offsets = tables["labels"].indices, tables["labels"].offsets
    assert labels is not None
    assert offsets is not None
    for token, row in dataset.field2token_id[f"{side}_id"].items():
        names = dataset.field2id_token["labels"][labels[offsets[row] : offsets[row + 1]]]
        assert set(names) == ({"a", f"b{expected[token] % 2}"} if token in expected else set())


def test_ids_may_be_called_as_in_other_files(make_dataset: MakeDataset, tiny_folder: Path) -> None:
    write(tiny_folder, vector_rows(), "item_id:token\titem_emb:float_seq")
    write(tiny_folder, vector_rows(), "iid:token\timage:float_seq", "itemimg")
    write(tiny_folder, vector_rows(), "iid:token\taudio:float_seq", "itemaud")
    dataset = make_dataset(
        additional_feat_suffix=["itememb", "itemimg", "itemaud"], alias_of_item_id=["iid"]
    )
    for name in ("item_emb", "image", "audio"):
        assert values(dataset, dataset.field_tables["item"][name]) == VECTORS
    dataset.build()
    assert len(dataset.itemaud_feat) == len(VECTORS)


def test_scaling_is_as_for_items(make_dataset: MakeDataset, tiny_folder: Path) -> None:
    write(tiny_folder, vector_rows())
    numbers = [number for vector in VECTORS.values() for number in vector]
    low, span = min(numbers), max(numbers) - min(numbers)
    for keys in ({"normalize_all": True}, {"normalize_field": ["item_emb"]}):
        found = values(
            dataset := make_dataset(**SHORT, **keys), dataset.field_tables["item"]["item_emb"]
        )
        assert set(found) == set(VECTORS)
        for item, vector in VECTORS.items():
            assert found[item] == pytest.approx(
                [(number - low) / span for number in vector], abs=1e-6
            )
    for keys in (
        {"unload_col": {"itememb": ["item_emb"]}},
        {"unused_col": {"itememb": ["item_emb"]}},
    ):
        assert "item_emb" not in make_dataset(**SHORT, **keys).field_tables["item"]


def test_filtered_items_lose_their_lines(make_dataset: MakeDataset, tiny_folder: Path) -> None:
    write(tiny_folder, [*vector_rows(), "new\t7 8 9"])
    kept = {"item_inter_num_interval": "[9,inf)", "user_inter_num_interval": "[1,inf)"}
    dataset, other = make_dataset(**SHORT, **kept), make_dataset(**kept)
    assert set(dataset.field2id_token["item_id"]) == set(other.field2id_token["item_id"])
    assert 10 < dataset.item_num < 35


def test_large_files_are_cached(
    make_dataset: MakeDataset, tiny_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache, "SMALLEST", 0)
    file = write(tiny_folder, vector_rows())
    for _ in range(2):
        dataset = make_dataset(**SHORT)
        assert values(dataset, dataset.field_tables["item"]["item_emb"]) == VECTORS
    assert file.with_name("tiny.itememb.cache").is_dir()


@pytest.mark.parametrize("field", ["text", "price"])
def test_weights_can_be_fields_of_items(
    make_dataset: MakeDataset, tiny_folder: Path, field: str
) -> None:
    dataset = make_dataset(preload_weight={"item_id": field})
    weights = dataset.get_preload_weight("item_id")
    lines = [
        line.split("\t")
        for line in (tiny_folder / "tiny" / "tiny.item").read_text().splitlines()[1:]
    ]
    cells = {line[0]: line[3 if field == "price" else 4] for line in lines}
    for token, row in dataset.field2token_id["item_id"].items():
        if cells.get(token):
            assert np.atleast_1d(weights[row]) == pytest.approx(
                [float(x) for x in cells[token].split()], abs=1e-6
            )
    with pytest.raises(ValueError, match="user_id"):
        dataset.get_preload_weight("user_id")


def test_the_log_names_the_file(make_dataset: MakeDataset, tiny_folder: Path) -> None:
    file = write(tiny_folder, vector_rows())
    dataset = make_dataset(**SHORT)
    assert "item field: item_emb (vector, size 3, 70.0 % available) from tiny.itememb" in str(
        dataset
    )
    assert dataset.describe_source("item") == f"fields of {file.with_name('tiny.item')} and {file}"
    assert dataset.describe_source("user") == f"fields of {file.with_name('tiny.user')}"


def test_evaluations_find_their_fields(make_config: MakeConfig, tiny_folder: Path) -> None:
    write(tiny_folder, vector_rows())
    for model in ("SiBraR", "BPR"):
        dataset = create_dataset(make_config(model, **MANUAL))
        found = read_field(dataset, "item", "item_emb", ("float_seq",), "ild_modality")
        tokens = dataset.field2id_token["item_id"][found.available]
        assert dict(zip(tokens, found.matrix[found.available].tolist(), strict=True)) == VECTORS


def test_written_parts_keep_the_lines(
    make_config: MakeConfig, tiny_folder: Path, tmp_path: Path
) -> None:
    write(tiny_folder, [*vector_rows(), "new\t7 8 9"])
    kept = {"item_inter_num_interval": "[9,inf)", "save_split": str(tmp_path / "parts")}
    config = make_config(**SHORT, **kept)
    dataset = create_dataset(config)
    data_preparation(config, dataset)
    keys = {"data_path": str(tmp_path / "parts"), "benchmark_filename": ["train", "valid", "test"]}
    again = create_dataset(make_config(**SHORT, **keys))
    assert set(again.field2id_token["item_id"]) == set(dataset.field2id_token["item_id"])


@pytest.mark.parametrize(
    ("header", "rows", "keys", "expected"),
    [
        ("iid:token\tprice:float_seq", None, SHORT, "field 'price' is also in the .item file"),
        ("iid:token\trating:float_seq", None, {**SHORT, "load_col": None}, "field 'rating' is also in the .inter file"),
        ("iid:token\tid:float_seq", None, SHORT, "cannot be named 'id'"),
        ("iid:float\titem_emb:float_seq", None, SHORT, "found the ids iid:float, allowed is one token field"),
        ("iid:token\titem_id:token", ["a\tb"], SHORT, "found the ids iid:token, item_id:token"),
        (None, ["i1\t1 2", "i2\t3 4 5"], SHORT, "tiny.itememb, line 3, field 'item_emb'"),
        (None, ["i1\t1 2\t"], SHORT, "tiny.itememb, line 2: found 3 cells, allowed are 2"),
        (None, [], SHORT, "tiny.itememb: found a header without rows"),
        (None, None, {**SHORT, "alias_of_item_id": "iid"}, "alias_of_item_id: found 'iid', allowed is a list"),
        (None, None, {**SHORT, "alias_of_item_id": ["uid"]}, "alias_of_item_id: found 'uid', but no loaded file"),
        (None, None, {**MANUAL, "load_col": {"inter": "*"}}, "preload_weight: found 'item_emb', but no loaded file"),
        (None, None, {**SHORT, "load_col": {"inter": "*"}}, "alias_of_item_id: found 'iid', but no loaded file"),
        (None, None, {**MANUAL, "load_col": {"inter": "*", "itememb": ["item_emb"]}}, "'iid' has to be loaded"),
        (None, None, {**MANUAL, "load_col": {"inter": "*", "itememb": ["iid", "item_em"]}}, "did you mean 'item_emb'"),
        (None, None, {**MANUAL, "preload_weight": {"iid": "emb"}}, "preload_weight: found 'emb', but no loaded file"),
        (None, None, {**MANUAL, "preload_weight": {"item_id": "item_emb"}}, "allowed is 'iid'"),
        (None, None, {**SHORT, "additional_feat_suffix": ["itemimg"]}, "tiny.itemimg"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused(
    make_dataset: MakeDataset,
    tiny_folder: Path,
    header: str | None,
    rows: list[str] | None,
    keys: dict[str, Any],
    expected: str,
) -> None:
    write(
        tiny_folder,
        vector_rows() if rows is None else rows,
        header or "iid:token\titem_emb:float_seq",
    )
    with pytest.raises(ValueError, match=r"\S") as caught:
        make_dataset(**keys)
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        (
            {"additional_feat_suffix": ["itememb", "itemimg"]},
            "tiny.itemimg: field 'iid' is also in the .itememb file",
        ),
        (
            {"alias_of_item_id": None},
            "preload_weight: found the ids 'iid', allowed are ids that alias_of_item_id",
        ),
        (
            {"alias_of_item_id": ["asin"]},
            "alias_of_item_id: found 'asin', but no loaded file has this field",
        ),
        ({"alias_of_item_id": "iid"}, "alias_of_item_id: found 'iid', allowed is a list of fields"),
    ],
)
def test_recboles_models_fail_in_one_line(
    make_config: MakeConfig, tiny_folder: Path, keys: dict[str, Any], expected: str
) -> None:
    write(tiny_folder, vector_rows())
    write(tiny_folder, vector_rows(), "iid:token\timage:float_seq", "itemimg")
    with pytest.raises(ValueError, match=expected) as caught:
        create_dataset(make_config("BPR", **{**MANUAL, "load_col": None, **keys}))
    assert "\n" not in str(caught.value)


def test_files_of_nobody_are_left_out(
    make_dataset: MakeDataset, tiny_folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write(tiny_folder, vector_rows())
    dataset = make_dataset(additional_feat_suffix=["itememb"])
    dataset.build()
    assert "item_emb" not in dataset.field_tables["item"]
    assert (
        "tiny.itememb: found the fields iid, item_emb, none of which has ids of users or items"
        in caplog.text
    )
