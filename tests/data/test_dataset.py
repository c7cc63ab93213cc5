from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from recbole.config import Config
from recbole.data import create_dataset, data_preparation
from recbole.data.dataset import Dataset
from recbole.utils import init_seed

from recbole_sibrar.data.atomic import DataError
from recbole_sibrar.data.dataset import MultimodalDataset
from recbole_sibrar.data.modality import ModalityTable

MakeDataset = Callable[..., MultimodalDataset]


def cells(folder: Path, side: str) -> dict[str, dict[str, str]]:
    """What the file says: id -> field -> cell."""
    with open(folder / "tiny" / f"tiny.{side}", encoding="utf-8") as file:
        rows = list(csv.reader(file, delimiter="\t"))
    fields = [cell.rsplit(":", 1)[0] for cell in rows[0]]
    return {row[0]: dict(zip(fields, row, strict=True)) for row in rows[1:]}


def value(table: ModalityTable, row: int) -> list[Any]:
    if table.indices is not None and table.offsets is not None:
        return table.indices[table.offsets[row] : table.offsets[row + 1]].tolist()
    assert table.values is not None
    return table.values[row].flatten().tolist()


@pytest.mark.parametrize("side", ["user", "item"])
def test_every_value_of_the_file_is_in_its_table(make_dataset: MakeDataset, tiny_folder: Path, side: str) -> None:
    dataset = make_dataset(normalize_all=False)
    expected = cells(tiny_folder, side)
    category, tags, number, vector = list(dataset.field_tables[side])
    assert [table.kind.value for table in dataset.field_tables[side].values()] == [
        "categorical",
        "multi-label",
        "scalar",
        "vector",
    ]
    for row, token in enumerate(dataset.field2id_token[f"{side}_id"]):
        found = dict(dataset.field_tables[side])
        line = expected.get(token, dict.fromkeys(found, ""))
        for name, table in found.items():
            assert bool(table.available[row]) == bool(line[name]), (token, name)
        if line[category]:
            assert dataset.field2id_token[category][value(found[category], row)[0]] == line[category]
        assert {dataset.field2id_token[tags][i] for i in value(found[tags], row)} == set(line[tags].split())
        if line[number]:
            assert value(found[number], row) == [pytest.approx(float(line[number]))]
        if line[vector]:
            assert value(found[vector], row) == pytest.approx([float(x) for x in line[vector].split()])
        else:
            assert not any(value(found[vector], row))


def test_the_padding_row_has_nothing(make_dataset: MakeDataset) -> None:
    dataset = make_dataset()
    dataset._change_feat_format()
    for side in ("user", "item"):
        for table in dataset.modality_tables(side).values():
            assert not table.available[0]


@pytest.mark.parametrize(
    "settings", [{"normalize_all": True}, {"normalize_all": False, "normalize_field": ["price", "text"]}]
)
def test_fields_are_normalised_as_recbole_does(
    make_dataset: MakeDataset, make_config: Callable[..., Config], settings: dict[str, Any]
) -> None:
    dataset = make_dataset(**settings)
    plain = Dataset(make_config(**settings))
    plain._change_feat_format()
    for name in ("price", "text", "age", "profile"):
        side = "item" if name in ("price", "text") else "user"
        table = dataset.field_tables[side][name]
        expected = getattr(plain, f"{side}_feat")[name]
        assert table.values is not None
        values = table.values.flatten() if name in ("price", "age") else table.values
        assert torch.equal(values[table.available], expected[table.available])
        assert (values[~table.available] == 0).all()


def test_interactions_are_those_of_the_training_part_only(make_model: Callable[..., tuple[Any, ...]]) -> None:
    _, _, train, valid, test = make_model()
    for side in ("user", "item"):
        tables = train.dataset.modality_tables(side)
        found = {(row, other) for row in range(len(tables["id"])) for other in value(tables["interactions"], row)}
        pairs = [
            {
                (int(u), int(i)) if side == "user" else (int(i), int(u))
                for u, i in zip(part.dataset.inter_feat["user_id"], part.dataset.inter_feat["item_id"], strict=True)
            }
            for part in (train, valid, test)
        ]
        assert found == pairs[0]
        assert not found & (pairs[1] | pairs[2])
        trained = {row for row, _ in pairs[0]}
        assert {row for row in range(len(tables["id"])) if tables["id"].available[row]} == trained
        assert torch.equal(tables["id"].available, tables["interactions"].available)


def test_nothing_is_joined_into_batches(make_model: Callable[..., tuple[Any, ...]]) -> None:
    _, _, train, valid, _ = make_model()
    assert set(next(iter(train)).columns) == {"user_id", "item_id", "rating", "timestamp", "neg_item_id"}
    users, *_ = next(iter(valid))
    assert set(users.columns) == {"user_id"}


