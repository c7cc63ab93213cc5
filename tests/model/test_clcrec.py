"""CLCRec against its paper (Wei et al., ACM MM 2021)."""

from __future__ import annotations

import logging
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from recbole.data.interaction import Interaction
from scipy.special import log_expit, logsumexp

from recbole_sibrar.config import ConfigError
from recbole_sibrar.model.clcrec import CLCRec

Make = Callable[..., Any]
SMALL = {
    "replacement_prob": 0.0,
    "score_temperature": 0.4,
    "loss_type": "InfoNCE",
    "user_modalities": ["id"],
    "normalize_branch_input": False,
}
POSITIVES = [(1, 1), (2, 2), (5, 6)]
ITEMS = [[1, 3, 4, 8], [2, 1, 6, 7], [6, 2, 3, 5]]
FLAT = [item for row in ITEMS for item in row]


@pytest.fixture
def network(make: Make) -> Callable[..., CLCRec]:
    """A CLCRec on the small world, with content of items alone: ``network(replacement_prob=0.5)``."""
    return lambda **overrides: make(CLCRec, **{**SMALL, **overrides})


class Numpy:
    """Free embeddings and contents' embeddings of one side."""

    def __init__(self, reference: Any) -> None:
        self.reference, self.encoder = reference, reference.encoder
        layer = "projections.0" if self.encoder.is_table else "collaborative"
        self.free = reference.parameters[f"{layer}.embedding.weight"]

    def content(self, entity: int) -> np.ndarray | None:
        names = self.encoder.modalities
        found = any(self.reference.input(name, entity) is not None for name in names)
        return self.reference.concatenated(entity) if found else None

    def views(self, entity: int) -> tuple[np.ndarray, np.ndarray] | None:
        """Free embedding and content's embedding at unit length."""
        content = self.content(entity)
        if content is None:
            return None
        free = self.free[entity]
        return free / np.linalg.norm(free), content / np.linalg.norm(content)


def info_nce(views: list[tuple[np.ndarray, np.ndarray]], temperature: float) -> list[float]:
    logits = np.array([[a @ b for _, b in views] for a, _ in views]) / temperature
    return list(logsumexp(logits, 1) + logsumexp(logits, 0) - 2 * np.diag(logits))


# The loss


@pytest.mark.parametrize("loss_type", ["InfoNCE", "BPR", "BCE", "SSM"])
@pytest.mark.parametrize("scope", ["sample", "batch"])
@pytest.mark.parametrize("share", [0.0, 0.6])
def test_the_loss_and_its_parts_equal_numpy(
    network: Make, reference: Make, batch: Interaction, loss_type: str, scope: str, share: float
) -> None:
    model = network(loss_type=loss_type, contrastive_scope=scope, replacement_prob=share)
    users, items = Numpy(reference(model, "user")), Numpy(reference(model, "item"))
    torch.manual_seed(4)
    replaced = (torch.rand(12) < share).tolist()  # the only draws of a step
    torch.manual_seed(4)
    rec, con = (part.item() for part in model.calculate_loss(batch))

    contents = [items.content(item) for item in FLAT]
    chosen = [
        content if content is not None and swap else items.free[item]
        for item, content, swap in zip(FLAT, contents, replaced, strict=True)
    ]
    assert share == 0 or any(replaced) > all(replaced)
    scores = np.array(
        [[users.free[POSITIVES[i][0]] @ chosen[4 * i + j] for j in range(4)] for i in range(3)]
    )
    expected = {
        "InfoNCE": np.mean(logsumexp(scores / 0.4, axis=1) - scores[:, 0] / 0.4),
        "BPR": -log_expit(scores[:, :1] - scores[:, 1:]).mean(),
        "BCE": -np.concatenate([log_expit(scores[:, 0]), log_expit(-scores[:, 1:]).ravel()]).mean(),
        "SSM": np.mean(
            logsumexp(np.c_[scores[:, :1], scores[:, 1:] + np.log(8 / 3)], axis=1) - scores[:, 0]
        ),
    }
    assert rec == pytest.approx(expected[loss_type], rel=1e-4)
    sets = ITEMS if scope == "sample" else [sorted(set(FLAT))]
    terms = [
        t
        for one in sets
        for t in info_nce([v for v in map(items.views, one) if v is not None], 0.5)
    ]
    assert len(terms) == (11 if scope == "sample" else 7)  # item 8 has no content
    assert con == pytest.approx(0.3 * np.mean(terms), rel=1e-4)


