from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from recbole.data.interaction import Interaction
from scipy.special import log_expit, logsumexp

from recbole_sibrar.config import ConfigError
from recbole_sibrar.model.encoder import EntityEncoder
from recbole_sibrar.model.sibrar import SiBraR

Make = Callable[..., SiBraR]
POSITIVES = [(1, 1), (2, 2), (5, 6)]
NEGATIVES = [[3, 4, 8], [1, 6, 7], [2, 3, 5]]


class Spy:
    """Remembers what an encoder draws."""

    def __init__(self, encoder: EntityEncoder, monkeypatch: pytest.MonkeyPatch) -> None:
        original = encoder.draw
        self.encoder, self.drawn = encoder, []

        def draw(*args: Any) -> tuple[torch.Tensor, torch.Tensor]:
            columns, mask = original(*args)
            for row, there in zip(columns.tolist(), mask.tolist(), strict=True):
                self.drawn.append(
                    [encoder.modalities[m] for m, ok in zip(row, there, strict=True) if ok]
                )
            return columns, mask

        monkeypatch.setattr(encoder, "draw", draw)


def numpy_info_nce(pairs: list[tuple[np.ndarray, np.ndarray]], temperature: float) -> list[float]:
    """Row plus column cross-entropy of each pair of one set."""
    logits = np.array([[a @ b for _, b in pairs] for a, _ in pairs]) / temperature
    return list(logsumexp(logits, 1) + logsumexp(logits, 0) - 2 * np.diag(logits)) if pairs else []


@pytest.mark.parametrize("loss_type", ["BPR", "BCE", "SSM"])
@pytest.mark.parametrize("scope", ["sample", "batch"])
def test_the_loss_and_its_parts_equal_numpy(
    make: Make,
    reference: Callable[..., Any],
    batch: Interaction,
    monkeypatch: pytest.MonkeyPatch,
    loss_type: str,
    scope: str,
) -> None:
    model = make(loss_type=loss_type, contrastive_scope=scope)
    users, items = reference(model, "user"), reference(model, "item")
    user_spy, item_spy = Spy(model.user_encoder, monkeypatch), Spy(model.item_encoder, monkeypatch)
    rec, con_user, con_item = [part.item() for part in model.calculate_loss(batch)]

    item_ids = [[item, *row] for (_, item), row in zip(POSITIVES, NEGATIVES, strict=True)]
    flat = [item for row in item_ids for item in row]
    drawn = [
        [items.cell(name, item) for name in names]
        for item, names in zip(flat, item_spy.drawn, strict=True)
    ]
    assert all(
        len(names) == 2 for names, item in zip(item_spy.drawn, flat, strict=True) if item != 8
    )
    known = [np.mean(cells, axis=0) for cells in drawn if cells]
    item_embeddings = [
        np.mean(cells, axis=0) if cells else np.mean(known, axis=0) for cells in drawn
    ]
    user_cells = [
        [users.cell(name, user) for name in names]
        for (user, _), names in zip(POSITIVES, user_spy.drawn, strict=True)
    ]
    scores = np.array(
        [
            [np.mean(user_cells[i], 0) @ item_embeddings[4 * i + j] for j in range(4)]
            for i in range(3)
        ]
    )

    expected = {
        "BPR": -log_expit(scores[:, :1] - scores[:, 1:]).mean(),
        "BCE": -np.concatenate([log_expit(scores[:, 0]), log_expit(-scores[:, 1:]).ravel()]).mean(),
        "SSM": np.mean(
            logsumexp(np.c_[scores[:, :1], scores[:, 1:] + np.log(8 / 3)], axis=1) - scores[:, 0]
        ),
    }
    assert rec == pytest.approx(expected[loss_type], rel=1e-5)

    pairs = [(item, cells) for item, cells in zip(flat, drawn, strict=True) if len(cells) == 2]
    if scope == "sample":
        sets = [
            [tuple(cells) for cells in drawn[4 * i : 4 * i + 4] if len(cells) == 2]
            for i in range(3)
        ]
    else:
        sets = [
            [
                tuple(next(cells for item, cells in pairs if item == x))
                for x in sorted({x for x, _ in pairs})
            ]
        ]
    terms = [term for one in sets for term in numpy_info_nce(one, 0.5)]
    assert con_item == pytest.approx(0.3 * np.mean(terms), rel=1e-5)
    assert con_user == pytest.approx(
        0.3
        * np.mean(numpy_info_nce([tuple(cells) for cells in user_cells if len(cells) == 2], 0.5)),
        rel=1e-4,
    )


def test_parts_of_the_loss(make: Make, batch: Interaction) -> None:
    assert len(make().calculate_loss(batch)) == 3
    assert len(make(user_contrastive="none").calculate_loss(batch)) == 2
    assert len(make(user_modalities=["id"]).calculate_loss(batch)) == 2
    assert make(contrastive="none").calculate_loss(batch).shape == ()


@pytest.mark.slow
@pytest.mark.parametrize("single", [True, False])
@pytest.mark.parametrize("sampling", [True, False])
@pytest.mark.parametrize("contrastive", ["none", "pairwise", "central"])
def test_paradigms_train_their_parameters(
    make: Make,
    batch: Interaction,
    monkeypatch: pytest.MonkeyPatch,
    single: bool,
    sampling: bool,
    contrastive: str,
) -> None:
    monkeypatch.setattr(SiBraR, "single_branch", single)
    model = make(
        modality_sampling=sampling,
        contrastive=contrastive,
        central_modality="interactions",
        batch_norm="last",
    )
    for _ in range(30):
        loss = model.calculate_loss(batch)
        sum(loss if isinstance(loss, tuple) else (loss,)).backward()
    without = {
        name
        for name, parameter in model.named_parameters()
        if parameter.grad is None or not parameter.grad.any()
    }
    assert not without


