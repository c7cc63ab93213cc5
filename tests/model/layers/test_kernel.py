"""Similarities to the values of training, against scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.metrics.pairwise import cosine_similarity

from recbole_sibrar.data.modality import ModalityKind, dense_table
from recbole_sibrar.model.layers import KernelLayer


def test_similarities_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    vectors = torch.from_numpy(np.random.default_rng(1).normal(size=(6, 3)).astype(np.float32))
    table = dense_table("text", ModalityKind.VECTOR, vectors, torch.arange(6) > 0, 3)
    layer = KernelLayer(table, 2, torch.tensor([1, 3, 4]))
    rows = torch.tensor([5, 3, 1, 1, 2])
    whole = layer(rows)
    # two rows of three similarities at a time
    monkeypatch.setattr("recbole_sibrar.model.layers.kernel._KEPT", 6)
    assert layer(rows).detach().numpy() == pytest.approx(whole.detach().numpy(), rel=1e-5)
    assert layer(rows[:0]).shape == (0, 2)


def test_similarities_and_their_checkpoint() -> None:
    vectors = np.random.default_rng(1).normal(size=(6, 3)).astype(np.float32)
    table = dense_table(
        "text", ModalityKind.VECTOR, torch.from_numpy(vectors), torch.arange(6) > 0, 3
    )
    layer = KernelLayer(table, 2, torch.tensor([1, 3, 4]))
    expected = np.exp(cosine_similarity(vectors[[5, 3]], vectors[[1, 3, 4]]) - 1)
    assert layer.similarities(torch.tensor([5, 3])).numpy() == pytest.approx(expected, rel=1e-5)

    other = KernelLayer(table, 2, torch.tensor([2]))
    other.load_state_dict(layer.state_dict())
    rows = torch.tensor([2, 5])
    assert torch.equal(other.eval()(rows), layer.eval()(rows))
