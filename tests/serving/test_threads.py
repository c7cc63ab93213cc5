"""Searches and changes at the same time."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from recbole_sibrar.serving.example import example_model


def test_changes_during_searches() -> None:
    model = example_model()

    def change(n: int) -> int:
        model.add_items([{"item_id": f"new-{n}", "genre": ["drama"], "year": 1990}])
        model.encode_users([{"country": "AT", "interactions": ["dune"]}])
        return len(model.recommend(["bob"], k=200, filter="year >= 1900", exclude_seen=False))

    with ThreadPoolExecutor(8) as pool:
        sizes = list(pool.map(change, range(60)))
    assert all(5 < size <= 65 for size in sizes)
    assert model.n_items == 65
    vectors = model.encode_items([{"genre": "drama", "year": 1990}])["embedding"][0]
    scores = model.recommend(["bob"], candidates=[f"new-{n}" for n in range(60)], k=60)["score"]
    assert scores.nunique() == 1
    assert len(vectors) == 4
