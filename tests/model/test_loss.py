from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.special import logsumexp
from torch.nn import functional

from recbole_sibrar.model.loss import (
    bce_loss,
    bpr_loss,
    info_nce_loss,
    log_sum_exp,
    sampled_softmax_loss,
)

POSITIVE = [1.0, -0.5]
NEGATIVE = [[0.0, 2.0], [-1.0, -0.5]]


def test_bpr_is_the_mean_over_all_negatives() -> None:
    terms = [
        -math.log(1 / (1 + math.exp(-(p - n))))
        for p, row in zip(POSITIVE, NEGATIVE, strict=True)
        for n in row
    ]
    assert bpr_loss(torch.tensor(POSITIVE), torch.tensor(NEGATIVE)).item() == pytest.approx(
        sum(terms) / 4
    )


def test_bce_is_mean_over_both_labels() -> None:
    def sigmoid(x: float) -> float:
        return 1 / (1 + math.exp(-x))

    terms = [-math.log(sigmoid(p)) for p in POSITIVE] + [
        -math.log(1 - sigmoid(n)) for row in NEGATIVE for n in row
    ]
    assert bce_loss(torch.tensor(POSITIVE), torch.tensor(NEGATIVE)).item() == pytest.approx(
        sum(terms) / 6
    )


def test_sampled_softmax_corrects_sampling() -> None:
    n_items = 50
    terms = []
    for p, row in zip(POSITIVE, NEGATIVE, strict=True):
        terms.append(-p + math.log(math.exp(p) + sum(math.exp(n) * n_items / 2 for n in row)))
    loss = sampled_softmax_loss(torch.tensor(POSITIVE), torch.tensor(NEGATIVE), n_items)
    assert loss.item() == pytest.approx(sum(terms) / 2)


def test_sampled_softmax_nears_the_full_one() -> None:
    rng = np.random.default_rng(0)
    scores = rng.normal(size=(4, 2000))
    full = np.mean(logsumexp(scores, axis=1) - scores[:, 0])
    loss = sampled_softmax_loss(torch.tensor(scores[:, 0]), torch.tensor(scores[:, 1:]), 1999)
    assert loss.item() == pytest.approx(full, rel=1e-9)


def numpy_info_nce(first: np.ndarray, second: np.ndarray, temperature: float) -> float:
    logits = first @ second.T / temperature
    rows = logsumexp(logits, axis=1) - np.diag(logits)
    columns = logsumexp(logits, axis=0) - np.diag(logits)
    return float(np.mean(rows + columns))


def test_info_nce_of_two_entities_by_hand() -> None:
    eye = torch.eye(2)[None]
    # each row and each column holds 1/t on the diagonal and 0 beside it
    expected = 2 * math.log(1 + math.exp(-1 / 0.5))
    assert info_nce_loss(eye, eye, torch.ones(1, 2, dtype=torch.bool), 0.5).item() == pytest.approx(
        expected
    )


def test_info_nce_is_the_mean_over_the_sets() -> None:
    rng = np.random.default_rng(1)
    first, second = rng.normal(size=(2, 3, 4, 5))
    loss = info_nce_loss(
        torch.tensor(first), torch.tensor(second), torch.ones(3, 4, dtype=torch.bool), 0.7
    )
    assert loss.item() == pytest.approx(
        np.mean([numpy_info_nce(a, b, 0.7) for a, b in zip(first, second, strict=True)])
    )


def test_info_nce_skips_the_unpaired() -> None:
    rng = np.random.default_rng(2)
    first, second = rng.normal(size=(2, 1, 4, 5))
    valid = torch.tensor([[True, False, True, True]])
    kept = [0, 2, 3]
    a, b = torch.tensor(first, requires_grad=True), torch.tensor(second, requires_grad=True)
    loss = info_nce_loss(a, b, valid, 0.3)
    loss.backward()
    assert loss.item() == pytest.approx(numpy_info_nce(first[0, kept], second[0, kept], 0.3))
    assert a.grad is not None
    assert torch.equal(a.grad[0, 1], torch.zeros(5, dtype=torch.float64))


@pytest.mark.parametrize("scale", [0.1, 30.0])
def test_info_nce_gradient_is_its_formula(scale: float) -> None:
    rng = np.random.default_rng(4)
    views = [
        torch.tensor(rng.normal(size=(3, 5, 6)) * scale, dtype=torch.float32) for _ in range(2)
    ]
    valid = torch.tensor(rng.random((3, 5)) < 0.8)
    first, second = (view.clone().requires_grad_() for view in views)
    (7 * info_nce_loss(first, second, valid, 0.3)).backward()

    a, b = (view.double().requires_grad_() for view in views)
    terms = []
    for x, y, kept in zip(a, b, valid, strict=True):
        logits = x[kept] @ y[kept].t() / 0.3
        target = torch.arange(len(logits))
        terms += [
            functional.cross_entropy(side, target, reduction="sum") for side in (logits, logits.t())
        ]
    (7 * sum(terms) / int(valid.sum())).backward()
    for found, expected in ((first.grad, a.grad), (second.grad, b.grad)):
        assert found is not None
        assert torch.allclose(found.double(), expected, rtol=1e-4, atol=1e-5 * scale)


def test_info_nce_without_pairs_is_zero() -> None:
    first = torch.randn(2, 3, 4, requires_grad=True)
    loss = info_nce_loss(first, torch.randn(2, 3, 4), torch.zeros(2, 3, dtype=torch.bool), 0.1)
    loss.backward()
    assert loss.item() == 0
    assert first.grad is not None
    assert not first.grad.any()


@pytest.mark.parametrize("dim", [0, 1])
@pytest.mark.parametrize("scale", [0.01, 1.0, 100.0, 1e30])
def test_log_sum_exp_is_exact(dim: int, scale: float) -> None:
    values = (
        torch.randn(30, 40, generator=torch.Generator().manual_seed(3)) * scale
    ).requires_grad_()
    found = log_sum_exp(values, dim)
    assert np.allclose(
        found.detach(), logsumexp(values.detach().double().numpy(), axis=dim), rtol=1e-6, atol=1e-6
    )
    found.sum().backward()
    assert values.grad is not None
    softmax = torch.softmax(values.detach().double(), dim)
    assert torch.allclose(values.grad.double(), softmax, atol=1e-6)
    tiny = torch.finfo(torch.float32).tiny
    assert not ((values.grad != 0) & (values.grad.abs() < tiny)).any()  # denormal numbers are slow
