"""Tables of the data set against the text of its files, RecBole's own data set and SciPy."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import recbole
import torch
from recbole.config import Config
from recbole.data import create_dataset
from recbole.data.dataset import Dataset
from scipy.sparse import csr_matrix

from recbole_sibrar.data.atomic import DataError, cache
from recbole_sibrar.data.dataset import MultimodalDataset
from recbole_sibrar.data.modality import ModalityTable

MakeDataset = Callable[..., MultimodalDataset]
KINDS = {
    "token": "categorical",
    "token_seq": "multi-label",
    "float": "scalar",
    "float_seq": "vector",
}
INTER = ["user_id", "item_id"]


@pytest.fixture
def ml_100k(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MakeDataset:
    """RecBole's example data: ``ml_100k(unload_col={"item": ["class"]})``."""
    monkeypatch.setattr("sys.argv", ["test"])
    monkeypatch.chdir(tmp_path)

    def build(**settings: Any) -> MultimodalDataset:
        return create_dataset(
            Config("SiBraR", "ml-100k", config_dict={"state": "ERROR", **settings})
        )

    return build


def cells(file: Path) -> tuple[dict[str, str], dict[str, dict[str, str]]]:
    """What a file says: field -> type, and id -> field -> cell."""
    header, *lines = (
        line.split("\t") for line in file.read_text(encoding="utf-8").rstrip("\n").split("\n")
    )
    types = dict(cell.rsplit(":", 1) for cell in header)
    return types, {line[0]: dict(zip(types, line, strict=True)) for line in lines}


def value(table: ModalityTable, row: int) -> list[Any]:
    if table.indices is not None and table.offsets is not None:
        return table.indices[table.offsets[row] : table.offsets[row + 1]].tolist()
    return table.values_of(torch.tensor([row])).flatten().tolist()


def assert_tables_hold_what_the_file_says(
    dataset: MultimodalDataset, side: str, file: Path
) -> None:
    types, expected = cells(file)
    id_field = f"{side}_id"
    tables = dataset.field_tables[side]
    assert {name: table.kind.value for name, table in tables.items()} == {
        name: KINDS[kind] for name, kind in types.items() if name != id_field
    }
    tokens = dataset.field2id_token[id_field]
    assert {len(table) for table in tables.values()} == {len(tokens)}
    for name, table in tables.items():
        for row, token in enumerate(tokens):
            cell = expected.get(token, {}).get(name, "")
            assert bool(table.available[row]) == bool(cell), (token, name)
            found = value(table, row)
            if types[name] == "token" and cell:
                assert [dataset.field2id_token[name][i] for i in found] == [cell]
            elif types[name] == "token_seq":
                assert {dataset.field2id_token[name][i] for i in found} == set(cell.split())
            elif types[name].startswith("float") and cell:
                assert found == pytest.approx([float(number) for number in cell.split()])
            elif table.rows is None:  # else what a missing vector would be is nobody's row
                assert not any(found)


@pytest.mark.parametrize("side", ["user", "item"])
@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"filter_inter_by_user_or_item": True},
        {"user_inter_num_interval": "[10,inf)", "item_inter_num_interval": "[4,inf)"},
        {"val_interval": {"rating": "[4,inf)"}},
    ],
)
def test_values_of_the_file(
    make_dataset: MakeDataset, tiny_folder: Path, settings: dict[str, Any], side: str
) -> None:
    dataset = make_dataset(normalize_all=False, **settings)
    assert_tables_hold_what_the_file_says(dataset, side, tiny_folder / "tiny" / f"tiny.{side}")


@pytest.mark.parametrize("side", ["user", "item"])
def test_values_of_ml_100k(ml_100k: MakeDataset, side: str) -> None:
    folder = Path(recbole.__path__[0]) / "dataset_example" / "ml-100k"
    assert_tables_hold_what_the_file_says(ml_100k(), side, folder / f"ml-100k.{side}")


