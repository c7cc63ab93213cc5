from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.sparse import random as random_sparse
from torch import nn

from recbole_sibrar.data.modality import ModalityKind, bag_table, dense_table
from recbole_sibrar.model.layers import MLP, BatchNorm, InteractionsLayer, Projection, gather_bags


def names(mlp: MLP) -> list[str]:
    return [type(layer).__name__ for layer in mlp]


def test_batch_norm_is_before_the_activation() -> None:
    sizes = [4, 5, 6, 7, 8]
    plain = ["Linear", "ReLU"] * 3 + ["Linear"]
    assert names(MLP(sizes)) == plain
    assert names(MLP(sizes, batch_norm="last")) == [*plain, "BatchNorm"]
    hidden = ["Linear", "BatchNorm", "ReLU"]
    assert names(MLP(sizes, batch_norm="hidden")) == [*hidden * (len(sizes) - 2), "Linear"]
    every_second = [
        "Linear",
        "ReLU",
        "Linear",
        "BatchNorm",
        "ReLU",
        "Linear",
        "ReLU",
        "Linear",
        "BatchNorm",
    ]
    assert names(MLP(sizes, batch_norm=2)) == every_second
    assert names(MLP(sizes, batch_norm=2, output_activation=True)) == [*every_second, "ReLU"]


def test_dropout_acts_on_the_input_only() -> None:
    mlp = MLP([4, 5, 6], dropout_prob=0.3, activation="tanh")
    assert names(mlp) == ["Dropout", "Linear", "Tanh", "Linear"]
    assert isinstance(mlp[0], nn.Dropout)
    assert mlp[0].p == 0.3


def test_batch_norm_of_a_single_row() -> None:
    norm = BatchNorm(3)
    norm(torch.randn(50, 3) * 4 + 2)
    row = torch.randn(1, 3)
    trained = norm(row)
    assert torch.allclose(trained, norm.eval()(row))
    assert trained.isfinite().all()


@pytest.mark.parametrize("rows", [[1, 3, 2], [4], [2, 2], []])
def test_gather_bags_equals_slicing_each_bag(rows: list[int]) -> None:
    bags = [[], [5, 7], [1], [], [2, 3, 4]]
    indices = torch.tensor([x for bag in bags for x in bag])
    offsets = torch.tensor(np.cumsum([0, *map(len, bags)]))
    found, starts, sizes = gather_bags(indices, offsets, torch.tensor(rows, dtype=torch.long))
    assert found.tolist() == [x for row in rows for x in bags[row]]
    assert sizes.tolist() == [len(bags[row]) for row in rows]
    assert starts.tolist() == np.cumsum([0, *[len(bags[row]) for row in rows]])[:-1].tolist()


@pytest.mark.parametrize("normalize", [True, False])
def test_sparse_product_equals_the_dense_one(normalize: bool) -> None:
    matrix = random_sparse(12, 9, density=0.4, random_state=3, format="lil")
    matrix[0] = 0
    matrix[:, 0] = 0
    dense = (matrix.toarray() != 0).astype(float)
    layer = InteractionsLayer(
        bag_table("interactions", ModalityKind.INTERACTIONS, matrix.tocsr() != 0), 4, normalize
    )
    nn.init.normal_(layer.bias)
    rows = [5, 1, 7, 5]
    inputs = dense[rows]
    if normalize:
        inputs = inputs / np.maximum(np.sqrt((inputs**2).sum(1, keepdims=True)), 1)
    expected = (
        inputs @ layer.embedding.weight.detach().double().numpy()
        + layer.bias.detach().double().numpy()
    )
    assert np.allclose(layer(torch.tensor(rows)).detach().numpy(), expected, atol=1e-6)


@pytest.mark.parametrize(
    "rows", [[3], [7, 3], list(range(40)), [5, 5, 3, 5] * 4], ids=["one", "few", "all", "repeated"]
)
@pytest.mark.parametrize("normalize", [True, False])
@pytest.mark.parametrize("size", [4, 70, 256])
def test_gradient_equals_the_dense_product(rows: list[int], normalize: bool, size: int) -> None:
    """Of few entities and of many, of few columns and of many, which take different ways."""
    matrix = random_sparse(40, 13, density=0.3, random_state=5, format="lil")
    matrix[0] = 0
    matrix[:, 0] = 0
    table = bag_table("interactions", ModalityKind.INTERACTIONS, matrix.tocsr() != 0)
    layer = InteractionsLayer(table, size, normalize).double()
    dense = torch.tensor((matrix.toarray() != 0).astype(float))[rows]
    if normalize:
        dense = dense / dense.sum(1, keepdim=True).clamp(min=1).sqrt()
    upstream = torch.randn(len(rows), size, dtype=torch.double)
    found = layer(torch.tensor(rows))
    found.backward(upstream)
    assert torch.allclose(found, dense @ layer.embedding.weight, atol=1e-12)
    assert layer.embedding.weight.grad is not None
    assert torch.allclose(layer.embedding.weight.grad, dense.t() @ upstream, atol=1e-12)


def test_projection_of_several_layers() -> None:
    vectors = torch.randn(6, 3)
    table = dense_table("text", ModalityKind.VECTOR, vectors, torch.ones(6, dtype=torch.bool), 3)
    projection = Projection(table, [8], 4, activation="sigmoid")
    first, _, (second,) = projection
    hidden = 1 / (
        1
        + np.exp(
            -(
                vectors[2].numpy() @ first.linear.weight.detach().numpy().T
                + first.linear.bias.detach().numpy()
            )
        )
    )
    expected = second.weight.detach().numpy() @ hidden + second.bias.detach().numpy()
    assert np.allclose(projection(torch.tensor([2]))[0].detach().numpy(), expected, atol=1e-6)


def test_values_are_not_in_a_checkpoint() -> None:
    table = dense_table(
        "text", ModalityKind.VECTOR, torch.randn(6, 3), torch.ones(6, dtype=torch.bool), 3
    )
    assert set(Projection(table, [], 4).state_dict()) == {"0.linear.weight", "0.linear.bias"}
