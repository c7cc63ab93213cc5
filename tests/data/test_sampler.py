"""Negatives from a pool of items: what can be drawn, how often, and when nothing can."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from recbole.config import Config
from recbole.data import create_dataset
from recbole.sampler import RepeatableSampler, Sampler
from recbole.sampler.sampler import AbstractSampler
from scipy.stats import chisquare

from recbole_sibrar.data.atomic import DataError
from recbole_sibrar.data.dataloader import restrict_sampling
from recbole_sibrar.data.sampler import KnownItems, PairSet, PoolSampler

N_DRAWS = 40_000
POPULARITY = np.array([0, 9, 0, 1, 4, 16, 25, 100])
TOKENS = np.array(["[PAD]", "ann", "bob"])


def make(
    pool: list[int],
    used: list[set[int]] | None = None,
    distribution: str = "uniform",
    alpha: float = 1.0,
) -> PoolSampler:
    """A sampler of two users for the phase of the validation, with items 1 to 7."""
    used = used or [set(), set()]
    recbole = SimpleNamespace(
        distribution=distribution,
        alpha=alpha,
        used_ids=np.array([set(), *used]),
        phase="valid",
        item_num=8,
    )
    return PoolSampler(recbole, np.array(pool), POPULARITY, np.array([1, 2]), TOKENS)


def draw(sampler: Any, users: list[int], n: int = N_DRAWS) -> np.ndarray:
    np.random.seed(11)
    return sampler.sample_by_user_ids(np.array(users), None, n).numpy().reshape(n, len(users))


@pytest.mark.parametrize("users", [[1, 1], [1, 2]])
@pytest.mark.parametrize("distribution", ["uniform", "popularity"])
def test_negatives_are_in_the_pool(users: list[int], distribution: str) -> None:
    pool, used = [3, 4, 5, 7], [{4, 6}, {7, 3}]
    drawn = draw(make(pool, used, distribution), users, 2000)
    for column, user in enumerate(users):
        assert set(drawn[:, column]) == set(pool) - used[user - 1]


def test_uniform_negatives() -> None:
    drawn = draw(make([2, 3, 6], [{6}, set()]), [1, 2])
    assert chisquare(np.bincount(drawn[:, 0], minlength=8)[[2, 3]]).pvalue > 1e-3
    assert chisquare(np.bincount(drawn[:, 1], minlength=8)[[2, 3, 6]]).pvalue > 1e-3


@pytest.mark.parametrize("alpha", [1.0, 0.5])
def test_popular_negatives(alpha: float) -> None:
    """The item 2 of the pool has none and is never drawn."""
    pool = [1, 2, 4, 5, 6]
    counts = np.bincount(
        draw(make(pool, distribution="popularity", alpha=alpha), [1]).ravel(), minlength=8
    )
    weights = np.array([9, 4, 16, 25]) ** alpha
    assert counts.sum() == counts[[1, 4, 5, 6]].sum()
    assert chisquare(counts[[1, 4, 5, 6]], N_DRAWS * weights / weights.sum()).pvalue > 1e-3


def test_popularity_of_the_whole_pool() -> None:
    items = np.repeat(np.arange(8), POPULARITY)
    columns = {"user_id": np.zeros_like(items), "item_id": items}
    dataset = SimpleNamespace(
        uid_field="user_id",
        iid_field="item_id",
        user_num=3,
        item_num=8,
        inter_feat={
            name: SimpleNamespace(numpy=lambda values=values: values)
            for name, values in columns.items()
        },
    )
    recbole = Sampler(["train"], [dataset], "popularity", 0.75).set_phase("train")
    ours = PoolSampler(recbole, np.arange(1, 8), POPULARITY, np.array([1, 2]), TOKENS)
    counts = [np.bincount(draw(sampler, [1]).ravel(), minlength=8) for sampler in (recbole, ours)]
    known = POPULARITY > 0
    assert counts[0][~known].sum() == counts[1][~known].sum() == 0
    difference = (counts[0] - counts[1])[known]
    assert (np.abs(difference) < 4.5 * np.sqrt(counts[0] + counts[1])[known]).all()


def test_last_item_of_the_pool() -> None:
    assert set(draw(make([2, 5, 7], [{1, 3, 4, 6, 2, 7}, set()]), [1], 50).ravel()) == {5}


def test_user_with_the_whole_pool_is_named() -> None:
    with pytest.raises(
        DataError,
        match="user 'bob' has interacted with all 2 items that negatives of valid are drawn",
    ):
        make([3, 4], [{3}, {4, 1, 3}])


def test_pool_without_popularity() -> None:
    with pytest.raises(
        DataError, match=r"mode: .* valid cannot be drawn by popularity, because none of the 1 cand"
    ):
        make([2], distribution="popularity")


@pytest.mark.parametrize(
    "arguments", [{"train_neg_sample_args": None}, {"eval_args": {"mode": "full"}}]
)
def test_loader_without_negatives(
    make_model: Callable[..., tuple[Any, ...]], arguments: dict[str, Any]
) -> None:
    _, _, train, valid, _ = make_model(model="Pop", **arguments)
    for loader in [train] if "train_neg_sample_args" in arguments else [valid]:
        before = loader._sampler
        restrict_sampling(loader, np.ones(41, dtype=bool), np.ones(41))
        assert loader._sampler is before


@pytest.mark.parametrize(
    "users", [[3, 1, 2, 3, 7, 1], [5, 5, 5], [2]], ids=["several", "repeated", "one"]
)
@pytest.mark.parametrize("phase", ["train", "valid"])
@pytest.mark.parametrize("distribution", ["uniform", "popularity"])
@pytest.mark.parametrize("kind", [Sampler, RepeatableSampler])
def test_recboles_draws_are_unchanged(
    make_config: Callable[..., Config],
    monkeypatch: pytest.MonkeyPatch,
    kind: type,
    distribution: str,
    phase: str,
    users: list[int],
) -> None:
    without: Any = vars(AbstractSampler)["sample_by_key_ids"]._recbole_sibrar_original
    by_popularity: Any = vars(AbstractSampler)["_pop_sampling"]._recbole_sibrar_original
    dataset = create_dataset(make_config(model="BPR"))
    parts = dataset.build()
    phases = ["train", "valid", "test"]
    sampler = kind(phases, parts if kind is Sampler else dataset, distribution)
    sampler = sampler.set_phase(phase)
    keys = np.array(users)
    np.random.seed(4)
    with monkeypatch.context() as patch:
        patch.setattr(sampler, "_pop_sampling", lambda n: by_popularity(sampler, n))
        expected = [without(sampler, keys, 5) for _ in range(30)]
    np.random.seed(4)
    found = [sampler.sample_by_key_ids(keys, 5) for _ in range(30)]
    assert [draws.tolist() for draws in found] == [draws.tolist() for draws in expected]
    assert {draws.dtype for draws in found} == {draws.dtype for draws in expected}


def test_known_items_are_recboles(make_config: Callable[..., Config]) -> None:
    """Also in their order, in which a set of numbers is read."""
    parts = create_dataset(make_config(model="BPR")).build()
    sampler = Sampler(["train", "valid", "test"], parts)
    row_by_row: Any = vars(Sampler)["get_used_ids"]._recbole_sibrar_original
    expected = {
        phase: [list(items) for items in used] for phase, used in row_by_row(sampler).items()
    }
    assert {
        phase: [list(items) for items in used] for phase, used in sampler.get_used_ids().items()
    } == expected
    assert sum(map(len, expected["test"])) > sum(map(len, expected["train"])) > 0


def test_known_items_are_read_like_an_array(make_config: Callable[..., Config]) -> None:
    parts = create_dataset(make_config(model="BPR")).build()
    known = Sampler(["train", "valid"], parts[:2]).used_ids["valid"]
    users, items = (
        np.concatenate([part.inter_feat[field].numpy() for part in parts[:2]])
        for field in ("user_id", "item_id")
    )
    expected = [set(items[users == user].tolist()) for user in range(parts[0].user_num)]

    assert isinstance(known, KnownItems)
    assert list(known) == expected
    assert known[-1] == expected[-1]
    assert known[np.array([2, 1, 2])].tolist() == [expected[2], expected[1], expected[2]]
    assert known[1:3].tolist() == expected[1:3]
    assert list(pickle.loads(pickle.dumps(known))) == expected
    with pytest.raises(IndexError, match=f"user {len(expected)} is none of the {len(expected)}"):
        known[len(expected)]

    sizes = list(map(len, expected))
    assert known.has_user_with(max(sizes))
    assert not known.has_user_with(max(sizes) + 1)
    assert (
        known.users_with_rows(max(sizes)) == np.flatnonzero(np.array(sizes) == max(sizes)).tolist()
    )


def test_users_with_all_items_are_refused(make_config: Callable[..., Config]) -> None:
    parts = create_dataset(make_config(model="BPR")).build()
    sampler = Sampler("train", parts[0])
    sampler.item_num = max(map(len, sampler.used_ids["train"])) + 1
    with pytest.raises(ValueError, match="Some users have interacted with all items"):
        sampler.get_used_ids()


@pytest.mark.parametrize(
    ("n_users", "n_items", "n_pairs"), [(30, 40, 500), (30, 40, 3), (900, 7000, 5000), (5, 9, 0)]
)
def test_pair_set_has_its_pairs_alone(n_users: int, n_items: int, n_pairs: int) -> None:
    rng = np.random.default_rng(n_pairs)
    users, items = rng.integers(0, n_users, n_pairs), rng.integers(0, n_items, n_pairs)
    pairs = PairSet(users, items, n_users, n_items)
    asked = [
        np.concatenate([some, rng.integers(0, n, 20_000)])
        for some, n in ((users, n_users), (items, n_items))
    ]
    expected = set(zip(users.tolist(), items.tolist(), strict=True))
    wanted = [
        i
        for i, pair in enumerate(zip(*(column.tolist() for column in asked), strict=True))
        if pair in expected
    ]
    assert pairs.has(*asked).tolist() == wanted
    assert len(pairs.table) <= max(8 * PairSet.BITS, PairSet.BITS * n_pairs // 8)


def test_unknown_user_is_recboles_error(make_config: Callable[..., Config]) -> None:
    dataset = create_dataset(make_config(model="BPR"))
    sampler = Sampler(["train"], [dataset.build()[0]]).set_phase("train")
    with pytest.raises(ValueError, match=r"user_id \[99\] not exist"):
        sampler.sample_by_user_ids(np.array([1, 99]), None, 2)
