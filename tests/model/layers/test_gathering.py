"""Gathered rows: gradients equal those of automatic differentiation to the last digit."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional

from recbole_sibrar.model.branches import aggregate
from recbole_sibrar.model.layers.gathering import (
    gather_and_average,
    gather_rows,
    split_evenly,
    sum_by_row,
)


def table(n: int, k: int) -> Tensor:
    return torch.randn(n, k, generator=torch.Generator().manual_seed(n)).requires_grad_()


@pytest.mark.parametrize("exponent", [1, 4])
@pytest.mark.parametrize("threads", [1, 2])
def test_sum_equals_that_of_an_embedding(threads: int, exponent: int) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        values = table(5000, 64).detach()
        # with an exponent, few rows have most of the values
        rows = (torch.rand(5000) ** exponent * 300).long()
        expected = torch.ops.aten.embedding_dense_backward(values, rows, 301, -1, False)
        assert sum_by_row(values, rows, 301).equal(expected)
    finally:
        torch.set_num_threads(before)


def test_gradient_of_positions_of_any_shape() -> None:
    values, rows = table(4, 3), torch.tensor([[0, 2], [2, 2]])
    upstream = torch.arange(12.0).view(2, 2, 3)
    gathered = gather_rows(values, rows)
    assert gathered.equal(values[rows])
    (found,) = torch.autograd.grad(gathered, values, upstream)
    assert found.tolist() == [[0, 1, 2], [0, 0, 0], [18, 21, 24], [0, 0, 0]]


@pytest.mark.parametrize(
    "used", [["mean"], ["mean", 0, 1], [0, 1], ["mean", 2], ["mean", 0, 1, 2], [1]]
)
@pytest.mark.parametrize("columns", [3, 4])
def test_average_equals_separate_steps(used: list[int | str], columns: int) -> None:
    encoded = table(40, 8)
    positions = torch.randint(40, (100, columns))
    mask = torch.rand(100, columns) < 0.7
    mask[0] = False

    views = [functional.embedding(positions[:, column], encoded) for column in range(columns)]
    expected = {"mean": aggregate(views, mask), **dict(enumerate(views))}
    mean, found_views = gather_and_average(encoded, positions, mask)
    found = {"mean": mean, **dict(enumerate(found_views))}
    assert all(found[name].equal(expected[name]) for name in expected)

    upstream = [torch.randn(100, 8) for _ in used]
    (gradient,) = torch.autograd.grad([found[name] for name in used], encoded, upstream)
    (automatic,) = torch.autograd.grad([expected[name] for name in used], encoded, upstream)
    assert gradient.equal(automatic)


@given(st.integers(0, 300), st.integers(1, 100))
def test_blocks_are_of_even_size(n: int, most: int) -> None:
    blocks = split_evenly(torch.arange(n), most)
    assert torch.cat(blocks).tolist() == list(range(n))
    sizes = [len(block) for block in blocks]
    assert max(sizes) <= most
    assert len(sizes) == max(-(-n // most), 1)
    assert max(sizes) - min(sizes) <= len(sizes)
