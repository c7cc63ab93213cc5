"""The encoder of the baselines: all modalities side by side, one network."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations
from typing import Any

import numpy as np
import pytest
import torch
from recbole.data.interaction import Interaction

from recbole_sibrar.model.concatenation import ConcatenationEncoder
from recbole_sibrar.model.dropoutnet import DropoutNet

Make = Callable[..., Any]
SMALL = {"preference_size": 2, "preference_dropout_prob": 0.5, "loss_type": "MSE", "seed": 1}


@pytest.fixture
def network(make: Make) -> Callable[..., DropoutNet]:
    """A DropoutNet on the small world; its encoders concatenate."""
    return lambda **overrides: make(DropoutNet, **{**SMALL, **overrides})


def masks(
    encoder: ConcatenationEncoder, monkeypatch: pytest.MonkeyPatch
) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Which entities are encoded, with what, from now on."""
    seen = []
    original = encoder.concatenate

    def spy(entities: torch.Tensor, mask: torch.Tensor, *shared: Any) -> torch.Tensor:
        seen.append((entities.clone(), mask.clone()))
        return original(entities, mask, *shared)

    monkeypatch.setattr(encoder, "concatenate", spy)
    return seen


@pytest.mark.parametrize("normalize", [True, False])
def test_every_subset_equals_numpy(network: Make, reference: Make, normalize: bool) -> None:
    model = network(normalize_branch_input=normalize).eval()
    numpy, encoder = reference(model, "item"), model.item_encoder
    for size in (1, 2, 5):
        for names in combinations(encoder.modalities, size):
            embeddings, has_any = encoder.encode(torch.arange(1, 9), encoder.columns_of(names))
            for row, item in enumerate(range(1, 9)):
                assert has_any[row] == any(numpy.input(name, item) is not None for name in names)
                assert np.allclose(
                    embeddings[row].detach(), numpy.concatenated(item, names), atol=1e-5
                )


def test_training_equals_inference_undropped(network: Make, reference: Make) -> None:
    model = network(preference_dropout_prob=0.0)
    entities = torch.tensor([3, 1, 3, 7, 2])
    encoded = model.item_encoder.encode_training(entities)
    expected = [reference(model, "item").concatenated(item) for item in entities.tolist()]
    assert np.allclose(encoded.embeddings.detach(), expected, atol=1e-5)
    assert encoded.first is encoded.second is encoded.valid is None


@pytest.mark.slow
def test_hidden_share_of_distinct_entities(network: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = network(preference_dropout_prob=0.3).item_encoder
    seen = masks(encoder, monkeypatch)
    entities = torch.tensor([1, 5, 1, 1, 2, 7, 5, 8])
    for _ in range(1000):
        encoder.encode_training(entities)
    assert {tuple(known.tolist()) for known, _ in seen} == {(1, 2, 5, 7, 8)}
    column = encoder.modalities.index("interactions")
    left = torch.stack([mask for _, mask in seen])  # [1000, 5, 5]
    available = encoder.availability[[1, 2, 5, 7, 8]]
    others = [m for m in range(5) if m != column]
    assert torch.equal(left[:, :, others], available[:, others].expand(1000, 5, 4))
    shares = 1 - left[:, :3, column].double().mean(0)
    assert shares.tolist() == pytest.approx([0.3] * 3, abs=5 * np.sqrt(0.3 * 0.7 / 1000))
    both = (~left[:, 0, column] & ~left[:, 1, column]).double().mean().item()
    # independently of one another
    assert both == pytest.approx(0.09, abs=5 * np.sqrt(0.09 * 0.91 / 1000))
    assert not left[:, 3:, column].any()  # items 7 and 8 have none to hide


def test_occurrences_of_an_entity_are_equal(network: Make) -> None:
    embeddings = network().item_encoder.encode_training(torch.tensor([1, 2, 1, 1, 2])).embeddings
    assert torch.equal(embeddings[0], embeddings[2])
    assert torch.equal(embeddings[0], embeddings[3])
    assert torch.equal(embeddings[1], embeddings[4])


def test_at_inference_nothing_is_hidden(network: Make, reference: Make) -> None:
    model = network(preference_dropout_prob=0.9).eval()
    numpy = reference(model, "item")
    for _ in range(5):
        model.train().eval()
        found = model.encode_items()
        assert all(
            np.allclose(found[item], numpy.concatenated(item), atol=1e-5) for item in range(1, 8)
        )


def test_unavailable_modality_has_no_effect(network: Make, world: Any, batch: Interaction) -> None:
    model = network().eval()
    plain = model.encode_items().clone()
    torch.manual_seed(1)
    loss = model.train().calculate_loss(batch).item()
    text = model.item_encoder.modalities.index("text")
    model.item_encoder.projections[text][0].values[~torch.from_numpy(world.has_vector)] = 1e6
    torch.manual_seed(1)
    assert model.calculate_loss(batch).item() == loss
    assert torch.equal(model.eval().encode_items(), plain)


def test_absent_modality_is_not_trained(network: Make) -> None:
    encoder = network(preference_dropout_prob=0.0, batch_norm="last").item_encoder
    # labels and text only
    encoder.encode_training(torch.tensor([7, 7])).embeddings.pow(2).sum().backward()
    for name, projection in zip(encoder.modalities, encoder.projections, strict=True):
        gradients = [parameter.grad for parameter in projection.parameters()]
        assert any(g is not None and g.any() for g in gradients) == (name in ("labels", "text")), (
            name
        )


def test_empty_entity_gets_the_trained_mean(network: Make, reference: Make) -> None:
    model = network().eval()
    numpy = reference(model, "item")
    mean = np.mean([numpy.concatenated(item) for item in range(1, 7)], axis=0)
    found = model.encode_items()
    assert np.allclose(found[8], mean, atol=1e-5)
    assert not found[0].any()
    with model.hiding("item", torch.ones_like(model.item_encoder.availability)):
        assert np.allclose(model.encode_items()[1:], mean, atol=1e-5)


def test_hidden_cells_count_as_missing(network: Make, reference: Make) -> None:
    model = network().eval()
    hidden = torch.zeros_like(model.item_encoder.availability)
    hidden[:, model.item_encoder.columns_of(["interactions", "text"])] = True
    with model.hiding("item", hidden):
        found = model.encode_items()
    for item in (1, 2, 3, 5, 6, 7):
        expected = reference(model, "item").concatenated(item, ("group", "labels", "price"))
        assert np.allclose(found[item], expected, atol=1e-5)


def test_evaluation_lists_choose_modalities(network: Make, reference: Make) -> None:
    model = network(item_eval_modalities=["group", "labels"]).eval()
    expected = reference(model, "item").concatenated(2, ("group", "labels"))
    assert np.allclose(model.encode_items()[2], expected, atol=1e-5)
    assert model.item_encoder.without().sum() == 1  # item 8


@pytest.mark.parametrize("seed", range(3))
def test_the_seed_decides_what_is_hidden(network: Make, batch: Interaction, seed: int) -> None:
    model = network(dropout_prob=0.2)
    found = []
    for number in (seed, seed, seed + 10):
        torch.manual_seed(number)
        found.append(model.calculate_loss(batch).item())
    assert found[0] == found[1] != found[2]