def test_users_contrast_within_the_batch(
    network: Make, reference: Make, batch: Interaction
) -> None:
    model = network(user_modalities=["age"], item_modalities=["id"])
    users = Numpy(reference(model, "user"))
    _, con = model.calculate_loss(batch)
    assert con.item() == pytest.approx(
        0.3 * np.mean(info_nce([users.views(user) for user in (1, 2, 5)], 0.5)), rel=1e-4
    )


def test_both_sides_may_have_content(network: Make, reference: Make, batch: Interaction) -> None:
    model = network(user_modalities=["age"], user_contrastive_weight=0.7)
    _, con_user, con_item = model.calculate_loss(batch)
    users, items = Numpy(reference(model, "user")), Numpy(reference(model, "item"))
    assert con_user.item() == pytest.approx(
        0.7 * np.mean(info_nce([users.views(u) for u in (1, 2, 5)], 0.5)), rel=1e-4
    )
    terms = [
        t
        for one in ITEMS
        for t in info_nce([v for v in map(items.views, one) if v is not None], 0.5)
    ]
    assert con_item.item() == pytest.approx(0.3 * np.mean(terms), rel=1e-4)


def test_contrast_teaches_both_inputs(network: Make, batch: Interaction) -> None:
    model = network()
    model.calculate_loss(batch)[1].backward()
    assert model.user_encoder.projections[0].embedding.weight.grad is None
    table = model.item_encoder.collaborative.embedding.weight.grad
    assert table[1:8].any(1).all()
    assert not table[[0, 8]].any()  # padding, and an item that has no content to be matched with
    others = [
        p
        for name, p in model.item_encoder.named_parameters()
        if not name.startswith("collaborative")
    ]
    assert all(p.grad is not None and p.grad.any() for p in others)


# Without contrast and replacement


def test_plain_form_is_matrix_factorisation(network: Make, batch: Interaction) -> None:
    """Twenty steps of both, with the same start: the same losses and the same embeddings."""
    model = network(contrastive_weight=0.0)
    users = model.user_encoder.projections[0].embedding.weight.detach().clone().requires_grad_()
    items = model.item_encoder.collaborative.embedding.weight.detach().clone().requires_grad_()
    optimizers = [
        torch.optim.Adam(model.parameters(), lr=0.05),
        torch.optim.Adam([users, items], lr=0.05),
    ]
    chosen, candidates = torch.tensor([1, 2, 5]), torch.tensor(ITEMS)
    for _ in range(20):
        for optimizer in optimizers:
            optimizer.zero_grad()
        parts = model.calculate_loss(batch)
        assert parts[1].item() == 0
        sum(parts).backward()
        logits = (users[chosen][:, None] * items[candidates]).sum(2) / 0.4
        expected = torch.nn.functional.cross_entropy(logits, torch.zeros(3, dtype=torch.long))
        expected.backward()
        assert parts[0].item() == pytest.approx(expected.item(), rel=1e-4, abs=1e-6)
        content = [
            p
            for name, p in model.item_encoder.named_parameters()
            if not name.startswith("collaborative")
        ]
        assert not any(p.grad is not None and p.grad.any() for p in content)
        for optimizer in optimizers:
            optimizer.step()
    assert torch.allclose(model.user_encoder.projections[0].embedding.weight, users, atol=1e-4)
    assert torch.allclose(model.item_encoder.collaborative.embedding.weight, items, atol=1e-4)
    model.eval()
    scores = model.full_sort_predict(Interaction({"user_id": torch.tensor([1, 2, 5])})).view(3, 9)
    assert torch.allclose(scores[:, 1:7], (users[chosen] @ items.t())[:, 1:7], atol=1e-4)


# Replacement


