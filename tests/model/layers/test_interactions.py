"""Sums of bags: the columns that are summed at a time change no number."""

from __future__ import annotations

import pytest
import torch

from recbole_sibrar.model.layers import interactions
from recbole_sibrar.model.layers.interactions import Bags

N_ROWS = 30


def cache_for(n_columns: int) -> int:
    """Bytes of a cache that holds some columns of the table."""
    return 4 * N_ROWS * n_columns


@pytest.mark.parametrize(
    ("fitting", "n_parts"), [(10, 1), (31, 1), (32, 3), (64, 3), (149, 3), (150, 1), (1000, 1)]
)
def test_columns_at_a_time(monkeypatch: pytest.MonkeyPatch, fitting: int, n_parts: int) -> None:
    monkeypatch.setattr(interactions, "second_cache", lambda: cache_for(fitting))
    weight = torch.randn(N_ROWS, 150)
    multi_hot = torch.rand(12, N_ROWS) < 0.3
    offsets = torch.cat([torch.zeros(1, dtype=torch.long), multi_hot.sum(1).cumsum(0)])
    bags = Bags(multi_hot.nonzero()[:, 1], offsets)

    parts = []
    original = Bags._sum
    monkeypatch.setattr(
        Bags, "_sum", lambda self, part: parts.append(part.shape[1]) or original(self, part)
    )
    assert torch.allclose(bags.sum(weight), multi_hot.float() @ weight, atol=1e-5)
    assert torch.equal(bags.sum(weight), original(bags, weight))
    assert len(parts) == 2 * n_parts
    assert sum(parts) == 300


def some_bags(n: int = 12) -> Bags:
    """Bags of random ids, most of them in the first bags."""
    shares = torch.linspace(1, 0.1, n)[:, None]
    multi_hot = torch.rand(n, N_ROWS) < shares
    offsets = torch.cat([torch.zeros(1, dtype=torch.long), multi_hot.sum(1).cumsum(0)])
    return Bags(multi_hot.nonzero()[:, 1], offsets)


@pytest.mark.parametrize("n_threads", [1, 2, 5, 40])
@pytest.mark.parametrize("n_columns", [5, 256])
@pytest.mark.parametrize("rows", [[3, 4, 8], [2, 11], []])
def test_copied_bags_change_no_digit(
    monkeypatch: pytest.MonkeyPatch, n_columns: int, rows: list[int], n_threads: int
) -> None:
    bags = some_bags()
    transposed = interactions.transpose(bags, N_ROWS)
    chosen = torch.tensor(sorted(rows), dtype=torch.long)
    upstream = torch.randn(len(rows), n_columns)

    found = []
    given = torch.randn(N_ROWS, n_columns)
    monkeypatch.setattr(torch, "get_num_threads", lambda: n_threads)
    # all bags are summed in their order, or dealt to the threads, or those of the rows alone
    for uneven, copy in ((1e9, 1e9), (0.0, 1e9), (1e9, -1e9), (0.0, -1e9)):
        monkeypatch.setattr(Bags, "UNEVEN", uneven)
        monkeypatch.setattr(interactions._SumOfBags, "COPY", copy)
        monkeypatch.setattr(interactions._SumOfBags, "TRANSPOSE", copy)
        weight = given.clone().requires_grad_()
        held = bags.balanced(N_ROWS, n_threads), transposed.balanced(len(bags), n_threads)
        assert {one.dealt for one in held} == {1 if uneven else n_threads}
        total = interactions._sum_of_bags(weight, chosen, *(one.narrowed() for one in held))
        total.backward(upstream)
        assert weight.grad is not None
        found.append((total, weight.grad))

    for other in found[1:]:
        for expected, same in zip(found[0], other, strict=True):
            assert torch.equal(expected, same)


@pytest.mark.parametrize("n_threads", [2, 3, 7])
def test_dealt_bags_are_even(n_threads: int) -> None:
    bags = some_bags(600)
    even = len(bags.indices) / n_threads
    dealt = bags.balanced(N_ROWS, n_threads)
    assert dealt.dealt == n_threads
    assert bags.busiest(n_threads) > 1.3 * even
    assert dealt.busiest(n_threads) < 1.1 * even
    assert torch.equal(dealt.in_order(N_ROWS).indices, bags.indices.int())
    assert torch.equal(dealt.in_order(N_ROWS).offsets, bags.offsets.int())
    rows = torch.tensor([599, 0, 7])
    assert torch.equal(dealt.sizes(rows), bags.sizes(rows).int())


def test_even_bags_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    bags = some_bags()
    assert bags.balanced(N_ROWS, 1) is bags
    monkeypatch.setattr(Bags, "MOST", 11)
    assert bags.balanced(N_ROWS, 2) is bags
    even = Bags(torch.arange(12), torch.arange(0, 13, 3))
    assert even.balanced(12, 2) is even


def test_busiest_thread_counts_its_ids() -> None:
    bags = Bags(torch.zeros(10, dtype=torch.int), torch.tensor([0, 5, 6, 6, 9, 10]))
    assert [bags.busiest(n) for n in (1, 2, 3, 5, 9)] == [10, 6, 6, 5, 5]
    assert Bags(torch.zeros(0), torch.zeros(1, dtype=torch.int)).busiest(2) == 0
