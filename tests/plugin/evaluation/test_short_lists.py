"""Lists with fewer candidates than places: every metric agrees with NumPy on the ranked items."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from recbole.evaluator import Collector
from recbole.utils import get_trainer

Build = Callable[..., tuple[Any, ...]]
OF_HITS = ["Recall", "Precision", "MRR", "NDCG", "Hit", "MAP"]
OF_ITEMS = ["ItemCoverage", "ShannonEntropy", "GiniIndex", "AveragePopularity", "TailPercentage"]
K = 30


def cold(group_by: str, mode: str = "full") -> dict[str, Any]:
    return {"split": {"CS": [0.8, 0.1, 0.1]}, "group_by": group_by, "mode": mode}


@pytest.fixture
def evaluated(make_model: Build, monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[Any, ...]]:
    """The result of a test, the list and the held-out items of each user, and the training data."""

    def evaluate(model: str, arguments: dict[str, Any], **keys: Any) -> tuple[Any, ...]:
        lists: list[list[int]] = []
        held_out: list[set[int]] = []
        original = Collector.eval_batch_collect

        def spy(
            collector: Any, scores: torch.Tensor, interaction: Any, rows: Any, items: Any
        ) -> None:
            for row, ranked in enumerate(scores):
                order = ranked.argsort(descending=True).tolist()
                lists.append([item for item in order if ranked[item] > -torch.inf][:K])
                held_out.append(set(items[rows == row].tolist()))
            original(collector, scores, interaction, rows, items)

        metrics = [*OF_HITS, *OF_ITEMS, "Coverage", "F1"]
        settings = {
            "metrics": metrics,
            "topk": [K],
            "valid_metric": f"MRR@{K}",
            "metric_decimal_place": 10,
            "tail_ratio": 0.5,
        }
        config, network, train, _, test = make_model(
            model=model, eval_args=arguments, **settings, **keys
        )
        monkeypatch.setattr(Collector, "eval_batch_collect", spy)
        result = get_trainer(config["MODEL_TYPE"], model)(config, network).evaluate(
            test, load_best_model=False
        )
        return result, lists, held_out, train._dataset

    return evaluate


def dcg(hits: list[bool]) -> float:
    return sum(hit / np.log2(place + 2) for place, hit in enumerate(hits))


@pytest.mark.parametrize("model", ["BPR", "SiBraR", "NeuMF"])
def test_hits_of_lists_of_four_candidates(
    evaluated: Callable[..., tuple[Any, ...]], model: str
) -> None:
    result, lists, held_out, _ = evaluated(model, cold("item"))
    assert {len(shown) for shown in lists} == {4}
    hits = [[item in own for item in shown] for shown, own in zip(lists, held_out, strict=True)]
    sizes = [len(own) for own in held_out]

    assert result[f"recall@{K}"] == pytest.approx(1)  # all candidates are shown to everybody
    assert result[f"hit@{K}"] == pytest.approx(1)
    assert result[f"precision@{K}"] == pytest.approx(np.mean(sizes) / K)
    assert result[f"f1@{K}"] == pytest.approx(np.mean([2 * n / (K + n) for n in sizes]))
    assert result[f"mrr@{K}"] == pytest.approx(np.mean([1 / (1 + row.index(True)) for row in hits]))
    assert result[f"ndcg@{K}"] == pytest.approx(
        np.mean([dcg(row) / dcg([True] * n) for row, n in zip(hits, sizes, strict=True)])
    )
    precisions = [
        [np.mean(row[: place + 1]) for place, hit in enumerate(row) if hit] for row in hits
    ]
    assert result[f"map@{K}"] == pytest.approx(np.mean([np.mean(row) for row in precisions]))
    assert result[f"coverage@{K}"] == pytest.approx(1)


@pytest.mark.parametrize("arguments", [cold("item"), cold("user", "uni1")])
@pytest.mark.parametrize("model", ["BPR", "SiBraR"])
def test_empty_places_are_no_items(
    evaluated: Callable[..., tuple[Any, ...]], model: str, arguments: dict[str, Any]
) -> None:
    result, lists, _, train = evaluated(model, arguments)
    assert min(len(shown) for shown in lists) < K
    counts = np.sort(list(Counter(item for shown in lists for item in shown).values()))
    shares = counts / counts.sum()
    popularity = Counter(train.inter_feat["item_id"].tolist())
    n = train.item_num  # RecBole counts the padding item among all

    assert result[f"itemcoverage@{K}"] == pytest.approx(len(counts) / n)
    assert result[f"shannonentropy@{K}"] == pytest.approx(
        -(shares * np.log(shares)).sum() / len(counts)
    )
    places = np.arange(n - len(counts) + 1, n + 1)
    assert result[f"giniindex@{K}"] == pytest.approx(((2 * places - n - 1) * shares).sum() / n)
    means = [np.mean([popularity[item] for item in shown]) for shown in lists]
    assert result[f"averagepopularity@{K}"] == pytest.approx(np.mean(means))
    ascending = sorted(popularity, key=lambda item: (popularity[item], item))
    tail = set(ascending[: len(ascending) // 2])
    assert result[f"tailpercentage@{K}"] == pytest.approx(
        np.mean([np.mean([i in tail for i in x]) for x in lists])
    )


def test_the_log_says_that_places_stay_empty(
    make_model: Build, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    make_model(model="BPR", eval_args=cold("item"), topk=[4], valid_metric="MRR@4")
    assert "candidates" not in caplog.text
    make_model(model="BPR", eval_args=cold("item"))
    said = [record.getMessage() for record in caplog.records if "candidates" in record.getMessage()]
    assert [line.split(",")[0] for line in said] == [
        "topk: the valid part has 4 candidates",
        "topk: the test part has 4 candidates",
    ]