def test_first_line_of_an_item_counts(make_dataset: MakeDataset, tiny_folder: Path) -> None:
    with open(tiny_folder / "tiny" / "tiny.item", "a", encoding="utf-8") as file:
        file.write("i3\tc9\tt9\t99\t9 9 9 9 9\nnew\tc1\t\t7.5\t1 2 3 4 5\n")
    dataset = make_dataset(normalize_all=False)
    tables = dataset.field_tables["item"]
    assert value(tables["price"], dataset.token2id("item_id", "i3")) == [1.5]
    new = dataset.token2id("item_id", "new")
    assert value(tables["text"], new) == [1, 2, 3, 4, 5]
    assert {
        name: bool(table.available[new]) for name, table in dataset.modality_tables("item").items()
    } == {
        "interactions": False,
        "kind": True,
        "tags": False,
        "price": True,
        "text": True,
        "id": False,
    }


def test_zero_is_a_value(make_dataset: MakeDataset, tiny_folder: Path) -> None:
    with open(tiny_folder / "tiny" / "tiny.item", "a", encoding="utf-8") as file:
        file.write("zero\t0\t0\t0\t0 0 0 0 0\n")
    dataset = make_dataset(normalize_all=False)
    row = dataset.token2id("item_id", "zero")
    assert all(table.available[row] for table in dataset.field_tables["item"].values())


def test_the_padding_row_has_nothing(make_dataset: MakeDataset) -> None:
    dataset = make_dataset()
    for side in ("user", "item"):
        for table in dataset.modality_tables(side).values():
            assert not table.available[0]


@pytest.mark.parametrize(
    ("settings", "normalised"),
    [
        ({"normalize_all": True}, {"price", "text", "age", "profile"}),
        ({"normalize_all": False, "normalize_field": ["price", "text"]}, {"price", "text"}),
        ({"normalize_all": False}, set()),
    ],
)
def test_numbers_are_normalised(
    make_dataset: MakeDataset,
    make_config: Callable[..., Config],
    tiny_folder: Path,
    settings: dict[str, Any],
    normalised: set[str],
) -> None:
    dataset = make_dataset(**settings)
    plain = Dataset(make_config(**settings))
    plain._change_feat_format()
    for side, names in (("item", ("price", "text")), ("user", ("age", "profile"))):
        lines = cells(tiny_folder / "tiny" / f"tiny.{side}")[1]
        for name in names:
            numbers = {
                token: [float(x) for x in line[name].split()]
                for token, line in lines.items()
                if line[name]
            }
            flat = [number for row in numbers.values() for number in row]
            low, span = (min(flat), max(flat) - min(flat)) if name in normalised else (0, 1)
            table = dataset.field_tables[side][name]
            for token, row in numbers.items():
                found = value(table, dataset.token2id(f"{side}_id", token))
                assert found == pytest.approx([(number - low) / span for number in row], abs=1e-6)
            available = table.available.nonzero().flatten()
            recboles = getattr(plain, f"{side}_feat")[name].reshape(len(table), -1)
            assert torch.allclose(
                table.values_of(available), recboles[available], rtol=0, atol=2e-7
            )


