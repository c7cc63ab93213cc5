"""The record of the data of training, and what it says of others."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from recbole_sibrar.data.record.scaling import Buckets
from recbole_sibrar.data.record.training_data import (
    LINES,
    TrainingData,
    differences,
    extends,
    joined,
)

THEN = TrainingData(
    user_field="user_id",
    item_field="item_id",
    tokens={"kind": "a\nb", "item_id": "i1\ni2", "user_id": "u1\nu2\nu3"},
    means={"price": 2.5},
    ranges={"price": (0.0, 5.0)},
    buckets={"age": Buckets((1.0, 9.0), 4)},
    tables={
        "inter": {LINES: 9, "user_id, item_id": 1, "rating": 2},
        "user": {"age": 3},
        "item": {"price": 4, "kind": 5},
        "kg": {LINES: 7, "head, tail": 6},
    },
    parts=((7, 10), (1, 11), (1, 12)),
)


def changed(**values: Any) -> list[str]:
    return differences(THEN, replace(THEN, **values))


def test_equal_data_have_no_differences() -> None:
    assert changed() == []
    assert changed(means={}, ranges={}, buckets={}) == []  # which follow from the values
    assert changed(parts=()) == []  # of data that are not split


@pytest.mark.parametrize(
    ("tokens", "phrases"),
    [
        ({"user_id": "u1\nu2\nu3\nu4"}, ["1 new user (u4)"]),
        ({"item_id": "i1\ni2\na\nb\nc\nd"}, ["4 new items (a, b, c, ...)"]),
        ({"item_id": "i2"}, ["1 missing item (i1)"]),
        ({"item_id": "i3\ni2"}, ["1 new item (i3)", "1 missing item (i1)"]),
        ({"kind": "a\nb\nc"}, ["1 new label of 'kind' (c)"]),
        (
            {"kind": "b\na", "item_id": "i2\ni1"},
            ["another order of items, labels of 'kind', so that their numbers have changed"],
        ),
    ],
)
def test_ids_and_labels_are_named(tokens: dict[str, str], phrases: list[str]) -> None:
    assert changed(tokens={**THEN.tokens, **tokens}) == phrases


@pytest.mark.parametrize(
    ("file", "table", "phrases"),
    [
        (
            "inter",
            {LINES: 8, "user_id, item_id": 0, "rating": 0},
            [".inter has 8 lines instead of 9"],
        ),
        (
            "inter",
            {LINES: 9, "user_id, item_id": 0, "rating": 0},
            ["other values of user_id, item_id in .inter"],
        ),
        (
            "inter",
            {LINES: 9, "user_id, item_id": 1, "rating": 0},
            ["other values of rating in .inter"],
        ),
        ("item", {"price": 0, "kind": 0}, ["other values of price, kind in .item"]),
        ("item", {"price": 4, "new": 0}, []),
        ("kg", {LINES: 7, "head, tail": 0}, ["other values of head, tail in .kg"]),
    ],
)
def test_files_and_fields_are_named(file: str, table: dict[str, int], phrases: list[str]) -> None:
    assert changed(tables={**THEN.tables, file: table}) == phrases


def test_other_entities_are_not_compared() -> None:
    other = {
        "tokens": {**THEN.tokens, "item_id": "i1\ni2\ni3"},
        "tables": {**THEN.tables, "item": {"price": 0}},
    }
    assert changed(**other) == ["1 new item (i3)"]
    assert changed(**other, known_only=True) == [
        "1 new item (i3)",
        "other values of price in .item",
    ]


def test_changed_parts_are_named() -> None:
    (phrase,) = changed(parts=((7, 10), (1, 11), (1, 0)))
    assert phrase.startswith("the split is another one (test)")


def test_checkpoint_holds_plain_values(tmp_path: Any) -> None:
    torch.save(THEN.plain, tmp_path / "record.pth")
    assert TrainingData.from_plain(torch.load(tmp_path / "record.pth", weights_only=True)) == THEN


@pytest.mark.parametrize("damaged", [None, "text", {}, {**THEN.plain, "buckets": {"age": 3}}])
def test_a_damaged_record_is_refused(damaged: Any) -> None:
    with pytest.raises(ValueError, match="damaged"):
        TrainingData.from_plain(damaged)


@pytest.mark.parametrize(
    "tokens", [[], [""], ["a"], ["", "a"], ["a\nb", "c"], ["a", ""], ["ä", " x "]]
)
def test_any_tokens_are_kept(tokens: list[str]) -> None:
    record = replace(THEN, tokens={"user_id": joined(tokens)})
    assert list(record.tokens_of("user_id")) == tokens


def test_later_data_extend_earlier_ones() -> None:
    assert extends(replace(THEN, tokens={**THEN.tokens, "item_id": "i1\ni2\ni3"}), THEN)
    assert not extends(replace(THEN, tokens={**THEN.tokens, "item_id": "i0\ni1\ni2"}), THEN)
    assert not extends(replace(THEN, tokens={**THEN.tokens, "item_id": "i1"}), THEN)
