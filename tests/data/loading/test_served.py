"""``item_feat`` and ``user_feat`` of models of ours hold what those of RecBole's own data set hold."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from recbole.config import Config
from recbole.data import data_preparation
from recbole.data.dataset import Dataset
from recbole.data.interaction import Interaction
from recbole.utils import FeatureSource, FeatureType

from recbole_sibrar.data.dataset import MultimodalDataset
from recbole_sibrar.data.loading.served import ServedFields, VectorRows

MakeDataset = Callable[..., MultimodalDataset]
MakeConfig = Callable[..., Config]
SETTINGS: list[dict[str, Any]] = [
    {},
    {"normalize_all": True},
    {"normalize_all": False, "normalize_field": ["price", "text"]},
    {"numerical_features": ["price", "age"]},
    {"numerical_features": ["price"], "discretization": {"price": {"method": "ED", "bucket": 4}}},
    {"seq_len": {"tags": 1, "text": 2}},
    {"user_inter_num_interval": "[10,inf)", "item_inter_num_interval": "[4,inf)"},
    {"load_col": {"inter": "*", "item": ["tags", "item_id", "text"]}},
    {"unused_col": {"item": ["kind", "text"], "user": ["age"]}},
]
SIDES = ["user", "item"]


def served(dataset: MultimodalDataset, side: str) -> ServedFields:
    feat = getattr(dataset, f"{side}_feat")
    assert isinstance(feat, ServedFields)
    return feat


def recboles(make_config: MakeConfig, **settings: Any) -> Dataset:
    dataset = Dataset(make_config(**settings))
    dataset.build()
    return dataset


def assert_same(found: Interaction, expected: Interaction) -> None:
    assert found.columns == expected.columns
    assert len(found) == len(expected)
    for name in expected:
        assert found[name].dtype == expected[name].dtype
        assert found[name].shape == expected[name].shape
        # RecBole scales in 64 bits
        assert torch.allclose(found[name], expected[name], rtol=0, atol=2e-7), name


@pytest.mark.slow
@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("settings", SETTINGS)
def test_fields_are_those_of_recbole(
    make_dataset: MakeDataset, make_config: MakeConfig, settings: dict[str, Any], side: str
) -> None:
    dataset = make_dataset(**settings)
    dataset.build()
    expected = getattr(recboles(make_config, **settings), f"{side}_feat")
    if expected is None:
        assert getattr(dataset, f"{side}_feat") is None
        return
    assert_same(served(dataset, side), expected)
    assert getattr(dataset, f"get_{side}_feature")() is served(dataset, side)


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("settings", [{}, {"numerical_features": ["price"]}, SETTINGS[6]])
def test_frames_are_those_of_recbole(
    make_dataset: MakeDataset, make_config: MakeConfig, settings: dict[str, Any], side: str
) -> None:
    found = getattr(make_dataset(**settings), f"{side}_feat")
    expected = getattr(Dataset(make_config(**settings)), f"{side}_feat")
    assert list(found.columns) == list(expected.columns)
    for name in expected:
        for one, other in zip(found[name], expected[name], strict=True):
            assert np.allclose(one, other, rtol=1e-7)


@pytest.mark.parametrize("side", SIDES)
def test_rows_are_those_of_recbole(
    make_dataset: MakeDataset, make_config: MakeConfig, side: str
) -> None:
    dataset = make_dataset()
    dataset.build()
    found, expected = served(dataset, side), getattr(recboles(make_config), f"{side}_feat")
    for index in ([3, 0, 4], np.array([5]), torch.tensor([8, 8]), slice(2, 9)):
        assert_same(found[index], expected[index])
    for name in expected:
        assert torch.equal(found[7][name], expected[7][name])
        assert torch.equal(found[8][name], expected[8][name])  # without a vector
    assert_same(found.to("cpu"), expected)
    assert_same(copy.deepcopy(found), expected)
    assert_same(found.repeat(2), expected.repeat(2))
    assert found.to("meta")["item_id" if side == "item" else "user_id"].device.type == "meta"
    assert found["item_id" if side == "item" else "user_id"].device.type == "cpu"


def test_every_listed_field_can_be_read(make_model: Callable[..., tuple[Any, ...]]) -> None:
    _, _, *loaders = make_model()
    for loader in loaders:
        dataset = loader._dataset
        for source, feat in (
            (FeatureSource.ITEM, dataset.item_feat),
            (FeatureSource.USER, dataset.user_feat),
        ):
            names = dataset.fields(source=[source])
            assert len(names) == 4
            for name in names:
                assert name in feat
                assert len(feat[name]) == len(feat)
    assert "colour" not in dataset.item_feat
    with pytest.raises(KeyError):
        dataset.item_feat["colour"]


def test_batches_hold_ids_only(make_model: Callable[..., tuple[Any, ...]]) -> None:
    _, _, train, valid, _ = make_model()
    ids = {"user_id", "item_id"}
    assert set(next(iter(train)).columns) == {*ids, "rating", "timestamp", "neg_item_id"}
    assert set(next(iter(valid))[0].columns) == {"user_id"}
    assert set(train._dataset.join(Interaction({"item_id": torch.arange(3)})).columns) == {
        "item_id"
    }


def test_vectors_are_held_once(make_dataset: MakeDataset) -> None:
    dataset = make_dataset()
    dataset.build()
    column = served(dataset, "item").vectors()["text"]
    table = dataset.field_tables["item"]["text"]
    assert table.values is not None
    assert column.values.data_ptr() == table.values.data_ptr()
    before = table.values.clone()
    served(dataset, "item")["text"].zero_()
    served(dataset, "item")[4]["text"].zero_()
    assert torch.equal(table.values.nan_to_num(), before.nan_to_num())


@pytest.mark.parametrize("built", [True, False])
def test_pickled_data_sets_have_their_fields(
    make_dataset: MakeDataset, make_config: MakeConfig, built: bool
) -> None:
    dataset = make_dataset()
    vector = max(dataset.item_feat["text"], key=len).tobytes()
    if built:
        dataset.build()
    content = pickle.dumps(dataset)
    assert content.count(vector) == 1
    again = pickle.loads(content)
    if not built:
        pd.testing.assert_frame_equal(again.item_feat, dataset.item_feat)
        again.build()
    assert_same(served(again, "item"), recboles(make_config).item_feat)
    assert (
        again.field_tables["item"]["text"].describe()
        == dataset.field_tables["item"]["text"].describe()
    )


def test_columns_can_be_added_and_removed(make_dataset: MakeDataset) -> None:
    dataset = make_dataset()
    dataset.build()
    feat = served(dataset, "item")
    feat["group"] = torch.arange(len(feat))
    assert feat[[2, 3]]["group"].tolist() == [2, 3]
    del feat["kind"]
    assert feat.columns == ["item_id", "tags", "price", "text", "group"]


def test_unused_columns_are_gone(make_dataset: MakeDataset) -> None:
    dataset = make_dataset(unused_col={"item": ["kind"]})
    assert "kind" in dataset.item_feat
    data_preparation(dataset.config, dataset)
    assert "kind" not in dataset.item_feat
    assert dataset.fields(source=[FeatureSource.ITEM], ftype=[FeatureType.TOKEN]) == []


def test_a_column_without_vectors_is_served() -> None:
    column = VectorRows(torch.ones(2, 3), None, torch.tensor([False, False]))
    assert column.tensor().tolist() == [[0.0] * 3] * 2
    assert [len(row) for row in column.arrays()] == [0, 0]
