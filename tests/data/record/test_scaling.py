"""Scaling by the data of training: RecBole's own on them, and the same function on others."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from recbole_sibrar.data.record.recording import recorder_of
from recbole_sibrar.data.record.scaling import scaled
from recbole_sibrar.data.record.training_data import KEY

Build = Callable[..., Any]
METHODS = [{"method": "ED", "bucket": 4}, {"method": "LD"}]


def items(dataset: Any) -> dict[str, Any]:
    """Original id of each item -> its price as the model sees it."""
    table = dataset.item_feat
    column = table["price"]
    return dict(zip(dataset.field2id_token["item_id"], column.tolist(), strict=True))


def append(folder: Path, *rows: str) -> None:
    with (folder / "tiny" / "tiny.item").open("a") as file:
        file.writelines(f"{row}\n" for row in rows)


def reload(make_config: Build, make_dataset: Build, then: Any, **keys: Any) -> Any:
    """The data set of a configuration that comes from a checkpoint of other data."""
    config = make_config(**keys)
    config.__dict__[KEY] = recorder_of(then).record().plain
    return type(then)(config)


@pytest.mark.parametrize("keys", [{"normalize_all": True}, {"normalize_field": ["price", "text"]}])
def test_ranges_of_training_are_kept(
    make_config: Build, make_dataset: Build, tiny_folder: Path, keys: dict[str, Any]
) -> None:
    settings = {"model": "FM", "load_col": None, **keys}
    then = make_dataset(**settings)
    append(tiny_folder, "new\tc1\t\t119.5\t9 9 9 9 9", "low\tc1\t\t-18.5\t", "none\tc1\t\t\t")
    now = reload(make_config, make_dataset, then, **settings)
    before, after = items(then), items(now)
    assert {name: after[name] for name in before} == before
    # prices of training are 0.5 to 19.5
    assert after["new"] == pytest.approx((119.5 - 0.5) / 19)
    assert after["low"] == pytest.approx((-18.5 - 0.5) / 19)
    known = [n / 2 for n in range(1, 40) if n % 6]
    assert after["none"] == pytest.approx((np.mean(known) - 0.5) / 19)
    for old, new in zip(then.item_feat["text"], now.item_feat["text"], strict=False):
        assert old.tolist() == new.tolist()


@pytest.mark.parametrize("method", METHODS)
def test_buckets_of_training_are_kept(
    make_config: Build, make_dataset: Build, tiny_folder: Path, method: dict[str, Any]
) -> None:
    settings = {
        "model": "FM",
        "load_col": None,
        "numerical_features": ["price"],
        "discretization": {"price": method},
    }
    then = make_dataset(**settings)
    append(tiny_folder, "high\tc1\t\t500\t", "low\tc1\t\t-500\t", "twin\tc1\t\t1\t")
    now = reload(make_config, make_dataset, then, **settings)
    before, after = items(then), items(now)
    assert {name: after[name] for name in before} == before
    assert now.field2bucketnum["price"] == then.field2bucketnum["price"]
    used = sorted({bucket for _, bucket in before.values()})
    assert (after["high"][1], after["low"][1]) == (used[-1], used[0])
    assert after["twin"] == before["i2"]  # whose price is 1 as well


def test_a_constant_stays_one() -> None:
    assert scaled(pd.Series([3.0, 4.0]), (3.0, 3.0)).tolist() == [1.0, 1.0]
    assert [
        row.tolist() for row in scaled(pd.Series([np.array([1.0, 3.0]), np.array([])]), (1.0, 5.0))
    ] == [
        [0.0, 0.5],
        [],
    ]
