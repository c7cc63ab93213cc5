"""Rows divided by their lengths: the same numbers as ``torch.nn.functional.normalize``, also in the gradient."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from recbole_sibrar.model.layers.unit_length import unit_length


@pytest.mark.parametrize("n_columns", [1, 7, 64, 200])
def test_equals_normalize_to_the_last_digit(n_columns: int) -> None:
    rows = torch.randn(50, n_columns)
    rows[3] = 0
    rows[4] = 1e-14  # shorter than the smallest divisor
    gradient = torch.randn_like(rows)

    inputs = [rows.clone().requires_grad_() for _ in range(2)]
    expected, found = functional.normalize(inputs[0], dim=1), unit_length(inputs[1])
    for divided in (expected, found):
        divided.backward(gradient)

    assert torch.equal(found, expected)
    assert inputs[0].grad is not None
    assert inputs[1].grad is not None
    assert torch.equal(inputs[1].grad, inputs[0].grad)


def test_gradient_is_that_of_differences() -> None:
    rows = torch.randn(4, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(unit_length, (rows,))


def test_half_precision_under_autocast() -> None:
    rows = torch.randn(20, 16, dtype=torch.bfloat16)
    gradient = torch.randn(20, 16)
    found = []
    for divide in (lambda given: functional.normalize(given, dim=1), unit_length):
        given = rows.clone().requires_grad_()
        with torch.autocast("cpu", dtype=torch.bfloat16):
            divided = divide(given)
        divided.float().backward(gradient)
        assert given.grad is not None
        found.append((divided.detach(), given.grad))

    (expected, by_torch), (divided, by_us) = found
    assert divided.dtype == expected.dtype
    assert torch.equal(divided, expected)
    assert by_us.dtype == torch.bfloat16
    assert torch.allclose(by_us.float(), by_torch.float(), rtol=0.02, atol=0.02)
