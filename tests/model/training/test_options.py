"""Softmax over shared candidates, its teacher, and the average of the weights, against NumPy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from recbole.data.interaction import Interaction
from scipy.special import log_softmax, logsumexp, softmax

from recbole_sibrar.config import ConfigError
from recbole_sibrar.config.choices import properties
from recbole_sibrar.model.encoder import Encoded
from recbole_sibrar.model.mubrar import MuBraR
from recbole_sibrar.model.sampling import keep_any_number
from recbole_sibrar.model.sibrar import SiBraR
from recbole_sibrar.model.training.candidates import in_random_sets, shared_softmax_loss
from recbole_sibrar.model.training.teacher import Teacher

Make = Callable[..., SiBraR]
POSITIVES = [(1, 1), (2, 2), (5, 6)]
TRAINED = [1, 2, 3, 4, 5, 6]
WITHOUT_SAMPLING = {"loss_type": "SSM", "modality_sampling": False, "contrastive": "none"}


def numpy_ease(matrix: np.ndarray, l2: float) -> np.ndarray:
    """Each column of EASE's weights by a ridge regression on the other items."""
    n = matrix.shape[1]
    weights = np.zeros((n, n))
    for item in range(n):
        others = [other for other in range(n) if other != item]
        inputs = matrix[:, others]
        gram = inputs.T @ inputs + l2 * np.eye(n - 1)
        weights[others, item] = np.linalg.solve(gram, inputs.T @ matrix[:, item])
    return matrix @ weights


@pytest.mark.parametrize("model", [SiBraR, MuBraR])
def test_all_training_items_by_numpy(
    make: Make, reference: Callable[..., Any], batch: Interaction, model: type[SiBraR]
) -> None:
    built = make(model, negatives="all", score_scale=0.5, **WITHOUT_SAMPLING)
    loss = built.calculate_loss(batch)
    assert isinstance(loss, torch.Tensor)

    users, items = built.encode_users().double().numpy(), built.encode_items().double().numpy()
    scores = 0.5 * np.array([users[user] @ items[TRAINED].T for user, _ in POSITIVES])
    expected = [
        -log_softmax(row)[TRAINED.index(item)]
        for row, (_, item) in zip(scores, POSITIVES, strict=True)
    ]
    assert loss.item() == pytest.approx(np.mean(expected), rel=1e-5)
    if model is SiBraR:
        assert items[4] == pytest.approx(reference(built, "item").entity(4), rel=1e-5)


def test_shared_items_of_the_batch(make: Make, batch: Interaction, world: Any) -> None:
    model = make(negatives="shared", **WITHOUT_SAMPLING)
    loss = model.calculate_loss(batch)
    assert isinstance(loss, torch.Tensor)

    users, items = model.encode_users().double().numpy(), model.encode_items().double().numpy()
    known = [1, 2, 3, 4, 5, 6, 7]
    items[8] = items[known].mean(0)  # nothing is known of it: the mean of the batch's others
    share = world.matrix.sum(0) / world.matrix.sum()
    inclusion = 1 - (1 - share) ** 3 * (1 - 1 / 8) ** 9

    terms = []
    for user, positive in POSITIVES:
        scores = {item: users[user] @ items[item] for item in range(1, 9)}
        # a user's further training items are no negatives
        own = set(np.flatnonzero(world.matrix[user]))
        others = [
            np.exp(score) / inclusion[item] for item, score in scores.items() if item not in own
        ]
        terms.append(np.log(np.exp(scores[positive]) + sum(others)) - scores[positive])
    assert loss.item() == pytest.approx(np.mean(terms), rel=1e-4)


def test_the_sum_over_a_sample_is_unbiased() -> None:
    scores, inclusion = np.array([0.3, -1.0, 0.5, 2.0]), np.array([0.9, 0.2, 0.5, 0.7])
    rng, estimates = np.random.default_rng(0), []
    for _ in range(4000):
        chosen = (rng.random(4) < inclusion) | (np.arange(4) == 0)
        arguments = (
            torch.tensor(scores[chosen])[None],
            torch.tensor([0]),
            torch.tensor(np.log(inclusion[chosen])),
        )
        estimates.append(np.exp(shared_softmax_loss(*arguments).item() + scores[0]))
    assert np.mean(estimates) == pytest.approx(np.exp(logsumexp(scores)), rel=0.03)