def test_entities_without_a_line_keep_their_interactions(make_dataset: MakeDataset, tiny_folder: Path) -> None:
    lines = (tiny_folder / "tiny" / "tiny.inter").read_text(encoding="utf-8").splitlines()[1:]
    dataset = make_dataset()
    assert len(dataset) == len(lines)
    assert {"u30", "i40"} <= set(dataset.field2id_token["user_id"]) | set(dataset.field2id_token["item_id"])
    assert len(make_dataset(filter_inter_by_user_or_item=True)) < len(lines)


def test_ml_100k_loads_all_fields_unless_the_user_says_otherwise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.argv", ["test"])
    monkeypatch.chdir(tmp_path)

    def fields(**settings: Any) -> tuple[set[str], set[str]]:
        dataset = create_dataset(Config("SiBraR", "ml-100k", config_dict={"state": "ERROR", **settings}))
        return set(dataset.field_tables["user"]), set(dataset.field_tables["item"])

    user, item = {"age", "gender", "occupation", "zip_code"}, {"movie_title", "release_year", "class"}
    inter = ["user_id", "item_id"]
    assert fields() == (user, item)
    assert fields(unload_col={"item": ["movie_title"]}) == (user, item - {"movie_title"})
    assert fields(load_col={"inter": inter, "item": ["item_id", "class"]}) == (set(), {"class"})
    assert fields(unused_col={"user": ["zip_code", "age"]}) == ({"gender", "occupation"}, item)


def test_discretised_numbers_are_categories(make_dataset: MakeDataset, tiny_folder: Path) -> None:
    settings = {"numerical_features": ["price"], "discretization": {"price": {"method": "ED", "bucket": 4}}}
    dataset = make_dataset(normalize_all=False, **settings)
    table = dataset.field_tables["item"]["price"]
    assert table.kind.value == "categorical"
    assert table.values is not None
    prices = {token: float(line["price"]) for token, line in cells(tiny_folder, "item").items() if line["price"]}
    low, high = min(prices.values()), max(prices.values()) + 1e-9
    for token, price in prices.items():
        row = dataset.token2id("item_id", token)
        assert int(table.values[row]) == int((price - low) * 4 / (high - low)) + 1


def test_a_field_in_two_files_is_refused(make_dataset: MakeDataset, tiny_folder: Path) -> None:
    file = tiny_folder / "tiny" / "tiny.user"
    file.write_text(file.read_text(encoding="utf-8").replace("gender:token", "kind:token"), encoding="utf-8")
    with pytest.raises(DataError, match=r"field 'kind' is also in the .user file"):
        make_dataset()


def test_a_field_with_the_name_of_a_modality_is_refused(make_dataset: MakeDataset, tiny_folder: Path) -> None:
    file = tiny_folder / "tiny" / "tiny.item"
    file.write_text(file.read_text(encoding="utf-8").replace("kind:token", "interactions:token"), encoding="utf-8")
    with pytest.raises(DataError, match="cannot be named 'interactions'"):
        make_dataset()


def test_long_sequences_are_cut_as_recbole_does(make_dataset: MakeDataset) -> None:
    dataset = make_dataset(seq_len={"tags": 1, "text": 2})
    tags = dataset.field_tables["item"]["tags"]
    assert tags.offsets is not None
    assert int(tags.offsets.diff().max()) == 1
    assert dataset.field_tables["item"]["text"].size == 2


def test_workers_change_no_batch(make_config: Callable[..., Config]) -> None:
    def epochs(worker: int) -> list[np.ndarray]:
        config = make_config(worker=worker)
        init_seed(config["seed"], config["reproducibility"])
        train, _, _ = data_preparation(config, create_dataset(config))
        found = []
        for _ in range(2):
            before = np.random.get_state()[1].copy()
            found.append(np.concatenate([batch["neg_item_id"].numpy() for batch in train]))
            assert (np.random.get_state()[1] == before).all()
        return found

    alone, shared = epochs(0), epochs(2)
    assert all((a == b).all() for a, b in zip(alone, shared, strict=True))
    assert (alone[0] != alone[1]).any()


def test_negatives_are_never_positives_or_padding(make_model: Callable[..., tuple[Any, ...]]) -> None:
    _, _, train, _, _ = make_model()
    positives = set(
        zip(train.dataset.inter_feat["user_id"].tolist(), train.dataset.inter_feat["item_id"].tolist(), strict=True)
    )
    for batch in train:
        drawn = set(zip(batch["user_id"].tolist(), batch["neg_item_id"].tolist(), strict=True))
        assert not drawn & positives
        assert (batch["neg_item_id"] > 0).all()
