from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import permutations
from typing import Any

import numpy as np
import pytest
import torch

from recbole_sibrar.model.branches import aggregate
from recbole_sibrar.model.encoder import EntityEncoder
from recbole_sibrar.model.layers.gathering import gather_rows
from recbole_sibrar.model.sibrar import SiBraR

Make = Callable[..., SiBraR]
ALL_ITEMS = torch.arange(9)


def draws(
    encoder: EntityEncoder, entity: int, n: int, times: int = 6000, first: int = -1
) -> dict[tuple[str, ...], int]:
    columns, mask = encoder.draw(torch.full((times,), entity), n, first)
    counts: dict[tuple[str, ...], int] = {}
    for row, there in zip(columns.tolist(), mask.tolist(), strict=True):
        key = tuple(encoder.modalities[column] for column, ok in zip(row, there, strict=True) if ok)
        counts[key] = counts.get(key, 0) + 1
    return counts


@pytest.mark.parametrize("aggregation", ["mean", "max", "sum"])
@pytest.mark.parametrize("normalize", [True, False])
def test_inference_equals_numpy(
    make: Make, reference: Callable[..., Any], aggregation: str, normalize: bool
) -> None:
    model = make(
        aggregation=aggregation, normalize_branch_input=normalize, normalize_interactions=normalize
    ).eval()
    for side, encoder in (("user", model.user_encoder), ("item", model.item_encoder)):
        embeddings, has_any = encoder.encode(torch.arange(1, encoder.n_entities))
        for row, entity in enumerate(range(1, encoder.n_entities)):
            expected = reference(model, side).entity(entity)
            assert has_any[row] == (expected is not None)
            assert np.allclose(
                embeddings[row].detach(), 0 if expected is None else expected, atol=1e-5
            )


def test_any_subset_can_be_encoded(make: Make, reference: Callable[..., Any]) -> None:
    model = make().eval()
    columns = model.item_encoder.columns_of(["text", "group"])
    embeddings, has_any = model.item_encoder.encode(ALL_ITEMS, columns)
    for item in range(1, 9):
        expected = reference(model, "item").entity(item, ("text", "group"))
        assert has_any[item] == (expected is not None)
        if expected is not None:
            assert np.allclose(embeddings[item].detach(), expected, atol=1e-5)


def test_empty_entity_gets_the_training_mean(make: Make, reference: Callable[..., Any]) -> None:
    model = make().eval()
    embeddings, mean = model.item_encoder.encode_all(), model.item_encoder.encode_mean()
    # 7 is cold, 8 has nothing
    trained = [reference(model, "item").entity(item) for item in (1, 2, 3, 4, 5, 6)]
    assert np.allclose(mean, np.mean(trained, axis=0), atol=1e-5)
    assert torch.equal(embeddings[8], mean)
    assert not embeddings[0].any()
    assert model.item_encoder.without().sum() == 1


@pytest.mark.parametrize("block", [1, 4, 9])
def test_blocks_change_no_embedding(make: Make, block: int) -> None:
    encoder = make().eval().item_encoder
    assert torch.allclose(encoder.encode_all(block=block), encoder.encode_all(), atol=1e-6)
    assert torch.allclose(encoder.encode_mean(block), encoder.encode_mean(), atol=1e-6)


def test_draws_are_uniform_over_available(make: Make) -> None:
    encoder = make().item_encoder
    counts = draws(encoder, 3, 1)  # item 3 has interactions, group, labels and price, but no text
    assert set(counts) == {("interactions",), ("group",), ("labels",), ("price",)}
    expected = 6000 / 4
    chi_square = sum((count - expected) ** 2 / expected for count in counts.values())
    assert chi_square < 16.27  # 99.9 % quantile of chi-square with 3 degrees of freedom


def test_pairs_are_distinct_and_uniform(make: Make) -> None:
    encoder = make().item_encoder
    counts = draws(encoder, 3, 2)
    assert set(counts) == set(permutations(["interactions", "group", "labels", "price"], 2))
    expected = 6000 / 12
    chi_square = sum((count - expected) ** 2 / expected for count in counts.values())
    assert chi_square < 31.26  # 99.9 % quantile of chi-square with 11 degrees of freedom


