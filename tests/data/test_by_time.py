"""Cold start by time: the entities that appear last are held out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from recbole.config import Config
from recbole.data import create_dataset, data_preparation

from recbole_sibrar.data.atomic import DataError
from recbole_sibrar.data.split import partition_entities

MakeConfig = Callable[..., Config]

RATIOS = [0.6, 0.2, 0.2]


def by_time(side: str) -> dict[str, Any]:
    return {"split": {"CS": RATIOS}, "group_by": side, "order": "TO", "mode": "full"}


def held(config: Config, side: str) -> list[set[str]]:
    """Original ids of the entities of each part."""
    parts = [loader.dataset for loader in data_preparation(config, create_dataset(config))]
    field = f"{side}_id"
    return [set(part.field2id_token[field][part.inter_feat[field].numpy()]) for part in parts]


@pytest.mark.parametrize("side", ["user", "item"])
@pytest.mark.parametrize("model", ["SiBraR", "Pop"])
def test_last_entities(make_config: MakeConfig, tiny_folder: Path, model: str, side: str) -> None:
    frame = pd.read_csv(tiny_folder / "tiny" / "tiny.inter", sep="\t")
    first = frame.groupby(f"{side}_id:token")["timestamp:float"].min().sort_values()
    bounds = np.floor(np.cumsum(RATIOS) * len(first) + 0.5).astype(int)
    expected = [set(part) for part in np.split(first.index.to_numpy(), bounds[:-1])]
    load_col = {"inter": ["user_id", "item_id", "timestamp"]}
    assert held(make_config(model, eval_args=by_time(side), load_col=load_col), side) == expected


def test_seeds_hold_out_the_same(make_config: MakeConfig) -> None:
    first, second = (
        held(make_config(eval_args=by_time("item"), seed=seed), "item") for seed in (1, 2)
    )
    assert first == second


def test_equal_times_are_divided_at_random() -> None:
    tokens, times = [f"i{n}" for n in range(30)], np.zeros(30)
    at_random = partition_entities(tokens, RATIOS, 5, "item")
    assert (partition_entities(tokens, RATIOS, 5, "item", times) == at_random).all()
    assert (partition_entities(tokens, RATIOS, 6, "item", times) != at_random).any()


def test_missing_time(make_config: MakeConfig, tiny_folder: Path) -> None:
    file = tiny_folder / "tiny" / "tiny.inter"
    lines = file.read_text(encoding="utf-8").splitlines()
    lines[3] = lines[3].rpartition("\t")[0] + "\t"
    file.write_text("\n".join(lines), encoding="utf-8")
    with pytest.raises(
        DataError, match=r"order: TO: found 1 of \d+ interactions without timestamp"
    ):
        held(make_config(eval_args=by_time("item")), "item")


def test_ready_made() -> None:
    config = Config(
        "Pop",
        "ml-100k",
        config_file_list=["cold_start_item_by_time"],
        config_dict={"state": "ERROR"},
    )
    _, valid, test = (loader.dataset for loader in data_preparation(config, create_dataset(config)))
    assert (
        len(set(valid.inter_feat["item_id"].tolist()))
        == len(set(test.inter_feat["item_id"].tolist()))
        == 168
    )
