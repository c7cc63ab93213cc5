"""Held-out items, added from their lines, are recommended as the test of the run has ranked them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from recbole.quick_start import load_data_and_model
from recbole.utils import get_trainer

Build = Callable[..., Any]

COLD = {"split": {"CS": [0.6, 0.2, 0.2]}, "group_by": "item", "mode": "full"}


def ndcg(ranked: list[str], relevant: set[str], k: int) -> float:
    """nDCG@k of one list."""
    gains = [item in relevant for item in ranked[:k]]
    discounts = 1 / np.log2(np.arange(2, k + 2))
    ideal = discounts[: min(len(relevant), k)].sum()
    return float((np.array(gains) * discounts[: len(gains)]).sum() / ideal)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["SiBraR", "DropoutNet", "CLCRec"])
def test_ndcg_is_that_of_the_run(make_portable: Build, name: str) -> None:
    exported = make_portable(
        name, eval_args=COLD, metrics=["NDCG"], topk=[5], valid_metric="NDCG@5"
    )
    config, original, _, _, _, test_data = load_data_and_model(exported.checkpoint)
    trainer = get_trainer(config["MODEL_TYPE"], name)(config, original)
    expected = trainer.evaluate(test_data, load_best_model=False)["ndcg@5"]

    held_out = test_data.dataset
    users = held_out.id2token("user_id", np.asarray(held_out.inter_feat["user_id"]))
    items = held_out.id2token("item_id", np.asarray(held_out.inter_feat["item_id"]))
    candidates = sorted(set(items))

    model = exported.load()
    model.remove_items(candidates)
    lines = exported.file("item").set_index("item_id").reindex(candidates).reset_index()
    lines["item_id"] = [f"new-{item}" for item in candidates]
    model.add_items(lines)
    found = model.recommend(sorted(set(users)), k=5, candidates=lines["item_id"])
    lists = found.groupby("user")["item"].apply(list)

    values = [
        ndcg(lists[user], {f"new-{item}" for item in items[users == user]}, 5)
        for user in set(users)
    ]
    assert np.mean(values) == pytest.approx(expected, abs=1e-4)