def test_central_modality_is_in_the_pair(make: Make) -> None:
    encoder = make(
        item_contrastive="central", item_central_modality="labels", contrastive="none"
    ).item_encoder
    column = encoder.modalities.index("labels")
    assert {key[0] for key in draws(encoder, 3, 2, first=column)} == {"labels"}
    assert {key[1] for key in draws(encoder, 3, 2, first=column)} == {
        "interactions",
        "group",
        "price",
    }
    item_without_labels = 4
    encoded = encoder.encode_training(torch.tensor([3, item_without_labels]))
    assert encoded.valid is not None
    assert encoded.valid.tolist() == [True, False]


def test_padding_and_missing_are_never_drawn(make: Make) -> None:
    encoder = make().item_encoder
    columns, mask = encoder.draw(ALL_ITEMS.repeat(500), 2)
    drawn = {
        (item, column)
        for item, row, there in zip(
            ALL_ITEMS.repeat(500).tolist(), columns.tolist(), mask.tolist(), strict=True
        )
        for column, ok in zip(row, there, strict=True)
        if ok
    }
    available = {(int(item), int(column)) for item, column in encoder.availability.nonzero()}
    assert drawn == available
    assert 0 not in {item for item, _ in drawn}


def occurrence_by_occurrence(
    encoder: EntityEncoder, entities: torch.Tensor, columns: torch.Tensor, mask: torch.Tensor
) -> torch.Tensor:
    """Encode each occurrence's cells one at a time."""
    rows = []
    for entity, row, there in zip(entities.tolist(), columns.tolist(), mask.tolist(), strict=True):
        cells = [
            encoder.encode_cells(torch.tensor([m * encoder.n_entities + entity]))[0]
            for m, ok in zip(row, there, strict=True)
            if ok
        ]
        rows.append(torch.stack(cells).mean(0))
    return torch.stack(rows)


def drawn_batch(encoder: EntityEncoder) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    entities = torch.tensor([1, 2, 1, 5, 2, 1, 7])
    columns, mask = encoder.draw(entities, 2)
    return entities, columns, mask


def gradients(encoder: EntityEncoder, output: torch.Tensor) -> Iterator[tuple[str, torch.Tensor]]:
    encoder.zero_grad()
    (output**2).sum().backward()
    for name, parameter in encoder.named_parameters():
        if parameter.grad is not None:
            yield name, parameter.grad.clone()


def test_distinct_cells_equal_occurrences(make: Make) -> None:
    encoder = make().item_encoder.train().double()
    entities, columns, mask = drawn_batch(encoder)
    encoded, positions = encoder.encode_distinct(entities, columns, mask)
    together = aggregate([encoded[positions[:, j]] for j in range(2)], mask)
    one_by_one = occurrence_by_occurrence(encoder, entities, columns, mask)
    assert torch.allclose(together, one_by_one, atol=1e-12)
    expected = dict(gradients(encoder, one_by_one))
    found = dict(gradients(encoder, together))
    assert found.keys() == expected.keys()
    for name, gradient in found.items():
        assert torch.allclose(gradient, expected[name], atol=1e-10), name


def test_gradients_add_up_in_fixed_order(make: Make) -> None:
    table, upstream = torch.randn(5000, 64, requires_grad=True), torch.randn(22000, 64)
    rows = torch.randint(0, 5000, (22000,))

    def gradient() -> torch.Tensor:
        return torch.autograd.grad(gather_rows(table, rows), table, upstream)[0]

    first = gradient()
    assert all(torch.equal(gradient(), first) for _ in range(20))
    expected = np.zeros((5000, 64))
    np.add.at(expected, rows.numpy(), upstream.double().numpy())
    assert np.allclose(first, expected, atol=1e-4)


def test_occurrences_share_one_dropout_mask(make: Make) -> None:
    encoder = make(dropout_prob=0.5).item_encoder.train()
    entities = torch.tensor([1] * 20 + [2])
    columns = torch.full((21, 1), encoder.modalities.index("text"))
    encoded, positions = encoder.encode_distinct(
        entities, columns, torch.ones(21, 1, dtype=torch.bool)
    )
    assert positions[:, 0].tolist() == [0] * 20 + [1]
    again, _ = encoder.encode_distinct(entities, columns, torch.ones(21, 1, dtype=torch.bool))
    assert not torch.equal(encoded, again)