def test_the_share_of_replaced_occurrences(network: Make) -> None:
    encoder = network(replacement_prob=0.3).item_encoder
    entities = torch.tensor([1, 5, 1, 8])
    counts = np.zeros(4)
    with torch.no_grad():
        for _ in range(1000):
            encoded = encoder.encode_training(entities).embeddings
            counts += (encoded != encoder.collaborative(entities)).any(1).numpy()
    assert counts[:3] / 1000 == pytest.approx([0.3] * 3, abs=5 * np.sqrt(0.3 * 0.7 / 1000))
    assert counts[3] == 0  # item 8 has no content


def test_occurrences_are_replaced_one_by_one(network: Make) -> None:
    encoder = network(replacement_prob=0.5).item_encoder
    found = encoder.encode_training(torch.full((40,), 2)).embeddings
    assert len(found.unique(dim=0)) == 2


def test_replacement_teaches_content_alone(network: Make) -> None:
    encoder = network(replacement_prob=0.999999).item_encoder
    encoder.encode_training(torch.tensor([1, 2])).embeddings.pow(2).sum().backward()
    assert not encoder.collaborative.embedding.weight.grad.any()
    assert encoder.branches[0][0].weight.grad.any()


# Inference


def test_new_items_are_their_content(network: Make, reference: Make) -> None:
    model = network(replacement_prob=0.5).eval()
    items = Numpy(reference(model, "item"))
    found = model.encode_items().numpy()
    np.testing.assert_allclose(found[1:7], items.free[1:7], rtol=1e-6)
    np.testing.assert_allclose(found[7], items.content(7), atol=1e-5)
    np.testing.assert_allclose(found[8], items.free[1:7].mean(0), atol=1e-5)
    assert not found[0].any()
    users = Numpy(reference(model, "user"))
    # user 6 is new
    np.testing.assert_allclose(model.encode_users()[6], users.free[1:6].mean(0), atol=1e-5)
    pairs = Interaction({"user_id": torch.tensor([1, 2, 3]), "item_id": torch.tensor([3, 7, 8])})
    expected = [
        users.free[1] @ items.free[3],
        users.free[2] @ items.content(7),
        users.free[3] @ found[8],
    ]
    assert model.predict(pairs).tolist() == pytest.approx(expected, abs=1e-5)


def test_new_users_are_their_content(network: Make, reference: Make, world: Any) -> None:
    world.ages[6] = 2
    model = network(user_modalities=["age"], item_modalities=["id"]).eval()
    users = Numpy(reference(model, "user"))
    np.testing.assert_allclose(model.encode_users()[6], users.content(6), atol=1e-5)
    # no age, but interactions
    np.testing.assert_allclose(model.encode_users()[4], users.free[4], atol=1e-6)


def test_missing_content_of_new_items(network: Make, reference: Make) -> None:
    model = network().eval()
    before = model.encode_items().clone()
    hidden = torch.zeros_like(model.item_encoder.availability)
    hidden[:, model.item_encoder.columns_of(["text"])] = True
    with model.hiding("item", hidden):
        found = model.encode_items().clone()
    assert torch.equal(found[[1, 2, 3, 4, 5, 6, 8]], before[[1, 2, 3, 4, 5, 6, 8]])
    np.testing.assert_allclose(
        found[7], reference(model, "item").concatenated(7, ("labels",)), atol=1e-5
    )
    with model.hiding("item", torch.ones_like(hidden)):
        np.testing.assert_allclose(model.encode_items()[7], before[1:7].mean(0), atol=1e-6)
    assert torch.equal(model.encode_items(), before)


def test_evaluation_lists_choose_the_content(network: Make, reference: Make) -> None:
    model = network(item_eval_modalities=["labels"]).eval()
    np.testing.assert_allclose(
        model.encode_items()[7], reference(model, "item").concatenated(7, ("labels",)), atol=1e-5
    )


def test_log_counts_entities_with_the_mean(network: Make) -> None:
    assert network().item_encoder.without().sum() == 1  # item 8
    # item 3 has no text but is trained
    assert network(item_modalities=["text"]).item_encoder.without().sum() == 1
    assert network(item_modalities=["price"]).item_encoder.without().sum() == 2  # items 7 and 8


