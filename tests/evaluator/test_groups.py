"""Groups by bins of numbers and by availability, against counts of what the files and the lists hold."""

from __future__ import annotations

import logging
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from recbole.utils import get_trainer

from recbole_sibrar.data.atomic import DataError

Build = Callable[..., tuple[Any, ...]]
K = 5
SETTINGS: dict[str, Any] = {
    "metrics": ["Recall", "NDCG"],
    "topk": [K],
    "valid_metric": f"NDCG@{K}",
    "metric_decimal_place": 10,
    "save_per_user": "users.parquet",
    "eval_args": {
        "split": {"RS": [0.6, 0.1, 0.3]},
        "group_by": "user",
        "order": "RO",
        "mode": "full",
    },
}
COLUMNS = {"user": ["gender", "likes", "age", "profile"], "item": ["kind", "tags", "price", "text"]}


def cells(folder: Path, side: str, name: str) -> pd.Series:
    """Cells of a field by the names of the users or items, all of which are here; empty where there is none."""
    rows = [
        line.split("\t") for line in (folder / "tiny" / f"tiny.{side}").read_text().splitlines()[1:]
    ]
    column = 1 + COLUMNS[side].index(name)
    ids = [f"{side[0]}{n}" for n in range(1, (30 if side == "user" else 40) + 1)]
    return pd.Series({row[0]: row[column] for row in rows}).reindex(ids, fill_value="")


def rewrite(folder: Path, side: str, name: str, values: Callable[[str], str]) -> None:
    file = folder / "tiny" / f"tiny.{side}"
    header, *lines = [line.split("\t") for line in file.read_text().splitlines()]
    column = 1 + COLUMNS[side].index(name)
    rows = [[*row[:column], values(row[0]), *row[column + 1 :]] for row in lines]
    file.write_text("\n".join("\t".join(row) for row in [header, *rows]) + "\n")


@pytest.fixture
def evaluate(
    make_model: Build,
) -> Callable[..., tuple[dict[str, float], pd.DataFrame, dict[str, set[str]]]]:
    """The result of a test, its rows of users by their names, and the held-out items of each user."""

    def build(groups: Any, model: str = "BPR", **keys: Any) -> tuple[Any, ...]:
        config, network, *_, test = make_model(
            model=model, eval_groups=groups, **{**SETTINGS, **keys}
        )
        result = get_trainer(config["MODEL_TYPE"], model)(config, network).evaluate(
            test, load_best_model=False
        )
        table, names = test._dataset.inter_feat, test._dataset.field2id_token
        held_out: dict[str, set[str]] = {}
        for user, item in zip(
            names["user_id"][table["user_id"]], names["item_id"][table["item_id"]], strict=True
        ):
            held_out.setdefault(str(user), set()).add(str(item))
        return dict(result), pd.read_parquet("users.parquet").set_index("user_id"), held_out

    return build


def labels(result: dict[str, float]) -> list[str]:
    return list(dict.fromkeys(key.split("[")[1][:-1] for key in result if "[" in key))


def check_users(
    result: dict[str, float], frame: pd.DataFrame, members: dict[str, list[str]]
) -> None:
    """A group's value is the mean of its users' values."""
    assert labels(result) == list(members)
    for label, users in members.items():
        rows = frame.loc[[user for user in users if user in frame.index]]
        for metric in (f"recall@{K}", f"ndcg@{K}"):
            assert result[f"{metric}[{label}]"] == pytest.approx(rows[metric].mean())


@pytest.mark.parametrize("model", ["BPR", "SiBraR"])
def test_bins_begin_with_their_numbers(
    evaluate: Callable[..., Any], tiny_folder: Path, model: str
) -> None:
    ages = pd.to_numeric(cells(tiny_folder, "user", "age"))  # of u10, 5; of u20, 10
    assert ages["u10"] == 5
    result, frame, _ = evaluate({"age": {"side": "user", "bins": [5, 10]}}, model)
    members = {
        "age=below 5": list(ages.index[ages < 5]),
        "age=5 to below 10": list(ages.index[(ages >= 5) & (ages < 10)]),
        "age=10 and above": list(ages.index[ages >= 10]),
    }
    assert sum(map(len, members.values())) == ages.notna().sum() < 30
    check_users(result, frame, members)


