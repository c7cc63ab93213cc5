"""The key ``eval_groups``: its forms, as a dictionary and as text, and what it refuses."""

from __future__ import annotations

from typing import Any

import pytest

from recbole_sibrar.config import ConfigError, GroupRequest
from recbole_sibrar.config.groups import group_requests


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, []),
        ({"gender": "user"}, [GroupRequest("gender", "user")]),
        ({"popularity": "item"}, [GroupRequest("popularity", "item")]),
        ({"image": "available"}, [GroupRequest("image", None, "available")]),
        ({"age": {"side": "user"}}, [GroupRequest("age", "user")]),
        (
            {"age": {"side": "user", "bins": [18, 25.5]}},
            [GroupRequest("age", "user", bins=(18.0, 25.5))],
        ),
        ({"age": {"side": "user", "bins": 5}}, [GroupRequest("age", "user", bins=5)]),
        (
            {"text": {"side": "item", "by": "available"}},
            [GroupRequest("text", "item", "available")],
        ),
        (
            {"interactions": {"side": "user", "by": "available"}},
            [GroupRequest("interactions", "user", "available")],
        ),
        (
            "{age: {side: user, bins: [18, 25]}, image: available}",
            [
                GroupRequest("age", "user", bins=(18.0, 25.0)),
                GroupRequest("image", None, "available"),
            ],
        ),
    ],
)
def test_forms(value: Any, expected: list[GroupRequest]) -> None:
    assert list(group_requests(value)) == expected


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("[gender", "eval_groups: found '[gender'"),
        (
            ["gender"],
            "eval_groups: found ['gender'], allowed is fields with their side, such as {gender: user",
        ),
        ({"gender": "usr"}, "did you mean 'user'?"),
        ({"image": "availabel"}, "did you mean 'available'?"),
        (
            {"age": {"bins": [1]}},
            "eval_groups: age: found None, allowed is user, item or available",
        ),
        ({"age": {"side": "user", "bin": [1]}}, "did you mean 'bins'?"),
        ({"age": {"side": "user", "bins": []}}, "eval_groups: age: bins: found []"),
        (
            {"age": {"side": "user", "bins": 1}},
            "eval_groups: age: bins: found 1, allowed is a number of groups from 2",
        ),
        ({"age": {"side": "user", "bins": [25, 18]}}, "ascending numbers"),
        ({"age": {"side": "user", "bins": [18, 18]}}, "ascending numbers"),
        ({"age": {"side": "user", "bins": [18, "x"]}}, "ascending numbers"),
        ({"age": {"side": "user", "bins": [True, 18]}}, "ascending numbers"),
        ({"age": {"side": "user", "bins": [float("nan")]}}, "ascending numbers"),
        ({"age": {"side": "user", "by": "values"}}, "did you mean 'value'?"),
        ({"image": {"side": "item", "by": "available", "bins": 3}}, "none with by: available"),
        ({"popularity": "user"}, "popularity: item; users have no popularity"),
        ({"popularity": "available"}, "head and tail"),
        ({"popularity": {"side": "item", "bins": 3}}, "head and tail"),
        ({"interactions": "item"}, "{interactions: {side: item, by: available}}"),
        ({"interactions": "available"}, "{interactions: {side: item, by: available}}"),
    ],
)
def test_wrong_forms_are_one_line(value: Any, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        group_requests(value)
    text = str(caught.value)
    assert text.startswith("eval_groups: ")
    assert said in text
    assert "\n" not in text
