"""Values hidden before training, and missing ones filled in."""

from __future__ import annotations

import tracemalloc
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from scipy.sparse import csr_matrix

from recbole_sibrar.config import ConfigError
from recbole_sibrar.data.modality import ModalityKind, bag_table, dense_table
from recbole_sibrar.model.incomplete import hide_values, impute_values

Make = Callable[..., Any]

TRAINED = torch.tensor([False, *[True] * 6, False, False])


@pytest.fixture
def tables(world: Any) -> dict[str, Any]:
    """Fields of the items."""
    return {
        name: table
        for name, table in world.modality_tables("item").items()
        if name not in ("id", "interactions")
    }


def labels_of(table: Any, item: int) -> list[int]:
    return table.indices[table.offsets[item] : table.offsets[item + 1]].tolist()


@pytest.mark.parametrize("name", ["group", "labels", "price", "text"])
def test_higher_rates_hide_more(tables: dict[str, Any], name: str) -> None:
    tokens = [f"i{n}" for n in range(9)]
    earlier = tables[name].available
    for rate in (0.2, 0.5, 0.8):
        table = hide_values(tables[name], rate, tokens, 3)
        assert bool((table.available <= earlier).all())
        earlier = table.available
        if table.indices is not None:
            assert (table.offsets.diff() > 0).tolist() == table.available.tolist()
            assert all(
                labels_of(table, item) == labels_of(tables[name], item)
                for item in table.available.nonzero()
            )


def test_share_of_hidden_values(world: Any, tables: dict[str, Any]) -> None:

    n = 4001
    table = dense_table(
        "many", ModalityKind.SCALAR, torch.ones(n, 1), torch.ones(n, dtype=torch.bool), 1
    )
    found = (
        hide_values(table, 0.3, [str(number) for number in range(n)], 1)
        .available.float()
        .mean()
        .item()
    )
    assert found == pytest.approx(0.7, abs=0.03)


def test_zeros(tables: dict[str, Any]) -> None:
    assert not impute_values(tables, "text", "zero", TRAINED).values[[3, 8]].any()
    group = impute_values(tables, "group", "zero", TRAINED)
    assert group.size == 4
    assert group.values[[7, 8]].tolist() == [3, 3]
    assert labels_of(impute_values(tables, "labels", "zero", TRAINED), 4) == [4]


def test_means(world: Any, tables: dict[str, Any]) -> None:
    table = impute_values(tables, "text", "mean", TRAINED)
    known = world.vectors[[1, 2, 4, 5, 6]].astype(float)
    np.testing.assert_allclose(table.values[[3, 8]].numpy(), [known.mean(0)] * 2, rtol=1e-5)
    assert table.available.tolist() == [False, *[True] * 8]
    np.testing.assert_array_equal(table.values[[1, 7]].numpy(), world.vectors[[1, 7]])

    group = impute_values(tables, "group", "mean", TRAINED)
    assert group.values[8] == Counter(world.groups[1:7].tolist()).most_common(1)[0][0]
    counts = Counter(label for labels in world.labels[1:7] for label in labels)
    # five items have labels
    expected = sorted(label for label, count in counts.items() if count / 5 >= 0.5)
    assert labels_of(impute_values(tables, "labels", "mean", TRAINED), 8) == expected


def test_labels_of_exactly_half() -> None:
    # label 1 of one half of the entities, 2 of the other, of any number; the last has none
    for n in range(2, 120, 2):
        owners = np.arange(1, n + 1)
        pairs = (np.ones(n), (owners, 1 + owners % 2))
        bags = csr_matrix(pairs, shape=(n + 2, 3))
        labels = bag_table("labels", ModalityKind.MULTI_LABEL, bags)
        filled = impute_values({"labels": labels}, "labels", "mean", labels.available)
        assert labels_of(filled, n + 1) == [1, 2]


def test_neighbors(monkeypatch: pytest.MonkeyPatch, world: Any, tables: dict[str, Any]) -> None:
    monkeypatch.setattr("recbole_sibrar.model.incomplete.impute.N_NEIGHBORS", 2)
    fields = {name: tables[name] for name in ("group", "text")}
    found = impute_values(fields, "text", "neighbors", TRAINED).values

    known = [1, 2, 4, 5, 6]
    # first two of the same group
    alike = [item for item in known if world.groups[item] == world.groups[3]]
    np.testing.assert_allclose(found[3], world.vectors[alike[:2]].mean(0), rtol=1e-5)
    # nothing else is known of item 8
    np.testing.assert_allclose(found[8], world.vectors[known].mean(0), rtol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("way", ["mean", "neighbors"])
def test_memory_of_means(way: str) -> None:
    """Half of 20,000 entities lack a number: all pairs of these and the others would take 800 MB."""
    n = 20_001
    trained, everyone = torch.arange(n) > 0, torch.ones(n, dtype=torch.bool)
    group = dense_table("group", ModalityKind.CATEGORICAL, torch.arange(n) % 100 + 1, everyone, 101)
    price = dense_table("price", ModalityKind.SCALAR, torch.ones(n, 1), torch.arange(n) % 2 == 1, 1)

    tracemalloc.start()
    found = impute_values({"group": group, "price": price}, "price", way, trained)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert bool((found.values[1:] == 1).all())
    assert most < 700_000_000


@pytest.mark.parametrize("model", ["SiBraR", "DropoutNet", "EASEContent"])
@pytest.mark.parametrize("way", ["none", "zero", "mean", "neighbors"])
def test_models_train(make_model: Make, model: str, way: str) -> None:
    _, network, train, *_ = make_model(
        model=model, hide_values={"text": 0.5, "tags": 0.3}, impute=way
    )
    assert bool(
        network.calculate_loss(next(iter(train)))[0].isfinite() if model == "SiBraR" else True
    )
    if model == "SiBraR":
        share = network.item_encoder.availability[1:].float().mean(0)
        column = network.item_encoder.modalities.index("text")
        assert share[column].item() < 0.7 if way == "none" else share[column].item() == 1


def test_wrong_fields(make_model: Make) -> None:
    with pytest.raises(
        ConfigError, match=r"^hide_values: found 'texts', allowed .* did you mean 'text'"
    ):
        make_model(hide_values={"texts": 0.5})
    with pytest.raises(
        ConfigError, match=r"^impute: found 'median', allowed is one of none, zero, mean, neighbors"
    ):
        make_model(impute="median")
    with pytest.raises(
        ConfigError, match=r"^hide_values: text: found 1.0, allowed is a number from 0 to below 1"
    ):
        make_model(hide_values={"text": 1.0})


def test_recbole_models_are_told(make_config: Make, caplog: pytest.LogCaptureFixture) -> None:
    make_config("BPR", impute="mean")
    assert "the key 'impute' has no effect: BPR reads no modality tables" in caplog.text