@pytest.mark.parametrize(
    ("form", "n"), [("user", 4), ({"side": "user"}, 4), ({"side": "user", "bins": 3}, 3)]
)
def test_quantiles_divide_numbers(
    evaluate: Callable[..., Any], tiny_folder: Path, form: Any, n: int
) -> None:
    ages = pd.to_numeric(cells(tiny_folder, "user", "age"))
    starts = np.quantile(ages.dropna(), np.arange(1, n) / n)
    result, frame, _ = evaluate({"age": form})
    texts = [f"{start:g}" for start in starts]
    names = [f"below {texts[0]}", *(f"{a} to below {b}" for a, b in pairwise(texts))]
    groups = np.searchsorted(starts, ages, side="right")
    expected = {
        f"age={name}": list(ages.index[(groups == group) & ages.notna()])
        for group, name in enumerate([*names, f"{texts[-1]} and above"])
    }
    sizes = [len(users) for users in expected.values()]
    assert max(sizes) - min(sizes) <= 1
    check_users(result, frame, expected)


def test_items_are_divided_by_numbers(evaluate: Callable[..., Any], tiny_folder: Path) -> None:
    prices = pd.to_numeric(cells(tiny_folder, "item", "price"))
    result, frame, held_out = evaluate({"price": {"side": "item", "bins": [10]}})
    assert labels(result) == ["price=below 10", "price=10 and above"]
    for label, members in (("below 10", prices < 10), ("10 and above", prices >= 10)):
        items = set(prices.index[members])
        of_users = [user for user in frame.index if held_out[user] & items]
        recalls = [
            len(set(frame["items"][u]) & held_out[u] & items) / len(held_out[u] & items)
            for u in of_users
        ]
        assert result[f"recall@{K}[price={label}]"] == pytest.approx(np.mean(recalls))


def test_ties_leave_fewer_quantiles(evaluate: Callable[..., Any], tiny_folder: Path) -> None:
    rewrite(tiny_folder, "user", "age", lambda user: "7" if int(user[1:]) % 4 else "9")
    assert labels(evaluate({"age": "user"})[0]) == ["age=below 9", "age=9 and above"]


def test_numbers_of_a_token_field(evaluate: Callable[..., Any], tiny_folder: Path) -> None:
    rewrite(tiny_folder, "user", "gender", lambda user: str(int(user[1:]) % 3))
    assert labels(evaluate({"gender": "user"})[0]) == ["gender=0", "gender=1", "gender=2"]
    result, frame, _ = evaluate({"gender": {"side": "user", "bins": [1]}})
    members = {
        "gender=below 1": [f"u{n}" for n in range(1, 30) if n % 3 == 0],
        "gender=1 and above": [f"u{n}" for n in range(1, 30) if n % 3],
    }
    check_users(result, frame, members)


@pytest.mark.parametrize("name", COLUMNS["user"])
def test_users_by_availability(evaluate: Callable[..., Any], tiny_folder: Path, name: str) -> None:
    present = cells(tiny_folder, "user", name) != ""
    result, frame, _ = evaluate({name: "available"})
    members = {
        f"{name}=available": list(present.index[present]),
        f"{name}=missing": list(present.index[~present]),
    }
    assert "u30" in members[f"{name}=missing"]  # who has no line in the file
    check_users(result, frame, members)
    assert not [key for key in result if "share" in key]


@pytest.mark.slow
@pytest.mark.parametrize("split", [{"RS": [0.6, 0.1, 0.3]}, {"CS": [0.5, 0.2, 0.3]}])
@pytest.mark.parametrize("name", COLUMNS["item"])
@pytest.mark.parametrize("model", ["BPR", "SiBraR"])
def test_items_by_availability(
    evaluate: Callable[..., Any], tiny_folder: Path, model: str, name: str, split: dict[str, Any]
) -> None:
    arguments = {"split": split, "group_by": "item" if "CS" in split else "user", "mode": "full"}
    present = cells(tiny_folder, "item", name) != ""
    result, frame, held_out = evaluate({name: "available"}, model, eval_args=arguments)
    assert labels(result) == [f"{name}=available", f"{name}=missing"]

    candidates = set.union(*held_out.values()) if "CS" in split else set(present.index)
    places = [item for items in frame["items"] for item in items]
    for label, members in (("available", present), ("missing", ~present)):
        items = set(members.index[members])
        share = np.mean([item in items for item in places])
        assert result[f"placeshare@{K}[{name}={label}]"] == pytest.approx(share)
        expected = len(candidates & items) / len(candidates)
        assert result[f"candidateshare[{name}={label}]"] == pytest.approx(expected)
        of_users = [user for user in frame.index if held_out[user] & items]
        recalls = [
            len(set(frame["items"][u]) & held_out[u] & items) / len(held_out[u] & items)
            for u in of_users
        ]
        found = result.get(f"recall@{K}[{name}={label}]")
        assert found == (pytest.approx(np.mean(recalls)) if recalls else None)


