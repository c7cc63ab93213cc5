"""Bags of ids: neither columns at a time nor the order for threads changes a sum."""

from __future__ import annotations

import pytest
import torch

from recbole_sibrar.model.layers import bags as bags_module
from recbole_sibrar.model.layers.bags import Bags

N_ROWS = 30


def some_bags(n: int = 12) -> Bags:
    """Bags of random ids, most of them in the first bags."""
    shares = torch.linspace(1, 0.1, n)[:, None]
    multi_hot = torch.rand(n, N_ROWS) < shares
    offsets = torch.cat([torch.zeros(1, dtype=torch.long), multi_hot.sum(1).cumsum(0)])
    return Bags(multi_hot.nonzero()[:, 1], offsets, N_ROWS)


def cache_for(n_columns: int) -> int:
    """Bytes of a cache that holds some columns of the table."""
    return 4 * N_ROWS * n_columns


@pytest.mark.parametrize(
    ("fitting", "n_parts"), [(10, 1), (31, 1), (32, 3), (64, 3), (149, 3), (150, 1), (1000, 1)]
)
def test_columns_at_a_time(monkeypatch: pytest.MonkeyPatch, fitting: int, n_parts: int) -> None:
    monkeypatch.setattr(bags_module, "second_cache", lambda: cache_for(fitting))
    weight = torch.randn(N_ROWS, 150)
    bags = some_bags()

    parts = []
    original = Bags._sum
    monkeypatch.setattr(
        Bags, "_sum", lambda self, part: parts.append(part.shape[1]) or original(self, part)
    )
    assert torch.allclose(
        bags.sum(weight), torch.from_numpy(bags.matrix.toarray()).float() @ weight, atol=1e-5
    )
    assert torch.equal(bags.sum(weight), original(bags, weight))
    assert len(parts) == 2 * n_parts
    assert sum(parts) == 300


@pytest.mark.parametrize("n_threads", [2, 3, 7])
def test_dealt_bags_are_even(n_threads: int) -> None:
    bags = some_bags(600)
    even = len(bags.indices) / n_threads
    dealt = bags.balanced(n_threads)
    assert dealt.dealt == n_threads
    assert bags.busiest(n_threads) > 1.3 * even
    assert dealt.busiest(n_threads) < 1.1 * even
    assert torch.equal(dealt.in_order().indices, bags.indices.int())
    assert torch.equal(dealt.in_order().offsets, bags.offsets.int())
    weight = torch.randn(N_ROWS, 3)
    assert torch.equal(dealt.sum(weight), bags.sum(weight))

    entities = torch.tensor([599, 0, 7])
    for entity, place in zip(entities, dealt.place(entities), strict=True):
        own = dealt.indices[dealt.offsets[place] : dealt.offsets[place + 1]]
        assert own.tolist() == bags.matrix[int(entity)].indices.tolist()


def test_even_bags_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    bags = some_bags()
    assert bags.balanced(1) is bags
    monkeypatch.setattr(Bags, "MOST", 11)
    assert bags.balanced(2) is bags
    even = Bags(torch.arange(12), torch.arange(0, 13, 3), 12)
    assert even.balanced(2) is even


def test_busiest_thread_counts_its_ids() -> None:
    bags = Bags(torch.zeros(10, dtype=torch.int), torch.tensor([0, 5, 6, 6, 9, 10]), 1)
    assert [bags.busiest(n) for n in (1, 2, 3, 5, 9)] == [10, 6, 6, 5, 5]
    assert Bags(torch.zeros(0), torch.zeros(1, dtype=torch.int), 1).busiest(2) == 0
