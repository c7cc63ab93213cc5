"""A portable model computes what the checkpoint's model computes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

Build = Callable[..., Any]

COLD = {"split": {"CS": [0.6, 0.2, 0.2]}, "group_by": "item", "mode": "full"}
ALL = ["id", "interactions", "kind", "tags", "price", "text"]
VARIANTS = {
    "SiBraR": {"model": "SiBraR"},
    "cold, max, normalised": {
        "normalize_all": True,
        "eval_args": COLD,
        "aggregation": "max",
        "item_modalities": ALL,
    },
    "MuBraR, standard": {"model": "MuBraR", "normalize_vectors": "standard", "batch_norm": 1},
    "l2, buckets": {
        "normalize_vectors": "l2",
        "numerical_features": ["price"],
        "discretization": {"price": {"method": "ED", "bucket": 4}},
    },
    "logarithmic buckets": {
        "numerical_features": ["price"],
        "discretization": {"price": {"method": "LD"}},
    },
    "short sequences": {"seq_len": {"tags": 1, "text": 3}},
    "some modalities": {"item_eval_modalities": ["text", "tags"], "eval_args": COLD},
    "user ids": {"user_modalities": ["id"], "item_modalities": ["text", "interactions"]},
    "DropoutNet": {"model": "DropoutNet"},
    "CLCRec": {"model": "CLCRec", "eval_args": COLD},
    "closed form": {
        "eval_args": COLD,
        "warm_start": "ease",
        "projection_kernel": {"text": "exponential"},
        "label_pooling": "root",
        "item_aggregation": "sum",
        "embedding_size": 12,
        "modality_size": 12,
        "branch_hidden_sizes": [],
        "batch_norm": "none",
        "negatives": "all",
        "targets": "history",
        "new_item_share": 0.5,
    },
}

pytestmark = pytest.mark.slow


@pytest.fixture(params=VARIANTS)
def exported(request: pytest.FixtureRequest, make_portable: Build) -> Any:
    return make_portable(**VARIANTS[request.param])


def test_scores_are_full_sort_predict(exported: Any) -> None:
    _, _, expected = exported.original()
    frame = exported.load().recommend(k=1000, exclude_seen=False)
    np.testing.assert_allclose(exported.matrix(frame), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("side", ["item", "user"])
def test_lines_give_the_embeddings(exported: Any, side: str) -> None:
    model = exported.load()
    if model.manifest.side(side).modalities == ("id",):
        pytest.skip("no fields")
    encode = model.encode_items if side == "item" else model.encode_users
    found = encode(exported.file(side))
    expected = exported.embeddings(side).loc[found[side]]
    np.testing.assert_allclose(np.stack(found["embedding"]), expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", ["BPR", "LightGCN", "DMF"])
def test_models_of_recbole(make_portable: Build, name: str) -> None:
    if name == "DMF":  # its scores are cosines of its own
        with pytest.raises(ValueError, match="found 'DMF', allowed is SiBraR"):
            make_portable(name)
        return
    exported = make_portable(name)
    _, _, expected = exported.original()
    model = exported.load()
    np.testing.assert_allclose(
        exported.matrix(model.recommend(k=99, exclude_seen=False)), expected, atol=1e-6
    )
    with pytest.raises(ValueError, match=f"{name} knows the users and items of its training alone"):
        model.encode_items([{"item_id": "new"}])


def test_explanations_sum_to_the_score(make_portable: Build) -> None:
    for aggregation in ("mean", "max", "sum"):
        exported = make_portable(aggregation=aggregation)
        model = exported.load()
        scores = model.recommend(["u3"], k=99, exclude_seen=False).set_index("item")["score"]
        for item in ("i5", "i8", "i40"):  # all fields, some, none
            parts = model.explain("u3", item)
            assert parts["part"].sum() == pytest.approx(scores[item], abs=1e-5)
            assert len(parts) > 1


def test_an_item_ranks_as_in_the_data(make_portable: Build) -> None:
    """A cold item, removed and added again under another name from its line, has the same rank."""
    exported = make_portable(eval_args=COLD)
    model = exported.load()
    before = model.recommend(k=99, exclude_seen=False)
    _, dataset, _ = exported.original()
    in_training = set(dataset.id2token("item_id", dataset.inter_feat["item_id"].numpy()))
    cold = next(item for item in exported.file("item")["item_id"] if item not in in_training)
    line = exported.file("item").set_index("item_id").loc[[cold]].reset_index()
    line["item_id"] = "again"

    model.add_items(line)
    model.remove_items([cold])
    after = model.recommend(k=99, exclude_seen=False)
    expected = before.loc[before["item"] == cold, "rank"].to_numpy()
    np.testing.assert_array_equal(after.loc[after["item"] == "again", "rank"], expected)