def test_the_teacher_by_ridge_regressions(make: Make, world: Any, batch: Interaction) -> None:
    teacher = Teacher(world.modality_tables("user")["interactions"], 2.0, 0.1)
    expected = softmax(numpy_ease(world.matrix[:, TRAINED], 2.0)[[1, 5]] / 0.1, axis=1)
    found = teacher.targets(torch.tensor([1, 5]), torch.tensor([*TRAINED, 8])).numpy()
    assert found[:, :6] == pytest.approx(expected, rel=1e-4)
    assert not found[:, 6].any()

    keys = {
        "distillation_l2": 2.0,
        "distillation_temperature": 0.1,
        "negatives": "all",
        **WITHOUT_SAMPLING,
    }
    plain, mixed, alone = [
        make(**keys, distillation_weight=w).calculate_loss(batch) for w in (0, 0.25, 1)
    ]
    assert mixed.item() == pytest.approx(0.75 * plain.item() + 0.25 * alone.item(), rel=1e-5)

    built = make(**keys, distillation_weight=1)
    users, items = built.encode_users().double().numpy(), built.encode_items().double().numpy()
    log_share = log_softmax(users[[1, 2, 5]] @ items[TRAINED].T, axis=1)
    targets = softmax(numpy_ease(world.matrix[:, TRAINED], 2.0)[[1, 2, 5]] / 0.1, axis=1)
    assert alone.item() == pytest.approx(-(targets * log_share).sum(1).mean(), rel=1e-4)


def test_the_teacher_sees_the_whole_batch(make: Make, batch: Interaction, world: Any) -> None:
    keys = {
        "distillation_l2": 2.0,
        "distillation_temperature": 0.1,
        "negatives": "shared",
        **WITHOUT_SAMPLING,
    }
    plain, mixed, alone = [
        make(**keys, distillation_weight=w).calculate_loss(batch) for w in (0, 0.25, 1)
    ]
    assert np.isfinite(alone.item())
    assert mixed.item() == pytest.approx(0.75 * plain.item() + 0.25 * alone.item(), rel=1e-5)


@pytest.mark.parametrize(
    ("negatives", "message"),
    [
        (
            "all",
            "negatives: found 'all', allowed is all with up to 17 scores in a batch, not 3 positives by 6 items; a ",
        ),
        ("shared", "not 3 positives by 8 items; a train_batch_size 2 times smaller helps$"),
    ],
)
def test_too_many_scores_of_a_batch(
    make: Make, batch: Interaction, monkeypatch: pytest.MonkeyPatch, negatives: str, message: str
) -> None:
    monkeypatch.setattr("recbole_sibrar.model.training.candidates.LARGEST", 17)
    with pytest.raises(ConfigError, match=message):
        make(negatives=negatives, **WITHOUT_SAMPLING).calculate_loss(batch)


def test_sets_of_the_contrastive_loss() -> None:
    views = torch.arange(5.0)[:, None]
    valid = torch.tensor([True, True, False, True, True])
    encoded, candidates, size = in_random_sets(
        Encoded(views, views, -views, valid), views[:, 0].long(), 3
    )
    assert size == 3
    assert encoded.first is not None
    assert encoded.second is not None
    assert encoded.valid is not None
    assert sorted(encoded.first[encoded.valid].flatten().tolist()) == [0, 1, 3, 4]
    assert torch.equal(encoded.first, -encoded.second)
    assert torch.equal(candidates, encoded.first[:, 0].long())


def test_shared_candidates_are_contrasted(make: Make, batch: Interaction) -> None:
    for scope in ("sample", "batch"):
        parts = make(loss_type="SSM", negatives="all", contrastive_scope=scope).calculate_loss(
            batch
        )
        assert len(parts) == 3
        assert all(part.item() > 0 for part in parts)


