"""DropoutNet against its paper (Volkovs et al., NeurIPS 2017)."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from recbole.data.interaction import Interaction
from scipy.sparse import csr_matrix
from scipy.special import log_expit, logsumexp

from recbole_sibrar.config import ConfigError
from recbole_sibrar.model.dropoutnet import DropoutNet, latent_factors

Make = Callable[..., Any]
SMALL = {"preference_size": 2, "preference_dropout_prob": 0.0, "loss_type": "MSE", "seed": 1}
POSITIVES = [(1, 1), (2, 2), (5, 6)]
NEGATIVES = [[3, 4, 8], [1, 6, 7], [2, 3, 5]]


@pytest.fixture
def network(make: Make) -> Callable[..., DropoutNet]:
    """A DropoutNet on the small world: ``network(preference_dropout_prob=0.5)``."""
    return lambda **overrides: make(DropoutNet, **{**SMALL, **overrides})


def truncated(matrix: np.ndarray, rank: int) -> np.ndarray:
    """The best approximation of a rank."""
    left, values, right = np.linalg.svd(matrix)
    return (left[:, :rank] * values[:rank]) @ right[:rank]


def everything(world: Any) -> Interaction:
    """A batch of all pairs of a user and an item with interactions: item 1, with three others as its negatives."""
    users = [user for user in range(1, 6) for _ in range(2)]
    items = torch.tensor([[1, 2, 3, 4], [1, 4, 5, 6]] * 5)
    columns = {"user_id": torch.tensor(users * 3), "item_id": items[:, 0].repeat(3)}
    return Interaction({**columns, "neg_item_id": items[:, 1:].t().flatten()})


# The latent model


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 1000), st.integers(1, 12))
def test_factors_are_the_truncated_svd(seed: int, rank: int) -> None:
    matrix = (np.random.default_rng(seed).random((21, 15)) < 0.3).astype(np.float32)
    users, items = latent_factors(csr_matrix(matrix), rank, seed)
    left, values, right = np.linalg.svd(matrix.astype(float))
    assert users.shape == (21, rank)
    assert items.shape == (15, rank)
    assert users.dtype == items.dtype == np.float32
    np.testing.assert_allclose(
        users @ items.T, (left[:, :rank] * values[:rank]) @ right[:rank], atol=1e-3
    )
    for k in range(rank):
        # else vectors of equal values can be mixed
        if min(abs(values[k] - np.delete(values, k))) > 0.05:
            sign = np.sign(users[:, k] @ left[:, k])
            np.testing.assert_allclose(
                users[:, k], sign * left[:, k] * np.sqrt(values[k]), atol=5e-3
            )
            np.testing.assert_allclose(items[:, k], sign * right[k] * np.sqrt(values[k]), atol=5e-3)


def test_preferences_approximate_the_matrix(network: Make, world: Any) -> None:
    model = network()
    found = model.user_preferences.numpy() @ model.item_preferences.numpy().T
    np.testing.assert_allclose(found, truncated(world.matrix, 2), atol=1e-5)
    assert not model.user_preferences[[0, 6]].any()
    assert not model.item_preferences[[0, 7, 8]].any()
    assert model.item_encoder.availability[:, 0].tolist() == [False, *[True] * 6, False, False]


@pytest.mark.parametrize("rank", [7, 64])
def test_rank_above_the_matrix_is_refused(network: Make, rank: int) -> None:
    with pytest.raises(
        ConfigError,
        match=rf"^preference_size: found {rank}, allowed is at most 6, the smaller of the",
    ):
        network(preference_size=rank)
    assert network(preference_size=6).user_preferences.shape == (7, 6)


# The loss


@pytest.mark.parametrize("loss_type", ["MSE", "BPR", "BCE", "SSM"])
def test_the_loss_equals_numpy(
    network: Make, reference: Make, world: Any, batch: Interaction, loss_type: str
) -> None:
    model = network(loss_type=loss_type)
    users, items = reference(model, "user"), reference(model, "item")
    target = truncated(world.matrix, 2)
    scores, wanted = np.zeros((3, 4)), np.zeros((3, 4))
    for i, ((user, positive), negatives) in enumerate(zip(POSITIVES, NEGATIVES, strict=True)):
        for j, item in enumerate([positive, *negatives]):
            scores[i, j] = users.concatenated(user) @ items.concatenated(item)
            wanted[i, j] = target[user, item]
    expected = {
        "MSE": np.mean((scores - wanted) ** 2),
        "BPR": -log_expit(scores[:, :1] - scores[:, 1:]).mean(),
        "BCE": -np.concatenate([log_expit(scores[:, 0]), log_expit(-scores[:, 1:]).ravel()]).mean(),
        "SSM": np.mean(
            logsumexp(np.c_[scores[:, :1], scores[:, 1:] + np.log(8 / 3)], axis=1) - scores[:, 0]
        ),
    }
    loss = model.calculate_loss(batch)
    assert loss.shape == ()
    assert loss.item() == pytest.approx(expected[loss_type], rel=1e-4)


LINEAR = {
    "user_modalities": ["interactions"],
    "item_modalities": ["interactions"],
    "normalize_branch_input": False,
    "branch_hidden_sizes": [],
    "activation": "none",
}


def test_latent_model_is_minimum_undropped(network: Make, world: Any) -> None:
    """Networks that pass the preferences through reproduce the latent scores: the loss is zero, and so its gradient."""
    model = network(**LINEAR, modality_size=2, embedding_size=2)
    for name, parameter in model.named_parameters():
        parameter.data = torch.eye(2) if name.endswith("weight") else torch.zeros(2)
    loss = model.calculate_loss(everything(world))
    loss.backward()
    assert loss.item() == pytest.approx(0, abs=1e-10)
    assert all(parameter.grad.abs().max() < 1e-5 for parameter in model.parameters())
    model.eval()
    found = model.encode_users() @ model.encode_items().t()
    np.testing.assert_allclose(found[1:6, 1:7], truncated(world.matrix, 2)[1:6, 1:7], atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("settings", [LINEAR, {"activation": "tanh", "branch_hidden_sizes": [32]}])
def test_training_ends_at_the_latent_model(
    network: Make, world: Any, settings: dict[str, Any]
) -> None:
    model = network(**{"normalize_branch_input": False, **settings})
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    batch = everything(world)
    for _ in range(400):
        optimizer.zero_grad()
        loss = model.calculate_loss(batch)
        loss.backward()
        optimizer.step()
    assert loss.item() < 1e-3
    model.eval()
    found = (model.encode_users() @ model.encode_items().t())[1:6, 1:7].numpy()
    assert np.corrcoef(found.ravel(), truncated(world.matrix, 2)[1:6, 1:7].ravel())[0, 1] > 0.99


@pytest.mark.slow
def test_dropping_teaches_use_of_content(network: Make, world: Any) -> None:
    """Without preferences, scores are far nearer to the latent model if training hid preferences at times."""
    errors = {}
    for share in (0.0, 0.5):
        model = network(preference_dropout_prob=share, branch_hidden_sizes=[32], activation="tanh")
        optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
        batch = everything(world)
        for _ in range(300):
            optimizer.zero_grad()
            model.calculate_loss(batch).backward()
            optimizer.step()
        model.eval()
        hidden = torch.zeros_like(model.item_encoder.availability)
        hidden[:, model.item_encoder.columns_of(["interactions"])] = True
        with model.hiding("item", hidden):
            found = (model.encode_users() @ model.encode_items().t())[1:6, 1:7].numpy()
        errors[share] = np.mean((found - truncated(world.matrix, 2)[1:6, 1:7]) ** 2)
    assert errors[0.5] < 0.5 * errors[0.0]


def test_no_preferences_is_content_alone(network: Make, batch: Interaction) -> None:
    model = network(
        user_modalities=["age"], item_modalities=["text", "group"], preference_dropout_prob=0.5
    ).eval()
    before = model.encode_users().clone(), model.encode_items().clone()
    model.user_preferences.mul_(3)
    model.item_preferences.mul_(3)
    model.train().eval()
    assert torch.equal(model.encode_users(), before[0])
    assert torch.equal(model.encode_items(), before[1])
    losses = {model.train().calculate_loss(batch).item() for _ in range(3)}
    assert len(losses) == 1  # nothing to hide


@pytest.mark.parametrize("value", [1.0, 1, -0.1, "half", True])
def test_a_share_that_hides_all_is_refused(network: Make, value: Any) -> None:
    with pytest.raises(
        ConfigError,
        match=r"^preference_dropout_prob: found .*, allowed is a number from 0 to below 1$",
    ):
        network(preference_dropout_prob=value)


# Cold start


def test_new_item_is_zeros_and_content(network: Make, reference: Make) -> None:
    model = network().eval()
    numpy = reference(model, "item")
    expected = numpy.concatenated(7, ("labels", "text"))  # all that item 7 has
    np.testing.assert_allclose(model.encode_items()[7], expected, atol=1e-5)
    pair = Interaction({"user_id": torch.tensor([1]), "item_id": torch.tensor([7])})
    assert model.predict(pair).item() == pytest.approx(
        reference(model, "user").concatenated(1) @ expected, abs=1e-5
    )


def test_item_without_preferences_is_as_new(network: Make, reference: Make) -> None:
    model = network().eval()
    hidden = torch.zeros_like(model.item_encoder.availability)
    hidden[2, model.item_encoder.modalities.index("interactions")] = True
    before = model.encode_items().clone()
    with model.hiding("item", hidden):
        found = model.encode_items()
    expected = reference(model, "item").concatenated(2, ("group", "labels", "price", "text"))
    np.testing.assert_allclose(found[2], expected, atol=1e-5)
    assert torch.allclose(found[[1, 3, 4, 5, 6, 7]], before[[1, 3, 4, 5, 6, 7]], atol=1e-6)
    assert (found[2] - before[2]).abs().max() > 1e-3


# Configuration


@pytest.mark.parametrize(
    ("key", "value", "fixed"),
    [
        ("modality_sampling", True, False),
        ("contrastive", "pairwise", "none"),
        ("central_modality", "text", None),
        ("contrastive_weight", 0.1, 0.0),
        ("contrastive_scope", "batch", "sample"),
        ("temperature", 0.5, 1.0),
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
        ConfigError, match=f"^{prefix}{key}: found {value!r}, allowed is .*{fixed!r} for DropoutNet"
    ) as e:
        network(**{f"{prefix}{key}": value})
    assert "\n" not in str(e.value)
    network(**{f"{prefix}{key}": fixed})


def test_unknown_loss_names_the_known_ones(network: Make) -> None:
    with pytest.raises(
        ConfigError,
        match="loss_type: found 'MSEE', allowed is one of MSE, BPR, BCE, SSM; did you mean",
    ):
        network(loss_type="MSEE")


@pytest.mark.parametrize(
    "names", [["id"], ["interactions"], ["age"], ["interactions", "age", "id"]]
)
def test_kinds_of_users(network: Make, batch: Interaction, names: list[str]) -> None:
    model = network(user_modalities=names, preference_dropout_prob=0.5)
    for _ in range(10):
        model.calculate_loss(batch).backward()
    assert all(p.grad is not None and p.grad.any() for p in model.user_encoder.parameters())
    assert model.user_encoder.is_table == (names == ["id"])
    model.eval()
    assert torch.isfinite(model.encode_users()).all()


# Latent vectors are part of what is learned


def test_latent_vectors_are_saved_and_loaded(network: Make) -> None:
    """A decomposition has free signs: a model must not meet other preferences than those that it was trained with."""
    model = network().eval()
    state = model.state_dict()
    assert {"user_preferences", "item_preferences"} <= set(state)
    flipped = {
        key: -value if key.endswith("_preferences") else value for key, value in state.items()
    }
    expected = model.encode_items().clone()
    other = network(seed=2).double().float().eval()  # values moved to another place, as to a GPU
    other.load_state_dict(flipped)
    assert not torch.allclose(other.encode_items()[1], expected[1])
    other.load_state_dict(state)
    assert torch.equal(other.encode_items(), expected)
    assert torch.equal(pickle.loads(pickle.dumps(model)).encode_items(), expected)


def test_the_latent_vectors_are_not_trained(network: Make, batch: Interaction) -> None:
    model = network()
    before = model.user_preferences.clone(), model.item_preferences.clone()
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.1, weight_decay=0.1)
    model.calculate_loss(batch).backward()
    optimizer.step()
    assert torch.equal(model.user_preferences, before[0])
    assert torch.equal(model.item_preferences, before[1])
    assert not any("preferences" in name for name, _ in model.named_parameters())


def test_repeated_interactions_count_once(make_model: Make, tiny_folder: Any) -> None:
    file = tiny_folder / "tiny" / "tiny.inter"
    header, *lines = file.read_text(encoding="utf-8").splitlines()
    settings = {
        "model": "DropoutNet",
        "preference_size": 4,
        "eval_args": {"split": {"RS": [1, 0, 0]}},
    }
    once = make_model(**settings)[1].user_preferences
    file.write_text("\n".join([header, *lines, *lines[:50]]) + "\n", encoding="utf-8")
    twice = make_model(**settings)[1].user_preferences
    assert torch.allclose(once.abs(), twice.abs(), atol=1e-3)