def test_empty_places_are_no_share(evaluate: Callable[..., Any], tiny_folder: Path) -> None:
    arguments = {"split": {"CS": [0.8, 0.1, 0.1]}, "group_by": "item"}
    keys = {"eval_args": arguments, "topk": [2, 30], "valid_metric": "NDCG@2"}
    result, frame, _ = evaluate({"text": "available"}, **keys)
    assert {len(items) for items in frame["items"]} == {4}
    for group in ("available", "missing"):  # all four candidates are in every list
        assert result[f"placeshare@30[text={group}]"] == pytest.approx(
            result[f"candidateshare[text={group}]"]
        )


def test_new_and_known_items(evaluate: Callable[..., Any]) -> None:
    arguments = {"split": {"CS": [0.5, 0.2, 0.3]}, "group_by": "item"}
    groups = {"interactions": {"side": "item", "by": "available"}}
    result, frame, held_out = evaluate(groups, eval_args=arguments, eval_candidates="all")
    new = set.union(*held_out.values())
    assert f"recall@{K}[interactions=available]" not in result  # nothing known is held out
    assert f"recall@{K}[interactions=missing]" in result
    places = [item for items in frame["items"] for item in items]
    share = result[f"placeshare@{K}[interactions=missing]"]
    # the new items of the validation take places too
    assert share >= np.mean([item in new for item in places])
    assert result["candidateshare[interactions=available]"] == pytest.approx(0.5)
    shares = [result[f"placeshare@{K}[interactions={x}]"] for x in ("available", "missing")]
    assert sum(shares) == pytest.approx(1)


def test_a_group_of_nothing_gets_no_place(
    evaluate: Callable[..., Any], tiny_folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    rewrite(tiny_folder, "item", "kind", lambda item: "c1")
    file = tiny_folder / "tiny" / "tiny.item"
    file.write_text(file.read_text() + "i40\tc1\t\t\t\n")
    caplog.set_level(logging.INFO)
    result, *_ = evaluate({"kind": "available"})
    assert result[f"placeshare@{K}[kind=missing]"] == result["candidateshare[kind=missing]"] == 0
    assert f"recall@{K}[kind=missing]" not in result
    assert "groups without a test user: kind=missing" in caplog.text


@pytest.mark.parametrize(
    ("groups", "said"),
    [
        (
            {"textt": "available"},
            "found 'textt', which neither users nor items have; allowed are kind, tags",
        ),
        ({"profile": "user"}, "'profile', which is of type float_seq"),
        ({"kind": {"side": "item", "bins": [1]}}, "bins: found 'c1' in the field 'kind'"),
        ({"tags": {"side": "item", "bins": 3}}, "'tags', which is of type token_seq"),
        ({"text": {"side": "user", "by": "available"}}, "'text', which is not there"),
    ],
)
def test_fields_that_cannot_be_divided(make_model: Build, groups: Any, said: str) -> None:
    with pytest.raises(DataError) as caught:
        make_model(model="BPR", eval_groups=groups, **SETTINGS)
    assert str(caught.value).startswith("eval_groups: ")
    assert said in str(caught.value)


def test_numbers_that_are_all_alike(make_model: Build, tiny_folder: Path) -> None:
    rewrite(tiny_folder, "user", "age", lambda user: "30")
    with pytest.raises(DataError, match=r"^eval_groups: found 'age', whose numbers are all alike"):
        make_model(model="BPR", eval_groups={"age": "user"}, **SETTINGS)


def test_a_field_of_both_needs_its_side(make_model: Build, tiny_folder: Path) -> None:
    file = tiny_folder / "tiny" / "tiny.user"
    file.write_text(file.read_text().replace("gender:token", "kind:token", 1))
    with pytest.raises(
        DataError,
        match=r"'kind', which users and items have; write kind: {side: item, by: available}",
    ):
        make_model(model="BPR", eval_groups={"kind": "available"}, **SETTINGS)
    make_model(model="BPR", eval_groups={"kind": {"side": "user", "by": "available"}}, **SETTINGS)
