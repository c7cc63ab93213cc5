"""The pure functions of a cold-start split: what holds for any ids, ratios and seeds."""

from __future__ import annotations

import math
from random import Random

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recbole_sibrar.data.atomic import DataError
from recbole_sibrar.data.split import (
    DROPPED,
    PARTS,
    canonical_order,
    check_disjoint,
    held_out_hash,
    partition_entities,
    partition_interactions,
)

RATIOS = (0.6, 0.2, 0.2)

steady = settings(deadline=None, max_examples=60)
seeds = st.integers(0, 2**32 - 1)
sides = st.sampled_from(["user", "item"])
names = st.lists(
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1),
    unique=True,
)


@st.composite
def shares(draw: st.DrawFn) -> tuple[float, ...]:
    """Three shares above 0 that sum to 1 as well as floats can."""
    weights = draw(st.tuples(*[st.integers(1, 50)] * 3))
    return tuple(weight / sum(weights) for weight in weights)


@st.composite
def interactions(draw: st.DrawFn) -> pd.DataFrame:
    """Interactions of ten users with twelve items or fewer, some of them repeated, with a value that may be missing."""
    pairs = st.tuples(st.integers(0, 9), st.integers(0, 11), st.sampled_from([1.0, 2.0, math.nan]))
    rows = draw(st.lists(pairs, min_size=20, max_size=80))
    frame = pd.DataFrame(rows, columns=["user", "item", "value"])
    return frame.assign(user="u" + frame["user"].map(str), item="i" + frame["item"].map(str))


def by_token(tokens: list[str], ratios: tuple[float, ...], seed: int, side: str) -> dict[str, int]:
    return dict(zip(tokens, partition_entities(tokens, ratios, seed, side).tolist(), strict=True))  # type: ignore[arg-type]


@steady
@given(names.filter(len), shares(), seeds, sides, st.randoms())
def test_division_ignores_the_order(
    tokens: list[str], ratios: tuple[float, ...], seed: int, side: str, random: Random
) -> None:
    try:
        parts = by_token(tokens, ratios, seed, side)
    except DataError:
        assert min(ratios) * len(tokens) < 1  # the shares are exact to less than one entity
        return
    for part, ratio in enumerate(ratios):
        size = list(parts.values()).count(part)
        assert size >= 1
        assert abs(size - ratio * len(tokens)) < 1 + 1e-9
    shuffled = tokens.copy()
    random.shuffle(shuffled)
    assert by_token(shuffled, ratios, seed, side) == parts


def test_sizes_of_the_papers() -> None:
    tokens = [f"i{n}" for n in range(10)]
    parts = partition_entities(tokens, (0.8, 0.1, 0.1), 2020, "item")
    assert np.bincount(parts).tolist() == [8, 1, 1]


def test_seed_and_side_give_other_divisions() -> None:
    tokens = [f"x{n}" for n in range(100)]
    divisions = {
        tuple(partition_entities(tokens, RATIOS, seed, side))
        for seed in range(20)
        for side in ("user", "item")
    }
    assert len(divisions) == 40


def test_entities_are_equally_likely() -> None:
    """Over many seeds each token is in a part as often as its share says, wherever it stands in the alphabet."""
    tokens, n = [f"x{k}" for k in range(10)], 3000
    parts = np.array([partition_entities(tokens, RATIOS, seed, "item") for seed in range(n)])
    for part, ratio in enumerate(RATIOS):
        error = math.sqrt(ratio * (1 - ratio) / n)
        assert np.abs((parts == part).mean(0) - ratio).max() < 4.5 * error


def test_tokens_are_held_out_independently() -> None:
    n = 3000
    parts = np.array(
        [partition_entities([*"abcdefghij"], RATIOS, seed, "user") for seed in range(n)]
    )
    expected = 2 / 10 * 1 / 9
    together = ((parts[:, 0] == 2) & (parts[:, 1] == 2)).mean()
    assert abs(together - expected) < 4.5 * math.sqrt(expected * (1 - expected) / n)


@pytest.mark.parametrize(("n", "ratios"), [(4, (0.8, 0.1, 0.1)), (2, RATIOS), (0, RATIOS)])
def test_too_few_entities(n: int, ratios: tuple[float, ...]) -> None:
    with pytest.raises(
        DataError, match=rf"{n} users cannot be divided by \[{ratios[0]}.*0 for"
    ) as caught:
        partition_entities([f"u{k}" for k in range(n)], ratios, 1, "user")
    assert all(f"for {part}" in str(caught.value) for part in PARTS)