@pytest.mark.parametrize("side", ["user", "item"])
@pytest.mark.parametrize("split", [{"RS": [0.8, 0.1, 0.1]}, {"LS": "valid_and_test"}])
def test_interactions_of_training_alone(
    make_model: Callable[..., tuple[Any, ...]], tiny_folder: Path, split: dict[str, Any], side: str
) -> None:
    eval_args = {"split": split, "order": "RO", "group_by": "user", "mode": "full"}
    _, _, *loaders = make_model(eval_args=eval_args)
    whole = loaders[0].dataset
    shape = (whole.user_num, whole.item_num)

    def matrix(users: Any, items: Any) -> csr_matrix:
        return csr_matrix(
            (np.ones(len(users)), (np.asarray(users), np.asarray(items))), shape=shape
        )

    training, *held_out = (
        matrix(part.dataset.inter_feat["user_id"], part.dataset.inter_feat["item_id"])
        for part in loaders
    )
    lines = [
        line.split("\t")
        for line in (tiny_folder / "tiny" / "tiny.inter").read_text().splitlines()[1:]
    ]
    users, items = ([whole.token2id(INTER[j], line[j]) for line in lines] for j in (0, 1))
    assert (training + sum(held_out) != matrix(users, items)).nnz == 0
    expected = training if side == "user" else training.T.tocsr()
    expected.sort_indices()
    tables = whole.modality_tables(side)
    table = tables["interactions"]
    assert table.indices is not None
    assert table.offsets is not None
    assert table.indices.tolist() == expected.indices.tolist()
    assert table.offsets.tolist() == expected.indptr.tolist()
    assert table.size == expected.shape[1]
    found = csr_matrix(
        (np.ones(len(table.indices)), table.indices, table.offsets), shape=expected.shape
    )
    assert all(found.multiply(other if side == "user" else other.T).nnz == 0 for other in held_out)
    trained = (expected.sum(1) > 0).A1.tolist()
    assert table.available.tolist() == tables["id"].available.tolist() == trained


def test_repeated_interaction_counts_once(make_dataset: MakeDataset, tiny_folder: Path) -> None:
    file = tiny_folder / "tiny" / "tiny.inter"
    text = file.read_text(encoding="utf-8")
    file.write_text(text + text.split("\n")[1] + "\n", encoding="utf-8")
    table = make_dataset().modality_tables("user")["interactions"]
    assert table.indices is not None
    assert len(table.indices) == text.count("\n") - 1


def test_entities_without_a_line(make_dataset: MakeDataset, tiny_folder: Path) -> None:
    lines = (tiny_folder / "tiny" / "tiny.inter").read_text(encoding="utf-8").splitlines()[1:]
    dataset = make_dataset()
    assert len(dataset) == len(lines)
    assert {"u30", "i40"} <= set(dataset.field2id_token["user_id"]) | set(
        dataset.field2id_token["item_id"]
    )
    assert len(make_dataset(filter_inter_by_user_or_item=True)) < len(lines)


def test_ml_100k_loads_all_fields(ml_100k: MakeDataset) -> None:
    def fields(**settings: Any) -> tuple[set[str], set[str]]:
        dataset = ml_100k(**settings)
        return set(dataset.field_tables["user"]), set(dataset.field_tables["item"])

    user, item = (
        {"age", "gender", "occupation", "zip_code"},
        {"movie_title", "release_year", "class"},
    )
    assert fields() == (user, item)
    assert fields(unload_col={"item": ["movie_title"]}) == (user, item - {"movie_title"})
    assert fields(load_col={"inter": INTER, "item": ["item_id", "class"]}) == (set(), {"class"})
    assert fields(unused_col={"user": ["zip_code", "age"]}) == ({"gender", "occupation"}, item)


@pytest.mark.parametrize(
    ("settings", "user", "item"),
    [
        ({"load_col": {"inter": INTER}}, [], []),
        ({"load_col": {"inter": INTER, "user": "*"}}, ["gender", "likes", "age", "profile"], []),
        ({"load_col": {"inter": "*", "item": ["item_id", "text", "kind"]}}, [], ["kind", "text"]),
        (
            {"unload_col": {"user": ["age", "likes"], "item": ["text"]}},
            ["gender", "profile"],
            ["kind", "tags", "price"],
        ),
        (
            {"unused_col": {"item": ["kind", "tags", "price", "text"], "user": ["age"]}},
            ["gender", "likes", "profile"],
            [],
        ),
    ],
)
def test_unwanted_fields_are_no_modalities(
    make_dataset: MakeDataset, settings: dict[str, Any], user: list[str], item: list[str]
) -> None:
    dataset = make_dataset(**settings)
    assert list(dataset.modality_tables("user")) == ["interactions", *user, "id"]
    assert list(dataset.modality_tables("item")) == ["interactions", *item, "id"]


