"""Products in another precision of torch: gradients, and the places where it holds."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch.nn import functional

from recbole_sibrar.errors import ConfigError
from recbole_sibrar.model import MuBraR, SiBraR
from recbole_sibrar.model.example import ExampleData
from recbole_sibrar.model.layers import precision
from recbole_sibrar.model.layers.cpu import capabilities, has_faster_products
from recbole_sibrar.model.layers.precision import Linear, linear, products_in, set_precision


@pytest.fixture(params=[True, False], ids=["faster by oneDNN", "faster by MKL"])
def is_faster(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Whether ``auto`` takes oneDNN; its blocks are small, so that few rows have some."""
    faster: bool = request.param
    monkeypatch.setattr(precision, "_float32_is_faster", lambda: faster)
    monkeypatch.setattr(precision, "_BLOCK", {"auto": 4, "medium": 4})
    monkeypatch.setattr(precision, "_FEWEST", 0)
    return faster


@pytest.mark.parametrize("name", ["medium", "auto"])
def test_gradients_are_those_of_differences(is_faster: bool, name: str) -> None:
    shapes = [(5, 4), (3, 4), (3,)]
    given = [torch.randn(shape, dtype=torch.double, requires_grad=True) for shape in shapes]
    assert torch.autograd.gradcheck(lambda *args: linear(*args, name), given)


@pytest.mark.parametrize("n", [0, 1, 4, 7, 128, 700])
def test_float32_equals_autograd(is_faster: bool, n: int) -> None:
    if is_faster and not has_faster_products(capabilities()):
        pytest.skip("the setting for oneDNN may round the factors on this CPU")

    found = []
    given = torch.randn(n, 96)
    layer = Linear(96, 80)
    upstream = torch.randn(n, 80)
    for name in ("highest", "auto"):
        rows = given.clone().requires_grad_()
        layer.zero_grad()
        result = linear(rows, layer.weight, layer.bias, name)
        result.backward(upstream)
        found.append([result, rows.grad, layer.weight.grad, layer.bias.grad])

    for expected, ours in zip(*found, strict=True):
        assert expected is not None
        assert ours is not None
        assert torch.allclose(expected, ours, rtol=1e-4, atol=1e-4)


# A factor of bfloat16 has 8 digits: each product is off by 2^-8 at most, their sum by less. float32
# has 24 digits: 256 additions lose 8 of them at most.
@pytest.mark.parametrize(("name", "error"), [("medium", 2**-7), ("auto", 2**-16)])
def test_digits_of_a_product(name: str, error: float) -> None:
    rows, weight = torch.randn(600, 256), torch.randn(200, 256)
    found = linear(rows, weight, torch.zeros(200), name).double()

    exact = rows.double() @ weight.double().t()
    bound = error * (rows.double().abs() @ weight.double().abs().t())
    assert bool(((found - exact).abs() <= bound).all())


def fail_inside() -> None:
    with products_in("medium"):
        raise ValueError(torch.get_float32_matmul_precision())


def test_setting_of_torch_comes_back() -> None:
    with pytest.raises(ValueError, match="medium"):
        fail_inside()
    assert torch.get_float32_matmul_precision() == "highest"


def test_data_without_gradient() -> None:
    layer = Linear(4, 3)
    set_precision(layer, "medium")
    layer(torch.randn(6, 4)).sum().backward()
    assert layer.bias.grad is not None
    assert torch.equal(layer.bias.grad, torch.full((3,), 6.0))


@pytest.mark.parametrize("key", ["medium", "auto"])
@pytest.mark.parametrize("model", [SiBraR, MuBraR])
def test_key_holds_in_training_alone(
    is_faster: bool, model: type[SiBraR], key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []

    def watch(function: Callable[..., torch.Tensor]) -> Callable[..., torch.Tensor]:
        def watched(*args: torch.Tensor, **kwargs: torch.Tensor) -> torch.Tensor:
            seen.append(torch.get_float32_matmul_precision())
            return function(*args, **kwargs)

        return watched

    data = ExampleData()
    made = model(data.config(model.__name__, matmul_precision=key), data)
    for module, name in ((torch, "mm"), (functional, "linear")):
        monkeypatch.setattr(module, name, watch(getattr(module, name)))
    sum(made.calculate_loss(data.batch())).backward()
    assert ("medium" in seen) == (key == "medium" or is_faster)

    seen.clear()
    made.eval().encode_items()
    assert set(seen) == {"highest"}


def test_kernel_layer_has_it_too() -> None:
    data = ExampleData()
    config = data.config("SiBraR", matmul_precision="medium", projection_kernel="exponential")
    encoder = SiBraR(config, data).item_encoder
    layers = [layer for layer in encoder.modules() if hasattr(layer, "precision")]
    assert {layer.precision for layer in layers} == {"medium"}
    assert "KernelLayer" in {type(layer).__name__ for layer in layers}


def test_wrong_value_is_refused() -> None:
    data = ExampleData()
    with pytest.raises(ConfigError, match=r"matmul_precision: found 'high', allowed is"):
        SiBraR(data.config("SiBraR", matmul_precision="high"), data)
