"""Order of equal scores: that of the items, whatever the search."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from recbole_sibrar.serving.catalogue import Catalogue
from recbole_sibrar.serving.example import example_model
from recbole_sibrar.serving.index import INDEXES, build
from recbole_sibrar.serving.ranking import Scores
from recbole_sibrar.serving.search import Search


def with_copies() -> tuple[torch.Tensor, torch.Tensor]:
    """Items of which each has several copies at other places, and users."""
    random = torch.Generator().manual_seed(0)
    distinct = torch.randn(301, 13, generator=random)
    copies = torch.randint(301, (2503,), generator=random)
    return distinct[copies], torch.randn(37, 13, generator=random)


def expected(items: torch.Tensor, users: torch.Tensor, k: int) -> list[list[int]]:
    """Rank by scores in float64, then by number, with Python's sort."""
    scores = (users.double() @ items.double().t()).float().tolist()
    return [
        sorted(range(len(row)), key=lambda number: (-row[number], number))[:k] for row in scores
    ]


@pytest.mark.parametrize("k", [1, 7, 30, 2503])
def test_ties_are_in_the_order_of_items(k: int) -> None:
    items, users = with_copies()
    wanted = expected(items, users, k)
    catalogue = Catalogue.of(items)
    assert catalogue.rank(users, k).numbers.tolist() == wanted
    alone = [catalogue.rank(user[None], k).numbers[0].tolist() for user in users[:5]]
    assert alone == wanted[:5]
    among = catalogue.rank_among(users, k, np.random.default_rng(0).permutation(len(items)))
    assert among.numbers.tolist() == wanted


@pytest.mark.parametrize("kind", INDEXES)
def test_ties_by_an_index(kind: str) -> None:
    pytest.importorskip("faiss")
    items, users = with_copies()
    index = build(kind, items, users)
    found = Search(Catalogue.of(items), index=index).rank(users[:5], 4, None)
    exact = Catalogue.of(items).rank(users[:5], 4)
    assert found.numbers.tolist() == exact.numbers.tolist()
    assert found.scores.tolist() == exact.scores.tolist()


def test_scores_do_not_depend_on_the_search() -> None:
    items, users = with_copies()
    catalogue = Catalogue.of(items)
    together = catalogue.rank(users, 5)
    alone = [catalogue.rank(user[None], 5).scores[0].tolist() for user in users]
    assert together.scores.tolist() == alone


def test_changed_items_are_in_order_too() -> None:
    items, users = with_copies()
    changed = Catalogue.of(items[:2000]).put(np.arange(2502, 1999, -1), items[2000:].flip(0))
    assert changed.rank(users, 30).numbers.tolist() == expected(items, users, 30)


def test_all_items_are_equal() -> None:
    catalogue = Catalogue.of(torch.ones(1000, 4))
    seen = [np.array([0, 2])]
    assert catalogue.rank(torch.ones(1, 4), 3, seen).numbers.tolist() == [[1, 3, 4]]
    assert catalogue.rank(torch.ones(1, 4), 1000, seen).numbers[0, -2:].tolist() == [-1, -1]


def test_exact_scores_need_no_second_look() -> None:
    values = torch.tensor([[2.0, 1.0] * 50, [-torch.inf] * 99 + [0.0]])
    assert Scores(values).best(3).numbers.tolist() == [[0, 2, 4], [99, -1, -1]]


def test_equal_items_are_similar_in_order() -> None:
    model = example_model()
    model.add_items([{"item_id": f"copy{n}", "genre": ["scifi"], "year": 1979} for n in range(40)])
    found = model.similar_items("copy3", k=5)
    assert found["similar"].tolist() == ["copy0", "copy1", "copy2", "copy4", "copy5"]
    by_genre = model.similar_items("copy3", k=50, modalities=["genre"])
    assert by_genre["similar"].tolist()[:3] == ["alien", "copy0", "copy1"]


@pytest.mark.parametrize("n_items", [9_300, 9_343])
def test_many_items_with_equal_scores(n_items: int) -> None:
    """A long row is searched by the maxima of its blocks; equal scores stand in many of them."""
    random = torch.Generator().manual_seed(1)
    values = torch.randint(40, (3, n_items), generator=random).float()
    values[1, 50:] = -torch.inf
    best = Scores(values).best(20)
    for row, scores in enumerate(values.tolist()):
        wanted = sorted(range(n_items), key=lambda n: (-scores[n], n))[:20]
        assert best.numbers[row].tolist() == wanted
        assert best.scores[row].tolist() == [scores[n] for n in wanted]