@steady
@given(interactions(), seeds)
def test_interaction_follows_its_entity(frame: pd.DataFrame, seed: int) -> None:
    for side in ("user", "item"):
        try:
            parts = partition_interactions(frame["user"], frame["item"], RATIOS, side, seed)
        except DataError:
            # with five or more, each part has an entity, which has an interaction
            assert frame[side].nunique() < 5
            continue
        assert set(parts) == {0, 1, 2}
        assert (frame.assign(part=parts).groupby(side)["part"].nunique() == 1).all()


@steady
@given(interactions(), seeds)
def test_both_keeps_agreeing_interactions(frame: pd.DataFrame, seed: int) -> None:
    columns = frame["user"], frame["item"]
    try:
        of_user, of_item = (
            partition_interactions(*columns, RATIOS, side, seed) for side in ("user", "item")
        )
        both = partition_interactions(*columns, RATIOS, "both", seed)
    except DataError:
        return
    assert (both == np.where(of_user == of_item, of_user, DROPPED)).all()


def test_empty_part_is_named() -> None:
    """Ten users who each know one item of ten: with both sides divided, few pairs agree."""
    users, items = (pd.Series([f"{name}{n}" for n in range(10)]) for name in "ui")
    messages = set()
    for seed in range(30):
        try:
            partition_interactions(users, items, (0.8, 0.1, 0.1), "both", seed)
        except DataError as error:
            messages.add(str(error))
    assert any(
        "no interaction is left for valid of 10 interactions, divided by both" in text
        for text in messages
    )


@steady
@given(interactions(), seeds, st.randoms())
def test_order_ignores_the_file(frame: pd.DataFrame, seed: int, random: Random) -> None:
    def ordered(rows: pd.DataFrame) -> pd.DataFrame:
        columns = rows["user"], rows["item"]
        parts = partition_interactions(*columns, RATIOS, "item", seed)
        order = canonical_order(parts, *columns, [rows["value"], rows["value"].map(str)], seed)
        assert sorted(order) == list(range(len(rows)))
        assert (np.diff(parts[order]) >= 0).all()
        return rows.iloc[order].reset_index(drop=True)

    positions = list(range(len(frame)))
    random.shuffle(positions)
    try:
        expected = ordered(frame)
    except DataError:
        return
    pd.testing.assert_frame_equal(ordered(frame.iloc[positions].reset_index(drop=True)), expected)


def test_order_has_no_dropped_rows() -> None:
    parts = np.array([2, DROPPED, 0, DROPPED, 1])
    users, items = pd.Series([*"abcde"]), pd.Series([*"vwxyz"])
    assert canonical_order(parts, users, items, [], 7).tolist() == [2, 4, 0]


def test_popular_items_do_not_come_first() -> None:
    """In most files they do; a model that scores new items alike would rank them in that order."""
    items = pd.Series([f"i{item:02d}" for item in range(30) for _ in range(60 // (item + 1))])
    users = pd.Series([f"u{k}" for k in range(len(items))])
    positions = []
    for seed in range(400):
        order = canonical_order(np.zeros(len(items), dtype=np.int8), users, items, [], seed)
        positions.append(list(dict.fromkeys(items.iloc[order])).index("i00"))
    error = math.sqrt((30**2 - 1) / 12 / len(positions))  # of the mean of a uniform position
    assert abs(np.mean(positions) - 29 / 2) < 4.5 * error


def test_hash_ignores_the_order() -> None:
    valid, test = (["u1", "u2"], ["i1", "i2"]), (["u3"], ["i3"])
    first = held_out_hash([valid, test])
    assert held_out_hash([(["u2", "u1"], ["i2", "i1"]), test]) == first
    others = [
        [test, valid],
        [(["u1", "u2"], ["i2", "i1"]), test],
        [(["u1"], ["i1"]), (["u2", "u3"], ["i2", "i3"])],
        [valid, (["u3", "u3"], ["i3", "i3"])],
    ]
    assert len({first, *map(held_out_hash, others)}) == 5
    assert len(first) == 12


def test_entity_in_two_parts_is_named() -> None:
    tokens = ["[PAD]", "a", "b", "c"]
    check_disjoint([[1, 1], [2], [3]], tokens, "item")
    with pytest.raises(
        DataError, match="item 'b' has interactions in both train and test, and so have 0 more"
    ):
        check_disjoint([[1, 2], [3], [2]], tokens, "item")
    with pytest.raises(
        DataError, match="user 'a' has interactions in both train and valid, and so have 1 more"
    ):
        check_disjoint([[1, 2], [2, 1], [3]], tokens, "user")
