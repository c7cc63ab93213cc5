"""RecBole's own models and data sets with the installed NumPy, pandas and SciPy, whichever set it is."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from recbole.config import Config
from recbole.data import create_dataset, data_preparation
from recbole.evaluator import Collector, Evaluator
from recbole.utils import get_model

from recbole_sibrar.plugin import repairs

MakeConfig = Callable[..., Config]

COLUMNS = {"inter": ["user_id", "item_id"], "item": ["item_id", "tags", "price", "text"]}

FAULTS = """
import json, sys
import numpy as np, pandas as pd
from recbole.config import Config
from scipy.sparse import dok_matrix


def fails(function):
    try:
        return not function()
    except (AttributeError, TypeError):
        return True


def is_filled():
    frame = pd.DataFrame({"a": [1.0, None]})
    frame["a"].fillna(0, inplace=True)
    return not frame["a"].isna().any()


found = {
    "names": fails(lambda: Config.compatibility_settings(None) is None),
    "plain_results": fails(lambda: str([np.float64(0.5)]) == "[0.5]"),
    "lengths": fails(lambda: list(pd.Series([[1], [1, 2]]).agg(len)) == [1, 2]),
    "fill": fails(is_filled),
    "matrices": fails(lambda: dok_matrix((2, 2))._update({(0, 1): 1.0}) is None),
}
print(json.dumps([found, "recbole_sibrar" in sys.modules]))
"""
"""Fault -> True if RecBole alone has it with the installed libraries."""


@pytest.mark.slow
@pytest.mark.processes
def test_repairs_are_those_that_are_needed() -> None:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", FAULTS], capture_output=True, text=True, check=True
    )
    found, has_plugin = json.loads(done.stdout.splitlines()[-1])
    assert not has_plugin

    applied = repairs.apply_repairs()
    names = {repair.apply.__name__: repair.name for repair in repairs.REPAIRS}
    assert found == {fault: applied[names[f"repair_{fault}"]] for fault in found}


def rows_of(folder: Path) -> dict[str, list[str]]:
    """Cells of the items' file, by id."""
    lines = [
        line.split("\t") for line in (folder / "tiny" / "tiny.item").read_text().splitlines()[1:]
    ]
    return {line[0]: line[1:] for line in lines}


def built(config: Config) -> Any:
    """RecBole's data set, with tensors."""
    dataset = create_dataset(config)
    dataset.build()
    return dataset


def test_missing_numbers_are_means(make_config: MakeConfig, tiny_folder: Path) -> None:
    dataset = built(make_config("BPR", load_col=COLUMNS))
    found = dataset.item_feat["price"].numpy()
    prices = {item: cells[2] for item, cells in rows_of(tiny_folder).items()}
    mean = np.mean([float(price) for price in prices.values() if price])

    expected = [float(prices.get(item) or mean) for item in dataset.field2id_token["item_id"][1:]]
    assert found[1:] == pytest.approx(expected)


@pytest.mark.parametrize("scaling", [{}, {"normalize_field": ["text"]}])
def test_sequences_keep_their_rows(
    make_config: MakeConfig, tiny_folder: Path, scaling: dict[str, Any]
) -> None:
    dataset = built(make_config("BPR", load_col=COLUMNS, **scaling))
    rows = rows_of(tiny_folder)
    numbers = np.array([float(number) for cells in rows.values() for number in cells[3].split()])
    low, high = (numbers.min(), numbers.max()) if scaling else (0, 1)

    for number, item in enumerate(dataset.field2id_token["item_id"]):
        _, tags, _, text = rows.get(item, ["", "", "", ""])
        found = dataset.item_feat["tags"][number]
        assert list(dataset.id2token("tags", found[found > 0])) == tags.split()
        vector = [(float(value) - low) / (high - low) for value in text.split()]
        assert dataset.item_feat["text"][number].tolist() == pytest.approx(
            vector or [0] * 5, abs=1e-6
        )


def test_recbole_reads_empty_sequences(make_config: MakeConfig, tiny_folder: Path) -> None:
    file = tiny_folder / "tiny" / "tiny.item"
    lines = file.read_text().splitlines()
    # a vector of another length is left to RecBole's own reader
    lines[1] = lines[1].rsplit(" ", 1)[0]
    file.write_text("\n".join(lines) + "\n")

    dataset = built(make_config("BPR", load_col=COLUMNS))
    lengths = (dataset.item_feat["text"] != 0).sum(1)
    expected = {item: len(cells[3].split()) for item, cells in rows_of(tiny_folder).items()}
    assert [expected.get(item, 0) for item in dataset.field2id_token["item_id"]] == lengths.tolist()


@pytest.mark.parametrize("model", ["NGCF", "NCL", "GCMC", "SpectralCF"])
def test_graph_models_are_made(make_config: MakeConfig, model: str) -> None:
    config = make_config(model)
    train, *_ = data_preparation(config, create_dataset(config))
    assert get_model(model)(config, train.dataset)


def test_graph_is_the_normalised_one(make_config: MakeConfig) -> None:
    config = make_config("LightGCN")
    train, *_ = data_preparation(config, create_dataset(config))
    found = get_model("LightGCN")(config, train.dataset).norm_adj_matrix.to_dense().cpu().numpy()

    pairs = train.dataset.inter_feat
    n_users = train.dataset.user_num
    graph = np.zeros_like(found)
    graph[pairs["user_id"], pairs["item_id"] + n_users] = 1
    graph += graph.T
    scale = 1 / np.sqrt(graph.sum(1) + 1e-7)
    assert found == pytest.approx(scale[:, None] * graph * scale, abs=1e-6)


def test_results_are_printed_as_numbers(make_config: MakeConfig) -> None:
    config = make_config("BPR", metrics=["Recall", "MRR"], topk=[2], valid_metric="MRR@2")
    collector = Collector(config)
    collector.eval_batch_collect(
        torch.tensor([[-torch.inf, 3, 2, 1]]), None, torch.tensor([0]), torch.tensor([2])
    )
    results = Evaluator(config).evaluate(collector.get_data_struct())
    assert str(dict(results)) == "{'recall@2': 1.0, 'mrr@2': 0.5}"


def test_names_of_numpy_are_types(make_config: MakeConfig) -> None:
    make_config("BPR")
    assert (np.float, np.int, np.bool, np.str) == (np.float64, np.int_, np.bool_, np.str_)