def test_any_number_is_equally_likely() -> None:
    torch.manual_seed(0)
    drawn = torch.tensor([[True, True, True, False], [True, False, False, False]]).repeat(3000, 1)
    kept = keep_any_number(drawn).sum(1).view(-1, 2)
    assert torch.bincount(kept[:, 0], minlength=4)[1:] / 3000 == pytest.approx(
        [1 / 3] * 3, abs=0.03
    )
    assert bool((kept[:, 1] == 1).all())


def test_any_number_of_modalities_by_numpy(make: Make, reference: Callable[..., Any]) -> None:
    model = make(drawn_modalities="any")
    items, entities = reference(model, "item"), torch.tensor([1, 2, 5] * 40)
    encoded = model.item_encoder.encode_training(entities)
    assert encoded.first is not None
    sizes = set()
    for row, entity in enumerate(entities.tolist()):
        cells = [
            cell
            for name in model.item_encoder.modalities
            if (cell := items.cell(name, entity)) is not None
        ]
        subsets = [
            np.array(cells)[[bool(n >> j & 1) for j in range(len(cells))]]
            for n in range(1, 2 ** len(cells))
        ]
        found = encoded.embeddings[row].detach().numpy()
        sizes.update(
            len(subset) for subset in subsets if np.allclose(subset.mean(0), found, atol=1e-5)
        )
        assert any(
            np.allclose(cell, encoded.first[row].detach().numpy(), atol=1e-5) for cell in cells
        )
    assert sizes == {1, 2, 3, 4, 5}


@pytest.mark.parametrize("drawn", ["fewest", "any"])
def test_occurrences_share_what_is_drawn(make: Make, drawn: str) -> None:
    encoder = make(drawn_per="entity", drawn_modalities=drawn).item_encoder
    entities = torch.tensor([1, 2, 5] * 10)
    seen = set()
    for _ in range(20):
        encoded = encoder.encode_training(entities)
        assert encoded.first is not None
        assert encoded.second is not None
        for rows in (encoded.embeddings, encoded.first, encoded.second):
            assert rows.view(10, 3, -1).eq(rows[:3]).all()
        seen.add(round(encoded.embeddings[0].sum().item(), 4))
    assert len(seen) > 1  # drawn anew in each step

    anew = make(drawn_modalities=drawn).item_encoder.encode_training(entities).embeddings
    assert not anew.view(10, 3, -1).eq(anew[:3]).all()


