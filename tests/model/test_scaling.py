"""Scaling of numbers and vectors: statistics of training entities, kept in the checkpoint."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.preprocessing import StandardScaler, normalize

from recbole_sibrar.config import ConfigError
from recbole_sibrar.data.modality import ModalityKind, ModalityTable, dense_table
from recbole_sibrar.model.clcrec import CLCRec
from recbole_sibrar.model.dropoutnet import DropoutNet
from recbole_sibrar.model.layers import Standardization, statistics
from recbole_sibrar.model.mubrar import MuBraR
from recbole_sibrar.model.sibrar import SiBraR

Make = Callable[..., Any]

OWN_KEYS: dict[type, dict[str, Any]] = {
    SiBraR: {},
    MuBraR: {},
    DropoutNet: {"preference_size": 3, "preference_dropout_prob": 0.5, "seed": 1},
    CLCRec: {"replacement_prob": 0.5, "score_temperature": 1.0},
}
# the items with interactions in the small world
TRAINED = np.array([0, 1, 1, 1, 1, 1, 1, 0, 0], dtype=bool)


def layer_of(model: Any, name: str, side: str = "item") -> Any:
    encoder = model.encoder_of(side)
    return encoder.projections[encoder.modalities.index(name)][0]


def scores(model: Any) -> np.ndarray:
    model.eval()
    return (model.encode_users() @ model.encode_items().T).detach().numpy()


def table(values: np.ndarray, available: np.ndarray) -> ModalityTable:
    kind = ModalityKind.SCALAR if values.shape[1] == 1 else ModalityKind.VECTOR
    tensor = torch.from_numpy(values.astype(np.float32))
    return dense_table("x", kind, tensor, torch.from_numpy(available), values.shape[1])


def test_statistics_are_those_of_training(world: Any) -> None:
    rng = np.random.default_rng(3)
    values = rng.normal(50, 20, size=(100, 4))
    values[:, 2] = 0.1  # constant
    values[90:] *= 1000  # held out
    available, trained = rng.random(100) < 0.7, np.arange(100) < 90
    available[0] = False
    mean, deviation = statistics(table(values, available), torch.from_numpy(trained))
    expected = StandardScaler().fit(values[available & trained])
    assert mean.numpy() == pytest.approx(expected.mean_, rel=1e-6)
    assert deviation.numpy() == pytest.approx(np.sqrt(expected.var_), rel=1e-6, abs=1e-12)
    assert deviation[2] == 0


def test_statistics_follow_the_rows() -> None:
    matrix = torch.tensor([[5.0], [7.0], [100.0]])
    shared = replace(
        table(np.zeros((4, 1)), np.ones(4, dtype=bool)),
        values=matrix,
        rows=torch.tensor([0, 1, 0, 2]),
    )
    mean, deviation = statistics(shared, torch.tensor([False, True, True, False]))
    assert (mean.item(), deviation.item()) == (6, 1)  # 7 and 5; the last entity is not trained


def test_nobody_with_a_value_gives_zeros() -> None:
    found = statistics(
        table(np.full((3, 1), 9.0), np.array([0, 0, 1], dtype=bool)),
        torch.zeros(3, dtype=torch.bool),
    )
    assert [tensor.tolist() for tensor in found] == [[0], [0]]
    assert Standardization(*found)(torch.tensor([[9.0], [-4.0]])).tolist() == [[0], [0]]


def test_large_numbers_lose_nothing() -> None:
    """Seconds since 1970 of a few days: their squares do not fit into float32 beside each other."""
    seconds = 1.6e9 + 86_400 * np.arange(1, 11)[:, None]
    values = np.concatenate([[[0]], seconds]).astype(np.float32)
    layer = Standardization(
        *statistics(table(values, np.arange(11) > 0), torch.ones(11, dtype=torch.bool))
    )
    expected = StandardScaler().fit_transform(values[1:].astype(float))
    assert layer(torch.from_numpy(values[1:])).numpy() == pytest.approx(expected, abs=2e-3)


def test_a_constant_column_becomes_zero(make: Make, world: Any) -> None:
    world.prices[world.has_price] = 0.1
    world.prices[7], world.has_price[7] = 12.5, True  # a new item, with another price
    layer = layer_of(make(normalize_numbers="standard"), "price")
    assert layer.inputs(torch.arange(1, 9)).abs().max() == 0


@pytest.fixture
def priced(world: Any) -> Any:
    """The small world whose new item 7 has a price, so that every model encodes one."""
    world.prices[7], world.has_price[7] = 0.9, True
    return world


@pytest.mark.parametrize("model", OWN_KEYS)
def test_standard_equals_scaling_before(make: Make, priced: Any, model: type) -> None:
    known = priced.has_price & TRAINED
    settings = {"normalize_branch_input": False, **OWN_KEYS[model]}
    ours = make(model, normalize_numbers="standard", **settings)
    mean, deviation = priced.prices[known].mean(), priced.prices[known].std()
    priced.prices = np.where(
        priced.has_price[:, None], (priced.prices - mean) / deviation, 0
    ).astype(np.float32)
    before = make(model, **settings)
    assert scores(ours) == pytest.approx(scores(before), abs=1e-5)


@pytest.mark.parametrize("model", OWN_KEYS)
def test_units_do_not_matter(make: Make, priced: Any, model: type) -> None:
    settings = {"normalize_branch_input": False, **OWN_KEYS[model]}
    scaled, unscaled = (
        scores(make(model, normalize_numbers=x, **settings)) for x in ("standard", "none")
    )
    priced.prices = (priced.prices * 1000 + 1990 * priced.has_price[:, None]).astype(np.float32)
    assert scores(make(model, normalize_numbers="standard", **settings)) == pytest.approx(
        scaled, abs=1e-3
    )
    assert np.abs(scores(make(model, normalize_numbers="none", **settings)) - unscaled).max() > 0.1


@pytest.mark.parametrize(
    ("scaling", "expected"),
    [
        ("l2", lambda vectors, known: normalize(vectors)),
        (
            "standard",
            lambda vectors, known: StandardScaler().fit(vectors[known]).transform(vectors),
        ),
        ("none", lambda vectors, known: vectors),
    ],
)
@pytest.mark.parametrize("key", ["normalize_vectors", "item_normalize_vectors"])
@pytest.mark.parametrize("by_field", [False, True])
def test_vectors_are_scaled_as_by_sklearn(
    make: Make, world: Any, scaling: str, expected: Make, key: str, by_field: bool
) -> None:
    model = make(**{key: {"text": scaling} if by_field else scaling})
    rows = np.flatnonzero(world.has_vector)
    found = layer_of(model, "text").inputs(torch.from_numpy(rows)).numpy()
    wanted = expected(world.vectors.astype(float), world.has_vector & TRAINED)
    assert found == pytest.approx(wanted[rows], abs=1e-6)


def test_a_vector_of_zeros_stays_one(make: Make, world: Any) -> None:
    world.vectors[2] = 0
    assert layer_of(make(normalize_vectors="l2"), "text").inputs(torch.tensor([2])).abs().max() == 0


def test_latent_vectors_are_no_field(make: Make) -> None:
    settings = {"normalize_vectors": "standard", **OWN_KEYS[DropoutNet]}
    model = make(DropoutNet, **settings)
    rows = torch.arange(1, 7)
    assert torch.equal(layer_of(model, "interactions").inputs(rows), model.item_preferences[rows])


# RecBole's own steps


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"normalize_all": True},
        {"normalize_field": ["price", "age"]},
        {"numerical_features": ["price"]},
    ],
)
def test_recboles_scaling_before_is_undone(make_model: Make, settings: dict[str, Any]) -> None:
    _, model, train, *_ = make_model(**settings)
    dataset = train._dataset
    trained = np.unique(dataset.inter_feat["item_id"].numpy())
    number = np.array(
        [int(token[1:]) if token != "[PAD]" else 0 for token in dataset.field2id_token["item_id"]]
    )
    known = (number % 6 > 0) & (number < 40)  # as conftest.py writes them: item n costs n / 2
    prices = number / 2
    training = prices[np.isin(np.arange(len(number)), trained) & known]
    expected = (prices[known] - training.mean()) / training.std()
    assert layer_of(model, "price").inputs(
        torch.from_numpy(known.nonzero()[0])
    ).flatten().numpy() == pytest.approx(expected, abs=1e-5)


def test_a_discretised_number_is_a_category(make_model: Make) -> None:
    buckets = {"price": {"method": "ED", "bucket": 4}}
    _, model, *_ = make_model(numerical_features=["price"], discretization=buckets)
    assert layer_of(model, "price").kind == "categorical"
    assert all(
        "scaling" not in name for name in model.state_dict() if name.startswith("item_encoder")
    )


# Checkpoints


def statistics_in(model: Any) -> dict[str, list[float]]:
    return {name: value.tolist() for name, value in model.state_dict().items() if "scaling" in name}


def test_a_checkpoint_brings_its_statistics(make: Make, world: Any) -> None:
    trained = make(normalize_numbers="standard", normalize_vectors="standard")
    saved = {name: value.clone() for name, value in trained.state_dict().items()}
    expected, before = scores(trained)[:, 1:7], statistics_in(trained)
    world.prices[7], world.has_price[7] = 77, True
    world.matrix[6, 7] = (
        1  # item 7 has an interaction now, and so counts for the statistics of these data
    )
    changed = make(normalize_numbers="standard", normalize_vectors="standard")
    assert statistics_in(changed) != before
    changed.load_state_dict(saved)
    assert statistics_in(changed) == before
    layer = layer_of(changed, "price")
    known = world.prices[[1, 2, 3, 5, 6], 0]
    assert layer.inputs(torch.tensor([7])).item() == pytest.approx(
        (77 - known.mean()) / known.std(), rel=1e-5
    )
    assert expected.shape == (7, 6)


def test_old_configurations_scale_nothing(make: Make, world: Any) -> None:
    """It has no such keys; its checkpoint is loaded and scores as before, whatever the numbers are."""
    world.prices = world.prices * 100
    old = make()
    assert statistics_in(old) == {}
    values = layer_of(old, "price").inputs(torch.arange(9)).numpy()
    assert values == pytest.approx(world.prices * world.has_price[:, None])
    again = make()
    again.load_state_dict(old.state_dict())
    assert np.array_equal(scores(again), scores(old))


def test_statistics_are_not_trained(make: Make, batch: Any) -> None:
    model = make(normalize_numbers="standard")
    before = statistics_in(model)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
    sum(model.calculate_loss(batch)).backward()
    optimizer.step()
    assert statistics_in(model) == before
    assert not any("scaling" in name for name, _ in model.named_parameters())


# Names of fields


@pytest.mark.parametrize(
    ("settings", "pieces"),
    [
        (
            {"normalize_vectors": {"txt": "l2"}},
            ["normalize_vectors: found 'txt'", "float_seq: text; did you mean"],
        ),
        (
            {"normalize_vectors": {"price": "l2"}},
            ["normalize_vectors: found 'price'", "float_seq: text"],
        ),
        (
            {"normalize_numbers": {"text": "none"}},
            ["normalize_numbers: found 'text'", "float: price"],
        ),
        ({"normalize_numbers": {"interactions": "none"}}, ["found 'interactions'", "float: price"]),
        (
            {"user_normalize_numbers": {"price": "none"}},
            ["user_normalize_numbers: found 'price'", "none in these data"],
        ),
    ],
)
def test_a_field_that_is_not_there_is_named(
    make: Make, settings: dict[str, Any], pieces: list[str]
) -> None:
    with pytest.raises(ConfigError) as caught:
        make(**settings)
    assert all(piece in str(caught.value) for piece in pieces), caught.value


def test_a_key_may_name_fields_of_one_side(make: Make) -> None:
    model = make(
        user_modalities="auto",
        normalize_numbers={"price": "none"},
        normalize_vectors={"text": "l2"},
    )
    assert statistics_in(model) == {}