def test_the_padding_row_is_not_trained(make: Make, batch: Interaction) -> None:
    model = make()
    before = {
        name: value.clone()
        for name, value in model.named_parameters()
        if "embedding.weight" in name
    }
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.1, weight_decay=0.1)
    for _ in range(3):
        optimizer.zero_grad()
        sum(model.calculate_loss(batch)).backward()
        optimizer.step()
    after = dict(model.named_parameters())
    for name, value in before.items():
        assert not after[name][0].any()
        assert not torch.equal(after[name][1:], value[1:])


def test_scores_are_dot_products(make: Make) -> None:
    model = make().eval()
    with torch.no_grad():
        users, items = model.encode_users().numpy(), model.encode_items().numpy()
        everything = model.full_sort_predict(
            Interaction({"user_id": torch.tensor([2, 6, 1])})
        ).view(3, 9)
        single = model.predict(
            Interaction({"user_id": torch.tensor([2, 6]), "item_id": torch.tensor([3, 8])})
        )
    assert np.allclose(everything[:, 1:], (users[[2, 6, 1]] @ items.T)[:, 1:], atol=1e-6)
    assert torch.isinf(everything[:, 0]).all()
    assert np.allclose(single, [users[2] @ items[3], users[6] @ items[8]], atol=1e-6)


def test_items_are_encoded_once(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    model = make()
    calls = []
    original = model.item_encoder.encode_cells
    monkeypatch.setattr(
        model.item_encoder, "encode_cells", lambda *cells: calls.append(1) or original(*cells)
    )
    users = Interaction({"user_id": torch.tensor([1, 2])})
    with torch.no_grad():
        model.eval()
        first = model.full_sort_predict(users)
        assert torch.equal(model.full_sort_predict(users), first)
        assert len(calls) == 1
        model.item_encoder.branches[0][0].weight.data += 1
        model.train()
        model.eval()
        assert not torch.equal(model.full_sort_predict(users), first)
        assert len(calls) == 2


def test_users_in_small_batches_are_cheap(
    make_model: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, model, *_ = make_model()
    model.eval()
    encoder = model.user_encoder
    n_encoded = []
    original = encoder.encode
    monkeypatch.setattr(
        encoder, "encode", lambda ids, *args: n_encoded.append(len(ids)) or original(ids, *args)
    )
    users = torch.arange(encoder.n_entities)
    with torch.no_grad():
        found = torch.cat(
            [model.full_sort_predict(Interaction({"user_id": part})) for part in users[1:].split(2)]
        )
        expected = model.encode_users() @ model.encode_items().t()
    assert encoder.n_entities < sum(n_encoded) <= 1.125 * encoder.n_entities + 2
    assert torch.allclose(found.view(len(users) - 1, -1)[:, 1:], expected[1:, 1:], atol=1e-5)


def test_loading_forgets_the_embeddings(make: Make) -> None:
    model, other = make().eval(), make(seed=1).eval()
    for parameter in other.parameters():
        parameter.data += 0.1
    with torch.no_grad():
        before = model.encode_items()
        model.load_state_dict(other.state_dict())
        assert not torch.equal(model.encode_items(), before)
        assert torch.equal(model.encode_items(), other.encode_items())


def test_a_model_can_be_pickled(make: Make) -> None:
    model = make().eval()
    copy = pickle.loads(pickle.dumps(model))
    assert torch.equal(copy.encode_items(), model.encode_items())


def test_unavailable_modality_has_no_effect(make: Make, world: Any, batch: Interaction) -> None:
    model = make().eval()
    plain = model.encode_items().clone()
    torch.manual_seed(1)
    loss = [part.item() for part in model.train().calculate_loss(batch)]
    text = model.item_encoder.modalities.index("text")
    missing = ~torch.from_numpy(world.has_vector)
    model.item_encoder.projections[text][0].values[missing] = 1e6
    torch.manual_seed(1)
    assert [part.item() for part in model.calculate_loss(batch)] == loss
    assert torch.equal(model.eval().encode_items(), plain)


def test_evaluation_lists_choose_modalities(make: Make) -> None:
    model, chosen = make().eval(), make(item_eval_modalities=["group", "text"]).eval()
    chosen.load_state_dict(model.state_dict())
    assert torch.equal(chosen.encode_items(), model.encode_items(modalities=["group", "text"]))
    assert not torch.equal(chosen.encode_items(), model.encode_items())


def test_order_of_ids_does_not_matter(make: Make) -> None:
    model = make().eval()
    everything = model.encode_items()
    assert torch.equal(model.encode_items(torch.tensor([5, 1])), everything[[5, 1]])


def test_data_without_tables_are_refused(world: Any) -> None:
    class Plain:
        num = world.num

    settings = {
        "USER_ID_FIELD": "user_id",
        "ITEM_ID_FIELD": "item_id",
        "NEG_PREFIX": "neg_",
        "device": "cpu",
    }
    with pytest.raises(
        ConfigError,
        match=r"found a Plain, allowed is a MultimodalDataset; make it with .*create_dataset",
    ):
        SiBraR(settings, Plain())