def test_average_of_the_weights(make: Make, batch: Interaction) -> None:
    model = make(ema_decay=0.3, batch_norm="last", contrastive="none")
    name = "item_encoder.branches.0.0.weight"
    expected, trained = model.state_dict()[name].clone(), torch.tensor(0.0)
    for step in range(1, 5):
        trained = model.state_dict()[name].clone()
        kept = min(0.3, (1 + step) / (10 + step))
        expected = kept * expected + (1 - kept) * trained
        model.calculate_loss(batch)
        with torch.no_grad():
            for parameter in model.parameters():
                parameter += 0.1

    trained = model.state_dict()[name].clone()
    model.eval()
    assert model.state_dict()[name] == pytest.approx(expected, rel=1e-5)

    resumed = make(ema_decay=0.3, batch_norm="last", contrastive="none")
    resumed.load_state_dict(model.state_dict())
    assert torch.equal(resumed.state_dict()[name], trained)  # it is in training mode
    assert torch.equal(resumed.eval().encode_items(), model.encode_items())
    assert torch.equal(model.train().state_dict()[name], trained)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        (
            {"negatives": "all", "loss_type": "BPR"},
            "negatives: found 'all', allowed is per_positive for loss_type BPR",
        ),
        (
            {"distillation_weight": 0.5},
            "distillation_weight: found 0.5, allowed is 0, or negatives",
        ),
        (
            {"targets": "history"},
            "targets: found 'history', allowed is positive for negatives per_positive",
        ),
        (
            {"negatives": "batch"},
            "negatives: found 'batch', allowed is one of per_positive, shared, all",
        ),
        ({"ema_decay": 1}, "ema_decay: found 1, allowed is a number from 0 to below 1"),
    ],
)
def test_refused_options(make: Make, keys: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make(**keys)


def test_histories_by_numpy(make: Make, batch: Interaction, world: Any) -> None:
    model = make(negatives="all", targets="history", **WITHOUT_SAMPLING)
    users, items = model.encode_users().double().numpy(), model.encode_items().double().numpy()
    rows = world.matrix[[1, 2, 5]][:, TRAINED]
    log_share = log_softmax(users[[1, 2, 5]] @ items[TRAINED].T, axis=1)
    expected = -np.mean([log_share[n][row > 0].mean() for n, row in enumerate(rows)])

    loss = model.calculate_loss(batch)
    assert isinstance(loss, torch.Tensor)
    assert loss.item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("normalize", [True, False])
def test_hidden_interactions_by_numpy(make: Make, world: Any, normalize: bool) -> None:
    model = make(interaction_dropout_prob=0.5, normalize_interactions=normalize)
    layer = model.user_encoder.projections[0][0]
    weight, bias = layer.embedding.weight.detach().numpy(), layer.bias.detach().numpy()
    seen, users = set(), [1, 2, 3, 5] * 30
    found = layer(torch.tensor(users)).detach().numpy()
    for user, row in zip(users, found, strict=True):
        first, second = np.flatnonzero(world.matrix[user])
        sums = {"none": 0 * weight[0], "one": weight[first], "other": weight[second]}
        sums["both"] = (weight[first] + weight[second]) / (np.sqrt(2) if normalize else 1)
        hits = [name for name, total in sums.items() if np.allclose(total + bias, row, atol=1e-6)]
        assert hits
        seen.update(hits)

    assert seen == {"none", "one", "other", "both"}
    exact = make(normalize_interactions=normalize).eval()
    assert torch.equal(model.eval().encode_users(), exact.encode_users())


@pytest.mark.parametrize("name", ["relu", "selu"])
def test_activation_of_projections_by_numpy(
    make: Make, reference: Callable[..., Any], name: str
) -> None:
    model = make(projection_activation=name, normalize_branch_input=False)
    encoder, plain = model.item_encoder, reference(model, "item")
    for column, modality in enumerate(encoder.modalities):
        value = plain.projected(modality, 1)
        assert value is not None
        if modality in ("interactions", "price", "text"):
            # the constants of Klambauer et al., NeurIPS 2017
            negative = 1.0507009873554805 * 1.6732632423543772 * np.expm1(np.minimum(value, 0))
            value = (
                np.maximum(value, 0)
                if name == "relu"
                else np.where(value > 0, 1.0507009873554805 * value, negative)
            )
        found = encoder.project(column, torch.tensor([1]))[0].detach().numpy()
        assert found == pytest.approx(value, rel=1e-4, abs=1e-6)


@pytest.mark.parametrize(
    ("data", "activation"), [("ml1m", "SELU"), ("onion", "ReLU"), ("amazon", "ReLU")]
)
def test_configuration_of_the_papers(
    make: Make, batch: Interaction, data: str, activation: str
) -> None:
    file = properties() / "quick_start_config" / f"papers_{data}.yaml"
    keys = yaml.safe_load(file.read_text(encoding="utf-8"))
    keys["train_neg_sample_args"]["sample_num"] = 3  # that of the batch
    model = make(**keys)
    assert (model.user_encoder.modalities, model.encode_items().shape[1]) == (("id",), 128)
    layers = [type(layer).__name__ for layer in model.item_encoder.branches[0]]
    assert (layers.count("Linear"), layers.count("BatchNorm"), layers.count(activation)) == (
        6,
        3,
        6,
    )
    assert all(float(part.detach()) > 0 for part in model.calculate_loss(batch))


def test_too_many_scores_of_a_teacher(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    # 7 users with the padding, 6 items
    monkeypatch.setattr("recbole_sibrar.model.training.teacher.LARGEST", 41)
    with pytest.raises(ConfigError, match="allowed is 0 for 7 users and 6 items"):
        make(loss_type="SSM", negatives="all", distillation_weight=0.5)
