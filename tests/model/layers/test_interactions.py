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


@pytest.mark.parametrize("n_columns", [5, 256])
@pytest.mark.parametrize("rows", [[3, 4, 8], [2, 11], []])
def test_copied_bags_change_no_digit(
    monkeypatch: pytest.MonkeyPatch, n_columns: int, rows: list[int]
) -> None:
    multi_hot = torch.rand(12, N_ROWS) < 0.3
    offsets = torch.cat([torch.zeros(1, dtype=torch.long), multi_hot.sum(1).cumsum(0)])
    bags = Bags(multi_hot.nonzero()[:, 1], offsets)
    transposed = interactions.transpose(bags, N_ROWS)
    chosen = torch.tensor(sorted(rows), dtype=torch.long)
    upstream = torch.randn(len(rows), n_columns)

    found = []
    given = torch.randn(N_ROWS, n_columns)
    for most in (0.0, 2.0):  # all bags are summed, or those of the rows
        monkeypatch.setattr(interactions._SumOfBags, "MOST", most)
        weight = given.clone().requires_grad_()
        total = interactions._sum_of_bags(weight, chosen, bags.narrowed(), transposed.narrowed())
        total.backward(upstream)
        assert weight.grad is not None
        found.append((total, weight.grad))

    for expected, copied in zip(*found, strict=True):
        assert torch.equal(expected, copied)
