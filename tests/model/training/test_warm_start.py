"""Closed-form start against ridge regressions of scikit-learn, and steps that treat items as new, by NumPy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from scipy.stats import norm
from sklearn.kernel_ridge import KernelRidge
from sklearn.linear_model import Ridge
from sklearn.metrics.pairwise import cosine_similarity

from recbole_sibrar.config import ConfigError
from recbole_sibrar.config.choices import properties
from recbole_sibrar.model.example import ExampleData
from recbole_sibrar.model.mubrar import MuBraR
from recbole_sibrar.model.sibrar import SiBraR
from recbole_sibrar.model.training.fitting import choose_penalty, inverse_of
from recbole_sibrar.model.training.held_out import PENALTIES

Make = Callable[..., Any]
L2, RIDGE, POPULARITY = 3.0, 0.4, 0.3
USERS, ITEMS, NEW = range(1, 7), range(1, 8), 8
LINEAR = {"branch_hidden_sizes": [], "batch_norm": "none", "normalize_branch_input": False}
START = {
    **LINEAR,
    "warm_start": "ease",
    "warm_start_l2": L2,
    "warm_start_ridge": RIDGE,
    "warm_start_popularity": POPULARITY,
    "warm_start_weights": 1.0,
    "projection_kernel": "exponential",
}
PLAIN = {"modality_sampling": False, "contrastive": "none", "user_modalities": ["interactions"]}


def ease_scores(matrix: np.ndarray) -> np.ndarray:
    """Scores of EASE: each column by a ridge regression on the other items."""
    scores = np.zeros(matrix.shape)
    for item in range(matrix.shape[1]):
        inputs = np.delete(matrix, item, axis=1)
        weights = np.linalg.solve(
            inputs.T @ inputs + L2 * np.eye(inputs.shape[1]), inputs.T @ matrix[:, item]
        )
        scores[:, item] = inputs @ weights
    return scores


def start_scores(matrix: np.ndarray) -> np.ndarray:
    """Scores of the start for known users and items."""
    scores = ease_scores(matrix) / np.sqrt(matrix.sum(1, keepdims=True))
    popularity = np.log(1 + matrix.sum(0))
    return scores / scores.std(ddof=1) + POPULARITY * (popularity - popularity.mean())


def predicted(
    kernel: np.ndarray, targets: np.ndarray, known: np.ndarray, rows: np.ndarray
) -> np.ndarray:
    """Kernel ridge regression with the mean of the targets as a constant."""
    mean = targets.mean(0)
    model = KernelRidge(kernel="precomputed", alpha=RIDGE).fit(
        kernel[np.ix_(known, known)], (targets - mean)[known]
    )
    return model.predict(kernel[np.ix_(rows, known)]) + mean


@pytest.fixture
def data() -> ExampleData:
    return ExampleData()


@pytest.mark.parametrize("name", ["SiBraR", "MuBraR"])
def test_start_by_kernel_ridge(data: ExampleData, name: str) -> None:
    model = {"SiBraR": SiBraR, "MuBraR": MuBraR}[name](data.config(name, **START), data).eval()
    scores = (
        (model.encode_users() @ model.encode_items(modalities=["text"]).t())
        .detach()
        .numpy()[1:, 1:]
    )

    kernel = np.exp(cosine_similarity(data.vectors[1:].astype(float)) - 1)
    # the regression is linear in its targets
    targets = start_scores(data.matrix[1:, 1:8].astype(float)).T
    expected = predicted(kernel, targets, np.arange(7), np.arange(8)).T
    assert scores == pytest.approx(expected, abs=1e-3)


def test_training_leaves_each_item_out(data: ExampleData) -> None:
    model = SiBraR(data.config("SiBraR", item_modalities=["text"], **{**START, **PLAIN}), data)
    model.train()
    items = model.item_encoder.encode(torch.arange(1, 9))[0]
    scores = (model.user_encoder.encode(torch.arange(1, 7))[0] @ items.t()).detach().numpy()

    kernel = np.exp(cosine_similarity(data.vectors[1:].astype(float)) - 1)
    targets = start_scores(data.matrix[1:, 1:8].astype(float)).T
    for item in range(7):
        others = np.delete(np.arange(7), item)
        assert scores[:, item] == pytest.approx(
            predicted(kernel, targets, others, np.array([item]))[0], abs=1e-3
        )
    new = predicted(kernel, targets, np.arange(7), np.array([7]))[0]
    assert scores[:, 7] == pytest.approx(new, abs=1e-3)


@pytest.mark.parametrize("noise", [0.05, 3.0])
def test_penalty_by_leaving_out(noise: float) -> None:
    rng = np.random.default_rng(2)
    inputs = rng.normal(size=(30, 4))
    kernel, importance = inputs @ inputs.T, np.array([2.0, 0.1, 0.0])
    targets = inputs @ rng.normal(size=(4, 3)) + noise * rng.normal(size=(30, 3))

    errors = {}
    for penalty in PENALTIES:
        residuals = []
        for out in range(30):
            rest = np.delete(np.arange(30), out)
            model = KernelRidge(kernel="precomputed", alpha=penalty).fit(
                kernel[np.ix_(rest, rest)], targets[rest]
            )
            residuals.append((targets[out] - model.predict(kernel[[out]][:, rest])[0]) * importance)
        errors[penalty] = np.sum(np.square(residuals))
    expected = min(errors, key=lambda penalty: errors[penalty])

    arguments = torch.from_numpy(kernel), torch.from_numpy(targets), torch.from_numpy(importance)
    assert choose_penalty(*arguments) == expected
    inverse = inverse_of(arguments[0], expected).numpy()
    assert inverse == pytest.approx(np.linalg.inv(kernel + expected * np.eye(30)), rel=1e-6)


def test_inverse_of_long_vectors() -> None:
    # audio vectors of this length have products that float32 rounds by more than the penalty
    vectors = np.random.default_rng(0).normal(size=(300, 50)).astype(np.float32)
    vectors *= 1477 / np.linalg.norm(vectors, axis=1, keepdims=True)
    kernel = torch.from_numpy(vectors @ vectors.T)

    with pytest.raises(np.linalg.LinAlgError):
        np.linalg.cholesky(kernel.double().numpy() + 0.01 * np.eye(300))

    found = np.linalg.eigvalsh(inverse_of(kernel, 0.01).numpy())
    exact = np.linalg.eigvalsh(vectors.astype(float) @ vectors.astype(float).T)
    # the 50 dimensions of the vectors, and the others with nothing but the penalty
    assert found[:50] == pytest.approx(1 / exact[:-51:-1], rel=1e-3)
    assert found[-1] == pytest.approx(100)


def test_long_vectors_have_a_start(make: Make, world: Any) -> None:
    world.vectors *= 1e4
    model = make(item_modalities=["text"], **{**START, "embedding_size": 9, "modality_size": 9})
    assert bool(model.eval().encode_items().isfinite().all())


def test_a_field_of_no_weight_stays_silent(make: Make) -> None:
    keys = {**START, **PLAIN, "modality_size": 5, "warm_start_weights": {"price": 0}}
    model = make(item_modalities=["text", "price"], **keys)
    kernels = [layer[0] for layer in model.item_encoder.projections]
    assert not bool(kernels[1].weight.any())
    assert float(kernels[1].own.abs().max()) <= 1


@pytest.mark.parametrize("rarity", [0.0, 0.7])
@pytest.mark.parametrize("how", ["mean", "sum"])
def test_start_from_several_fields(make: Make, world: Any, how: str, rarity: float) -> None:
    names = ["group", "labels", "price", "text"]
    weights = {"group": 0.5, "labels": 2.0, "price": 1.5}
    keys = {
        **START,
        **PLAIN,
        "embedding_size": 9,
        "modality_size": 9,
        "label_pooling": "root",
        "item_aggregation": how,
        "seed": 0,
        "warm_start_weights": weights,
        "warm_start_rarity": rarity,
    }
    model = make(item_modalities=names, normalize_numbers="none", **keys).eval()
    found = (model.encode_users() @ model.encode_items().t()).detach().numpy()

    labels, groups = np.zeros((9, 4)), np.zeros((9, 3))
    for item, own in enumerate(world.labels):
        labels[item, own] = 1
    groups[np.arange(9), world.groups] = world.groups > 0
    # inverse document frequencies in the six items of training
    label_weights = np.log(7 / (labels[1:7].sum(0) + 1)) ** rarity
    kernel = 0.5 * groups @ groups.T + 2 * cosine_similarity(labels * label_weights)
    bins = norm.pdf(np.clip(world.prices.reshape(-1, 1), -3, 3), np.linspace(-3, 3, 13), 0.5)
    both = np.outer(world.has_price, world.has_price)
    kernel += 1.5 * np.exp(cosine_similarity(bins) - 1) * both
    both = np.outer(world.has_vector, world.has_vector)
    kernel += np.exp(cosine_similarity(world.vectors.astype(float)) - 1) * both

    known, users = np.arange(1, 7), [1, 2, 3, 4, 5]
    targets = start_scores(world.matrix[1:6, 1:7]).T
    mean, rows = targets.mean(0), known - 1
    expected = predicted(kernel[1:7, 1:7], targets, rows, rows)
    has_value = np.stack([world.groups > 0, labels.any(1), world.has_price, world.has_vector])
    # the fit is the mean over four fields, the embedding that over those with a value
    for item in known:
        parts = expected[item - 1] - mean
        by_mean = mean + 4 / has_value[:, item].sum() * parts
        assert found[users, item] == pytest.approx(by_mean if how == "mean" else parts, abs=1e-3)


def test_sum_adds_the_rest_of_interactions(data: ExampleData) -> None:
    keys = {**START, **PLAIN, "warm_start_ridge": 1e-4, "item_aggregation": "sum"}
    model = SiBraR(data.config("SiBraR", **keys), data).eval()
    found = (model.encode_users() @ model.encode_items().t()).detach().numpy()[1:, 1:8]
    expected = start_scores(data.matrix[1:, 1:8].astype(float))
    expected -= expected.mean(1, keepdims=True)  # the constant is left out
    assert found == pytest.approx(expected, abs=1e-2)


def test_factor_of_new_items(data: ExampleData) -> None:
    keys = {**START, **PLAIN, "item_aggregation": "sum"}
    content = []
    for factor in (1.0, 3.0):
        config = data.config("SiBraR", **keys, warm_start_new_items=factor)
        model = SiBraR(config, data).eval()
        users = model.encode_users()
        content.append((users @ model.encode_items(modalities=["text"]).t()).detach().numpy()[1:])
    assert content[1] == pytest.approx(3 * content[0], abs=1e-4)

    # the interactions of known items are fitted to what is left of their scores
    matrix = data.matrix[1:, 1:NEW].astype(float)
    expected = start_scores(matrix)
    expected -= expected.mean(1, keepdims=True)
    rest = (expected - content[1][:, ITEMS]).T
    inputs = (matrix / np.sqrt(matrix.sum(0))).T
    fitted = Ridge(alpha=RIDGE, fit_intercept=False).fit(inputs, rest - rest.mean(0))
    found = (users @ model.encode_items().t()).detach().numpy()[1:]
    assert found[:, ITEMS] == pytest.approx(
        content[1][:, ITEMS] + fitted.predict(inputs).T, abs=1e-3
    )
    assert found[:, NEW] == pytest.approx(content[1][:, NEW], abs=1e-4)


def test_labels_by_root(make: Make, world: Any) -> None:
    layer = make(label_pooling="root", item_modalities=["labels"]).item_encoder.projections[0][0]
    with torch.no_grad():
        layer.bias.fill_(0.5)
    weight = layer.embedding.weight.detach().numpy()
    expected = (weight[1] + weight[3]) / np.sqrt(2) + 0.5
    assert layer(torch.tensor([7])).detach().numpy()[0] == pytest.approx(expected, rel=1e-5)


def test_rare_labels_weigh_more(make: Make, world: Any) -> None:
    layer = make(label_pooling="root", item_modalities=["labels"]).item_encoder.projections[0][0]
    layer.label_weights.copy_(torch.tensor([0.0, 3.0, 1.0, 4.0])[: len(layer.label_weights)])
    weight = layer.embedding.weight.detach().numpy()
    expected = (3 * weight[1] + 4 * weight[3]) / 5
    assert layer(torch.tensor([7])).detach().numpy()[0] == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("rate", [0, 1e-5])
@pytest.mark.parametrize("name", ["SiBraR", "MuBraR"])
def test_the_preset_starts_and_trains(data: ExampleData, name: str, rate: float) -> None:
    file = properties() / "quick_start_config" / "cold_start_sibrar.yaml"
    keys = yaml.safe_load(file.read_text(encoding="utf-8"))
    keys["train_neg_sample_args"]["sample_num"] = 2  # that of the batch
    keys["learning_rate"] = rate
    model = {"SiBraR": SiBraR, "MuBraR": MuBraR}[name](data.config(name, **keys), data)
    start = model.item_encoder.projections[1][0].weight.detach().clone()
    assert bool((start[-1] != 0).any())  # the popularity

    optimiser = torch.optim.AdamW(model.parameters(), lr=rate)
    torch.manual_seed(0)
    loss = model.calculate_loss(data.batch())
    loss.backward()
    optimiser.step()
    moved = (model.item_encoder.projections[1][0].weight.detach() - start).abs()
    assert (loss.item() > 0) == (rate > 0)
    assert (0 < moved.max() < 1e-4) == (rate > 0)


def test_start_of_a_large_catalogue(data: ExampleData, monkeypatch: pytest.MonkeyPatch) -> None:
    # 6 of the 7 known items: those with the most interactions
    monkeypatch.setattr("recbole_sibrar.model.training.warm_start.MAX_KNOWN", 6)
    model = SiBraR(data.config("SiBraR", **START), data).eval()
    scores = model.encode_users() @ model.encode_items(modalities=["text"]).t()

    matrix = data.matrix[1:, 1:8].astype(float)
    chosen = np.sort(np.argsort(-matrix.sum(0), kind="stable")[:6])
    kernel = np.exp(cosine_similarity(data.vectors[1:].astype(float)) - 1)
    targets = np.zeros((8, 6))
    # a user's whole history counts for the size of the scores
    scores_of_all = ease_scores(matrix[:, chosen]) / np.sqrt(matrix.sum(1, keepdims=True))
    popularity = np.log(1 + matrix[:, chosen].sum(0))
    own = scores_of_all / scores_of_all.std(ddof=1) + POPULARITY * (popularity - popularity.mean())
    targets[chosen] = own.T
    mean = targets[chosen].mean(0)
    model_of_content = KernelRidge(kernel="precomputed", alpha=RIDGE)
    model_of_content.fit(kernel[np.ix_(chosen, chosen)], targets[chosen] - mean)
    expected = model_of_content.predict(kernel[:, chosen]) + mean
    assert scores.detach().numpy()[1:, 1:] == pytest.approx(expected.T, abs=1e-3)


@pytest.mark.parametrize("modalities", [["id"], ["interactions", "id"]])
def test_free_embeddings_of_all_users(
    data: ExampleData, monkeypatch: pytest.MonkeyPatch, modalities: list[str]
) -> None:
    exact = SiBraR(data.config("SiBraR", **{**START, "user_modalities": modalities}), data).eval()
    monkeypatch.setattr("recbole_sibrar.model.training.warm_start.MAX_KNOWN", 7)
    other = SiBraR(data.config("SiBraR", **{**START, "user_modalities": ["interactions"]}), data)
    found = [model.encode_users() @ model.encode_items().t() for model in (exact, other.eval())]
    assert found[0].detach().numpy() == pytest.approx(found[1].detach().numpy(), abs=1e-4)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        (
            {"warm_start": "ease"},
            r"modality_size .user side.: found 6, allowed is 5 with warm_start: ease",
        ),
        (
            {**START, "modality_size": 5, "batch_norm": "last"},
            r"batch_norm .user side.: found 'last', allowed is none",
        ),
        (
            {**START, "modality_size": 5, "item_modalities": ["text"], "warm_start_rarity": 1},
            "warm_start_rarity: found 1.0, allowed is 0 without token_seq fields and",
        ),
        ({"warm_start": "svd"}, "warm_start: found 'svd', allowed is one of none, ease"),
        (
            {"projection_kernel": {"group": "exponential"}},
            "projection_kernel: found 'group', allowed is a field of",
        ),
        (
            {**START, "modality_size": 5, "warm_start_weights": {"txet": 2}},
            "warm_start_weights: found 'txet', allowed is any of .*did you mean 'text'",
        ),
        (
            {**START, "modality_size": 5, "warm_start_new_items": 2},
            "warm_start_new_items: found 2.0, allowed is 1 with item_aggregation: mean",
        ),
    ],
)
def test_what_does_not_fit_is_refused(make: Make, keys: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make(**keys)
