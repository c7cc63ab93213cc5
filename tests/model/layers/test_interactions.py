"""Projection of interactions: all ways to sum give the same digits."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
import torch

from recbole_sibrar.model.example import ExampleData
from recbole_sibrar.model.layers import interactions
from recbole_sibrar.model.layers.bags import Bags
from recbole_sibrar.model.layers.interactions import InteractionsLayer

N_IDS = 30


@pytest.mark.parametrize("n_threads", [1, 2, 5, 40])
@pytest.mark.parametrize("n_columns", [5, 256])
@pytest.mark.parametrize("rows", [[3, 4, 8], [2, 11], []])
def test_copied_bags_change_no_digit(
    monkeypatch: pytest.MonkeyPatch, n_columns: int, rows: list[int], n_threads: int
) -> None:
    shares = torch.linspace(1, 0.1, 12)[:, None]
    multi_hot = torch.rand(12, N_IDS) < shares
    offsets = torch.cat([torch.zeros(1, dtype=torch.long), multi_hot.sum(1).cumsum(0)])
    bags = Bags(multi_hot.nonzero()[:, 1], offsets, N_IDS)
    chosen = torch.tensor(sorted(rows), dtype=torch.long)
    upstream = torch.randn(len(rows), n_columns)

    found = []
    given = torch.randn(N_IDS, n_columns)
    monkeypatch.setattr(torch, "get_num_threads", lambda: n_threads)
    # all bags are summed in their order, or dealt to the threads, or those of the rows alone
    for uneven, copied in ((1e9, 1e9), (0.0, 1e9), (1e9, -1e9), (0.0, -1e9)):
        monkeypatch.setattr(Bags, "UNEVEN", uneven)
        monkeypatch.setattr(interactions._SumOfBags, "COPY", copied)
        monkeypatch.setattr(interactions._SumOfBags, "TRANSPOSE", copied)
        weight = given.clone().requires_grad_()
        held = [one.balanced(n_threads).narrowed() for one in (bags, bags.transposed())]
        assert {one.dealt for one in held} == {1 if uneven else n_threads}
        sizes = bags.offsets.diff()[chosen]
        total = interactions._sum_of_bags(weight, chosen, held[0].place(chosen), sizes, *held)
        total.backward(upstream)
        assert weight.grad is not None
        found.append((total, weight.grad))

    assert torch.allclose(found[0][0], multi_hot[chosen].float() @ given, atol=1e-5)
    assert torch.allclose(found[0][1], multi_hot[chosen].float().t() @ upstream, atol=1e-5)
    for other in found[1:]:
        for expected, same in zip(found[0], other, strict=True):
            assert torch.equal(expected, same)


@pytest.mark.parametrize("other", [copy.deepcopy, lambda layer: layer.to("meta")])
def test_bags_follow_the_buffers(
    other: Callable[[InteractionsLayer], InteractionsLayer], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: 3)
    monkeypatch.setattr(Bags, "UNEVEN", 0.0)
    layer = InteractionsLayer(ExampleData().modality_tables("user")["interactions"], 4, True)
    assert layer.bags().dealt == 3
    layer = other(layer)
    for prefix in ("", "transposed_"):
        assert layer.bags(prefix).indices is getattr(layer, f"{prefix}indices")
        assert layer.bags(prefix).offsets is getattr(layer, f"{prefix}offsets")
        assert layer.bags(prefix).dealt == 3
