from __future__ import annotations

import inspect
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from recbole.data.dataloader import FullSortEvalDataLoader
from recbole.data.interaction import Interaction
from recbole.evaluator.collector import Collector, DataStruct
from recbole.evaluator.metrics import TailPercentage
from recbole.utils import InputType
from scipy.stats import rankdata

from recbole_sibrar.evaluator import ranking
from recbole_sibrar.evaluator.ranking import (
    collect_batch,
    find_best,
    needs_best,
    rank_sums,
    tail_items,
)

RECBOLE = inspect.unwrap(Collector.eval_batch_collect)
NEEDS = ("rec.items", "rec.topk", "rec.meanrank", "rec.score", "data.label")


def make_collector(needs: set[str]) -> Any:
    collector = Collector.__new__(Collector)
    collector.device, collector.topk, collector.config = "cpu", [3, 5], {"LABEL_FIELD": "label"}
    collector.data_struct, collector.register = (
        DataStruct(),
        SimpleNamespace(need=needs.__contains__),
    )
    return collector


def make_scores(seed: int, n_rows: int, n_items: int) -> torch.Tensor:
    """Scores with many ties, some of which are not ranked."""
    rng = np.random.default_rng(seed)
    scores = rng.integers(0, 8, size=(n_rows, n_items)).astype(np.float32) / 4
    scores[rng.random(scores.shape) < 0.2] = -np.inf
    scores[:, 0] = -np.inf
    return torch.from_numpy(scores)


@pytest.mark.parametrize(
    "needs", [{"rec.items"}, {"rec.topk"}, {"rec.meanrank"}, set(NEEDS[:3]), set(NEEDS), set()]
)
@pytest.mark.parametrize("seed", range(3))
def test_batches_are_collected_like_recbole(needs: set[str], seed: int) -> None:
    expected, found = make_collector(needs), make_collector(needs)
    rng = np.random.default_rng(10 + seed)
    for n_rows in (7, 4):
        scores = make_scores(seed, n_rows, 40)
        # some rows have no held-out item
        rows = torch.from_numpy(np.sort(rng.integers(0, n_rows, size=12)))
        items = torch.from_numpy(rng.integers(1, 40, size=12))
        batch = Interaction({"label": torch.ones(n_rows)})
        RECBOLE(expected, scores.clone(), batch, rows, items)
        top = find_best(scores, 5, empty_places=False) if needs_best(found) else None
        collect_batch(RECBOLE, found, scores.clone(), batch, rows, items, top)
    assert set(found.data_struct._data_dict) == set(expected.data_struct._data_dict) == needs
    for name in needs:
        assert found.data_struct.get(name).dtype == expected.data_struct.get(name).dtype
        assert torch.equal(found.data_struct.get(name), expected.data_struct.get(name)), name


def test_ties_share_their_mean_rank() -> None:
    scores = make_scores(5, 6, 30)
    rows, items = torch.tensor([0, 0, 2, 5, 5, 5]), torch.tensor([3, 9, 1, 2, 4, 8])
    sums, n_ranked = rank_sums(scores, rows, items)
    ranks = rankdata(-scores.numpy(), axis=1)
    expected = np.zeros(6)
    np.add.at(expected, rows.numpy(), ranks[rows, items])
    assert sums[:, 0].tolist() == expected.tolist()
    assert n_ranked[:, 0].tolist() == np.isfinite(scores.numpy()).sum(1).tolist()


@pytest.mark.parametrize("tail_ratio", [0.3, 4])
def test_the_long_tail_is_recboles(tail_ratio: float) -> None:
    rng = np.random.default_rng(0)
    items = rng.integers(0, 20, size=(9, 5))  # RecBole's padding item 0 can be among them
    counts = {item: int(count) for item, count in enumerate(rng.integers(1, 9, size=20), 1)}
    metric = TailPercentage({"topk": [5], "tail_ratio": tail_ratio, "metric_decimal_place": 4})
    original = inspect.unwrap(TailPercentage.get_tail)
    expected = original(metric, items, counts)
    found = tail_items(original, metric, items, counts)
    assert expected.any()
    assert found.dtype == expected.dtype
    assert np.array_equal(found, expected)


def test_full_sort_batches_equal_recbole(make_model: Callable[..., Any]) -> None:
    _, model, _, valid, _ = make_model(model="BPR")
    assert type(valid) is FullSortEvalDataLoader
    assert model.input_type is InputType.PAIRWISE
    index = list(range(5, 30, 3))
    users, history, rows, items = valid.collate_fn(index)
    expected_users, expected_history, *expected = inspect.unwrap(FullSortEvalDataLoader.collate_fn)(
        valid, index
    )
    assert torch.equal(users["user_id"], expected_users["user_id"])
    assert len(expected_history[0])
    for one, other in zip((*history, rows, items), (*expected_history, *expected), strict=True):
        assert one.dtype == other.dtype
        assert torch.equal(one, other)


def many_scores(kind: str) -> torch.Tensor:
    """Scores of a catalogue that is searched by blocks, with a rest behind the last one."""
    scores = torch.randn(6, 70_001)
    if kind == "equal scores":
        scores = scores.round(decimals=1)
    elif kind == "few candidates":
        scores[1:4, 4:] = -torch.inf
    elif kind == "neighbours":
        scores[:, 1000:1020] += 100
    elif kind == "best ones in the rest":
        scores[:, -5:] += 100
    elif kind == "not a number":
        scores[2, [7, 69_000]] = torch.nan
    return scores


@pytest.mark.parametrize("k", [1, 10, 30])
@pytest.mark.parametrize(
    "kind",
    [
        "different",
        "equal scores",
        "few candidates",
        "neighbours",
        "best ones in the rest",
        "not a number",
    ],
)
def test_blocks_have_the_result_of_torch(kind: str, k: int) -> None:
    scores = many_scores(kind)
    expected = torch.topk(scores, k, dim=-1)
    found = find_best(scores, k, empty_places=False)
    assert torch.equal(found.values.nan_to_num(9e9), expected.values.nan_to_num(9e9))
    assert torch.equal(found.items, expected.indices)


def test_large_rows_are_searched_by_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    searched = []
    monkeypatch.setattr(ranking, "_find", lambda scores, k: searched.append(scores.shape))
    scores = many_scores("different")
    find_best(scores, 10, empty_places=False)
    assert not searched
