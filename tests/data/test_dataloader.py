"""Training batches: what they hold, and that seed, epoch and batch alone decide their negatives."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from recbole.config import Config
from recbole.data import create_dataset, data_preparation
from recbole.utils import init_seed
from scipy.stats import chisquare
from torch.utils.data import BatchSampler

from recbole_sibrar.data.dataloader import numpy_stream

Batch = dict[str, list[Any]]
Epochs = list[list[Batch]]


@pytest.fixture
def make_loader(make_config: Callable[..., Config]) -> Callable[..., Any]:
    def build(**settings: Any) -> Any:
        config = make_config(**settings)
        init_seed(config["seed"], config["reproducibility"])
        return data_preparation(config, create_dataset(config))[0]

    return build


def epochs(loader: Any, number: int = 2) -> Epochs:
    return [
        [{name: batch[name].tolist() for name in batch.columns} for batch in loader]
        for _ in range(number)
    ]


def negatives(batches: list[Batch]) -> list[int]:
    return [item for batch in batches for item in batch["neg_item_id"]]


def test_batch_holds_interactions_alone(
    make_model: Callable[..., tuple[Any, ...]],
) -> None:
    _, _, train, valid, _ = make_model()
    assert {name for batch in train for name in batch.columns} == {
        "user_id",
        "item_id",
        "rating",
        "timestamp",
        "neg_item_id",
    }
    users, *_ = next(iter(valid))
    assert list(users.columns) == ["user_id"]


def test_epoch_passes_every_interaction(make_loader: Callable[..., Any]) -> None:
    loader = make_loader(
        train_neg_sample_args={"distribution": "uniform", "sample_num": 3}, train_batch_size=100
    )
    table = loader.dataset.inter_feat
    (batches,) = epochs(loader, 1)
    assert len(batches) == -(-len(table) // 33)
    seen = Counter(
        pair for batch in batches for pair in zip(batch["user_id"], batch["item_id"], strict=True)
    )
    assert seen == Counter(
        zip(table["user_id"].tolist() * 3, table["item_id"].tolist() * 3, strict=True)
    )


def test_workers_change_no_batch(make_loader: Callable[..., Any]) -> None:
    alone, shared = (epochs(make_loader(worker=worker)) for worker in (0, 2))
    assert len(alone[0]) > 2
    assert alone == shared


def test_seed_determines_batches(make_loader: Callable[..., Any]) -> None:
    first, again, other = (make_loader(shuffle=False) for _ in range(3))
    other.config["seed"] += 1  # after the split, so that the positives are the same
    expected, (found,) = epochs(first), epochs(other, 1)
    assert epochs(again) == expected
    assert [batch["item_id"] for batch in found] == [batch["item_id"] for batch in expected[0]]
    assert negatives(found) != negatives(expected[0])


def test_batches_ignore_earlier_draws(make_loader: Callable[..., Any]) -> None:
    first, second = make_loader(), make_loader()
    expected = epochs(first)
    np.random.random(100)
    assert epochs(second) == expected


def test_epochs_differ(make_loader: Callable[..., Any]) -> None:
    one, two, three = (
        [batch["item_id"] for batch in batches] for batches in epochs(make_loader(), 3)
    )
    assert one != two
    assert two != three
    assert one != three
    in_order = epochs(make_loader(shuffle=False), 3)
    assert [batch["item_id"] for batch in in_order[0]] == [
        batch["item_id"] for batch in in_order[1]
    ]
    assert len({tuple(negatives(batches)) for batches in in_order}) == 3


@pytest.mark.parametrize("worker", [0, 2])
def test_generator_is_left_as_it_was(make_loader: Callable[..., Any], worker: int) -> None:
    loader = make_loader(worker=worker)
    np.random.seed(11)
    expected = np.random.random(3).tolist()
    np.random.seed(11)
    for _ in loader:
        pass
    assert np.random.random(3).tolist() == expected


def test_error_restores_the_generator() -> None:
    np.random.seed(3)
    expected = np.random.random()
    np.random.seed(3)
    with pytest.raises(ValueError, match="low >= high"), numpy_stream(1, 2, 3):
        np.random.randint(np.random.randint(1, 5), 0)
    assert np.random.random() == expected


def test_streams_of_different_keys_differ() -> None:
    drawn = []
    for key in [(0, 1, 2), (0, 2, 1), (1, 0, 2), (0, 1, 3), (0, 1, 2)]:
        with numpy_stream(*key):
            drawn.append(np.random.randint(10**9))
    assert len(set(drawn)) == 4
    assert drawn[0] == drawn[-1]


def test_negatives_are_no_positives(make_loader: Callable[..., Any]) -> None:
    loader = make_loader()
    table = loader.dataset.inter_feat
    positives = set(zip(table["user_id"].tolist(), table["item_id"].tolist(), strict=True))
    for batch in loader:
        drawn = set(zip(batch["user_id"].tolist(), batch["neg_item_id"].tolist(), strict=True))
        assert not drawn & positives
        assert (batch["neg_item_id"] > 0).all()


def test_negatives_are_uniform(make_loader: Callable[..., Any]) -> None:
    loader = make_loader()
    table = loader.dataset.inter_feat
    user = int(table["user_id"].mode().values)
    own = set(table["item_id"][table["user_id"] == user].tolist())
    others = [item for item in range(1, loader.dataset.item_num) if item not in own]
    drawn: Counter[int] = Counter()
    for batches in epochs(loader, 30):
        for batch in batches:
            drawn.update(
                i for u, i in zip(batch["user_id"], batch["neg_item_id"], strict=True) if u == user
            )
    assert set(drawn) == set(others)
    assert chisquare([drawn[item] for item in others]).pvalue > 0.01


@pytest.mark.parametrize("shuffle", [True, False])
def test_rows_equal_those_of_torch(make_loader: Callable[..., Any], shuffle: bool) -> None:
    loader = make_loader(shuffle=shuffle, train_batch_size=100)
    sampler, size = loader.batch_sampler.sampler, loader.batch_sampler.batch_size

    loader.generator.manual_seed(5)
    drawn = [[rows.tolist() for rows in loader.batch_sampler] for _ in range(2)]
    state = loader.generator.get_state()

    loader.generator.manual_seed(5)
    assert [list(BatchSampler(sampler, size, drop_last=False)) for _ in range(2)] == drawn
    assert loader.generator.get_state().equal(state)


def test_loader_keeps_no_list_of_rows(make_loader: Callable[..., Any]) -> None:
    loader = make_loader()
    held = [*vars(loader).values(), *vars(loader.sampler).values()]
    assert not [value for value in held if isinstance(value, list) and len(value) > 100]