def test_unused_columns_are_dropped(make_model: Callable[..., tuple[Any, ...]]) -> None:
    _, _, train, *_ = make_model(unused_col={"inter": ["timestamp", "rating"]})
    assert set(next(iter(train)).columns) == {"user_id", "item_id", "neg_item_id"}


def test_discretised_numbers_are_categories(make_dataset: MakeDataset, tiny_folder: Path) -> None:
    settings = {
        "numerical_features": ["price"],
        "discretization": {"price": {"method": "ED", "bucket": 4}},
    }
    dataset = make_dataset(normalize_all=False, **settings)
    table = dataset.field_tables["item"]["price"]
    assert table.kind.value == "categorical"
    assert table.values is not None
    prices = {
        token: float(line["price"])
        for token, line in cells(tiny_folder / "tiny" / "tiny.item")[1].items()
        if line["price"]
    }
    low, high = min(prices.values()), max(prices.values()) + 1e-9
    for token, price in prices.items():
        row = dataset.token2id("item_id", token)
        assert int(table.values[row]) == int((price - low) * 4 / (high - low)) + 1


def test_a_field_in_two_files_is_refused(make_dataset: MakeDataset, tiny_folder: Path) -> None:
    file = tiny_folder / "tiny" / "tiny.user"
    file.write_text(
        file.read_text(encoding="utf-8").replace("gender:token", "kind:token"), encoding="utf-8"
    )
    with pytest.raises(DataError, match=r"field 'kind' is also in the .user file"):
        make_dataset()


def test_reserved_name_is_refused(make_dataset: MakeDataset, tiny_folder: Path) -> None:
    file = tiny_folder / "tiny" / "tiny.item"
    file.write_text(
        file.read_text(encoding="utf-8").replace("kind:token", "interactions:token"),
        encoding="utf-8",
    )
    with pytest.raises(DataError, match="cannot be named 'interactions'"):
        make_dataset()


def test_long_sequences_are_cut(make_dataset: MakeDataset) -> None:
    dataset = make_dataset(seq_len={"tags": 1, "text": 2})
    tags = dataset.field_tables["item"]["tags"]
    assert tags.offsets is not None
    assert int(tags.offsets.diff().max()) == 1
    assert dataset.field_tables["item"]["text"].size == 2


def test_vectors_stay_in_the_cache_file(
    make_dataset: MakeDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache, "SMALLEST", 0)
    mapped: list[np.ndarray] = []
    load = np.load
    monkeypatch.setattr(
        np, "load", lambda *args, **kwargs: mapped.append(load(*args, **kwargs)) or mapped[-1]
    )
    first, second = (
        make_dataset(normalize_all=False).field_tables["item"]["text"] for _ in range(2)
    )
    assert second.values is not None
    assert second.values.data_ptr() in {
        matrix.ctypes.data for matrix in mapped if isinstance(matrix, np.memmap)
    }
    entities = first.available.nonzero().flatten()
    assert len(entities) > 5
    assert torch.equal(first.values_of(entities), second.values_of(entities))


def test_few_vectors_of_a_large_file(make_dataset: MakeDataset, tiny_folder: Path) -> None:
    file = tiny_folder / "tiny" / "tiny.item"
    dataset = make_dataset(normalize_all=False, filter_inter_by_user_or_item=True)
    expected = {
        token: value(dataset.field_tables["item"]["text"], i) for token, i in ids(dataset).items()
    }
    with file.open("a", encoding="utf-8") as stream:
        stream.writelines(f"unused{i}\tc1\t\t7.5\t1 2 3 4 5\n" for i in range(200))
    interval = {"item_inter_num_interval": "[1,inf)", "user_inter_num_interval": "[1,inf)"}
    dataset = make_dataset(normalize_all=False, **interval)
    table = dataset.field_tables["item"]["text"]
    assert table.rows is None
    for token, i in ids(dataset).items():
        if table.available[i]:
            assert value(table, i) == expected[token]


def ids(dataset: MultimodalDataset) -> dict[str, int]:
    return {token: i for i, token in enumerate(dataset.field2id_token["item_id"]) if i}