def test_padding_and_new_items_learn_nothing(network: Make, batch: Interaction) -> None:
    model = network(replacement_prob=0.5)
    sum(model.calculate_loss(batch)).backward()
    table = model.item_encoder.collaborative.embedding.weight
    assert not table[0].any()
    assert not table.grad[0].any()
    assert "item_encoder.collaborative.embedding.weight" in model.state_dict()
    copy = pickle.loads(pickle.dumps(model.eval()))
    assert torch.equal(copy.encode_items(), model.encode_items())


# Availability


def test_unavailable_content_has_no_effect(network: Make, world: Any, batch: Interaction) -> None:
    model = network(replacement_prob=0.5)
    torch.manual_seed(1)
    loss = [part.item() for part in model.calculate_loss(batch)]
    text = model.item_encoder.modalities.index("text")
    model.item_encoder.projections[text][0].values[~torch.from_numpy(world.has_vector)] = 1e6
    torch.manual_seed(1)
    assert [part.item() for part in model.calculate_loss(batch)] == loss


def test_batch_norm_skips_missing_content(network: Make) -> None:
    with_them, without = (network(batch_norm="last").item_encoder for _ in range(2))
    with_them.encode_training(torch.tensor([1, 8, 2, 0]))
    without.encode_training(torch.tensor([1, 2]))
    for (name, one), (_, other) in zip(
        with_them.named_buffers(), without.named_buffers(), strict=True
    ):
        assert torch.equal(one, other), name


@pytest.mark.parametrize("scope", ["sample", "batch"])
def test_batch_without_content(network: Make, world: Any, batch: Interaction, scope: str) -> None:
    model = network(contrastive_scope=scope, batch_norm="last", replacement_prob=0.5)
    model.item_encoder.availability[:] = False
    rec, con = model.calculate_loss(batch)
    assert con.item() == 0
    (rec + con).backward()
    gradients = [p.grad for p in model.parameters() if p.grad is not None]
    assert all(torch.isfinite(gradient).all() for gradient in gradients)


# Configuration


@pytest.mark.parametrize(
    ("key", "value", "fixed"),
    [
        ("modality_sampling", True, False),
        ("contrastive", "none", "pairwise"),
        ("central_modality", "text", None),
        ("aggregation", "max", "mean"),
        ("branch_budget", "total", "per_modality"),
        ("normalize_interactions", False, True),
    ],
)
@pytest.mark.parametrize("prefix", ["", "item_"])
def test_keys_without_meaning_are_refused(
    network: Make, key: str, value: Any, fixed: Any, prefix: str
) -> None:
    with pytest.raises(
        ConfigError, match=f"^{prefix}{key}: found {value!r}, allowed is .*{fixed!r} for CLCRec"
    ) as e:
        network(**{f"{prefix}{key}": value})
    assert "\n" not in str(e.value)
    network(**{f"{prefix}{key}": fixed})


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"item_modalities": ["interactions", "text"]},
            r"item_modalities: found 'interactions', allowed is any of group,",
        ),
        (
            {"item_modalities": ["id", "text"]},
            r"item_modalities: found \['id', 'text'\], allowed is fields alone, or \[id\]",
        ),
        (
            {"item_modalities": ["id"]},
            r"CLCRec needs content of the items or of the users, found none \(fields of tiny",
        ),
        (
            {"replacement_prob": 1.5},
            r"replacement_prob: found 1.5, allowed is a number from 0 to below 1",
        ),
        ({"score_temperature": 0}, r"score_temperature: found 0, allowed is a number above 0"),
        ({"temperature": -1}, r"temperature: found -1, allowed is a number above 0"),
        ({"loss_type": "MSE"}, r"loss_type: found 'MSE', allowed is one of InfoNCE, BPR, BCE, SSM"),
    ],
)
def test_wrong_values_end_in_one_line(
    network: Make, settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=f"^{message}") as caught:
        network(**settings)
    assert "\n" not in str(caught.value)


def test_the_seed_decides_what_is_replaced(network: Make, batch: Interaction) -> None:
    model = network(replacement_prob=0.5)
    found = []
    for seed in (2, 2, 3):
        torch.manual_seed(seed)
        found.append(model.calculate_loss(batch)[0].item())
    assert found[0] == found[1] != found[2]


def test_log_counts_trained_items(network: Make, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        network(item_modalities=["text"])
    assert "1 of 8 items have none of the modalities text" in caplog.text