def test_batch_norm_counts_a_cell_once(make: Make) -> None:
    encoder = make(batch_norm="last", branch_hidden_sizes=[]).item_encoder.train()
    norm = encoder.branches[0][-1]
    norm.momentum = 1.0
    column = encoder.modalities.index("text")
    entities = torch.tensor([1] * 20 + [2])
    encoder.encode_distinct(
        entities, torch.full((21, 1), column), torch.ones(21, 1, dtype=torch.bool)
    )
    projected = torch.nn.functional.normalize(
        encoder.projections[column](torch.tensor([1, 2])), dim=1
    )
    mean_of_two = encoder.branches[0][0](projected).mean(0)
    assert torch.allclose(norm.running_mean, mean_of_two, atol=1e-6)


def test_training_equals_inference_unsampled(make: Make) -> None:
    model = make(modality_sampling=False, contrastive="none")
    entities = torch.tensor([3, 1, 3, 7, 2])
    encoded = model.item_encoder.encode_training(entities)
    expected, _ = model.item_encoder.encode(entities)
    assert torch.allclose(encoded.embeddings, expected, atol=1e-6)
    assert encoded.first is None


def test_unsampled_pair_from_all_modalities(make: Make) -> None:
    model = make(modality_sampling=False)
    entities = torch.tensor([3, 8, 3])
    encoded = model.item_encoder.encode_training(entities)
    expected, _ = model.item_encoder.encode(entities[:1])
    assert encoded.first is not None
    assert encoded.second is not None
    assert encoded.valid is not None
    assert torch.allclose(encoded.embeddings[0], expected[0], atol=1e-6)
    assert encoded.valid.tolist() == [True, False, True]
    single = torch.cat(
        [model.item_encoder.encode_cells(torch.tensor([m * 9 + 3])) for m in range(4)]
    )
    for view in (encoded.first[0], encoded.second[0], encoded.first[2], encoded.second[2]):
        assert (single - view).abs().amax(1).min() < 1e-6


def test_empty_entity_trains_as_batch_mean(make: Make) -> None:
    encoder = make(contrastive="none").item_encoder
    encoded = encoder.encode_training(torch.tensor([1, 8, 2]))
    assert torch.allclose(encoded.embeddings[1], encoded.embeddings[[0, 2]].mean(0), atol=1e-6)
    encoder.zero_grad()
    encoded.embeddings[1].sum().backward()
    assert all(
        parameter.grad is None or not parameter.grad.any() for parameter in encoder.parameters()
    )


def test_only_id_is_a_plain_embedding_table(make: Make) -> None:
    encoder = make(user_modalities=["id"]).user_encoder
    assert [tuple(parameter.shape) for parameter in encoder.parameters()] == [(7, 5)]
    table = encoder.projections[0].embedding.weight
    embeddings, has_any = encoder.encode(torch.tensor([3, 6]))
    assert torch.equal(embeddings[0], table[3])
    assert has_any.tolist() == [True, False]  # user 6 was never trained
    assert torch.allclose(encoder.encode_all()[6], table[1:6].mean(0))


def test_look_up_trains_as_distinct_cells_do(make: Make) -> None:
    users = torch.tensor([3, 1, 3, 5, 3, 1])
    upstream = torch.randn(len(users), 5)
    encoder = make(user_modalities=["id"]).user_encoder
    table = encoder.projections[0].embedding.weight

    found = []
    for encode in (encoder._encode_available, encoder.encode_training):
        table.grad = None
        embeddings = encode(users).embeddings
        embeddings.backward(upstream)
        assert table.grad is not None
        found.append((embeddings, table.grad))

    for expected, looked_up in zip(*found, strict=True):
        assert torch.equal(expected, looked_up)


def test_unknown_modalities_are_named(make: Make) -> None:
    with pytest.raises(
        ValueError, match="'txt' is not encoded here; allowed are interactions, group"
    ):
        make().encode_items(modalities=["txt"])
