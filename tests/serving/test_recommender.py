"""Recommendations, filters, new users and items."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from recbole_sibrar.errors import ConfigError, DataError, PortableModelError, UnknownEntityError
from recbole_sibrar.serving import Recommender
from recbole_sibrar.serving.example import example_model

Build = Callable[..., Any]


def history(exported: Any, user: str) -> set[str]:
    """Training items of a user, from the data set."""
    _, dataset, _ = exported.original()
    rows = np.asarray(dataset.inter_feat["user_id"]) == dataset.token2id("user_id", user)
    return set(dataset.id2token("item_id", np.asarray(dataset.inter_feat["item_id"])[rows]))


def test_histories_are_left_out(make_portable: Build) -> None:
    exported = make_portable(display=("kind", "tags", "price"))
    model = exported.load()
    own = history(exported, "u1")
    found = set(model.recommend(["u1"], k=99)["item"])
    everything = set(model.recommend(["u1"], k=99, exclude_seen=False)["item"])
    assert own
    assert found == everything - own


def test_tables_have_one_form(model: Recommender) -> None:
    frame = model.recommend(["u3", "u1"], k=2)
    assert list(frame.columns) == ["user", "item", "rank", "score"]
    assert frame["user"].tolist() == ["u3", "u3", "u1", "u1"]
    assert frame["rank"].tolist() == [1, 2, 1, 2]
    assert frame.groupby("user")["score"].apply(lambda scores: scores.is_monotonic_decreasing).all()


def test_candidates_compete_alone(model: Recommender) -> None:
    everything = model.recommend(["u2"], k=99, exclude_seen=False)
    among = model.recommend(["u2"], k=99, candidates=["i9", "i2", "i30"], exclude_seen=False)
    expected = everything[everything["item"].isin(["i9", "i2", "i30"])]
    assert among["item"].tolist() == expected["item"].tolist()
    np.testing.assert_allclose(among["score"], expected["score"], rtol=1e-5)


@pytest.mark.parametrize(
    ("expression", "holds"),
    [
        ("kind == 'c1'", lambda row: row["kind"] == "c1"),
        (
            "'t1' in tags and price > 5",
            lambda row: "t1" in str(row["tags"]).split() and float(row["price"]) > 5,
        ),
        ("not (kind in ['c1', 'c2'])", lambda row: row["kind"] not in ("c1", "c2")),
    ],
)
def test_filters(make_portable: Build, expression: str, holds: Callable[[Any], bool]) -> None:
    exported = make_portable(display=("kind", "tags", "price"))
    lines = exported.file("item")
    expected = {row["item_id"] for _, row in lines.iterrows() if holds(row)}
    found = set(
        exported.load().recommend(["u1"], k=99, filter=expression, exclude_seen=False)["item"]
    )
    assert found - {"i40"} == expected  # which has no line


def test_filter_by_items(model: Recommender) -> None:
    found = model.recommend(["u1"], k=99, filter={"i3", "i4", "sold out"}, exclude_seen=False)
    assert set(found["item"]) == {"i3", "i4"}


def test_new_user_is_a_known_one(make_portable: Build) -> None:
    """The history and the fields of a known user give the recommendations of that user."""
    exported = make_portable(display=("kind", "tags", "price"))
    model = exported.load()
    fields = exported.file("user").set_index("user_id").loc["u3"].dropna().to_dict()
    new = model.recommend_for(sorted(history(exported, "u3")), fields, k=10)
    known = model.recommend(["u3"], k=10)
    assert new["item"].tolist() == known["item"].tolist()
    np.testing.assert_allclose(new["score"], known["score"], rtol=1e-5)
    assert set(new["user"]) == {"new"}


def test_added_items_compete(model: Recommender) -> None:
    status = model.add_items(
        [{"item_id": "n1", "kind": "c1", "interactions": ["u1"]}, {"item_id": "i3", "price": 9}]
    )
    assert status["status"].tolist() == ["added", "replaced"]
    assert "n1" in set(model.recommend(["u2"], k=99)["item"])
    assert "n1" not in set(model.recommend(["u1"], k=99)["item"])  # u1 has interacted with it
    assert "u1" not in set(model.audience("n1", k=99)["user"])
    assert model.n_items == 41

    assert model.remove_items(["n1", "i5"]) == 2
    assert model.remove_items(["i5", "i5"]) == 0
    with pytest.raises(UnknownEntityError, match="item 'i5' is unknown: it has been removed"):
        model.similar_items("i5")
    assert not {"n1", "i5"} & set(model.recommend(["u2"], k=99, exclude_seen=False)["item"])
    assert not {"n1", "i5"} & set(model.similar_items("i3", k=99)["similar"])
    assert model.add_items([{"item_id": "i5"}])["status"].tolist() == ["added"]
    assert model.n_items == 40


def test_added_items_are_filtered(model: Recommender) -> None:
    model.add_items([{"item_id": "n1", "kind": "c9", "tags": "t1 t2", "price": 3.5}])
    assert model.recommend(["u1"], filter="kind == 'c9' and 't2' in tags")["item"].tolist() == [
        "n1"
    ]
    assert model.describe_items(["n1"]).to_dict("records") == [
        {"item": "n1", "kind": "c9", "tags": ["t1", "t2"], "price": 3.5}
    ]


def test_audience_is_a_column_of_scores(model: Recommender) -> None:
    scores = model.recommend(k=99, exclude_seen=False)
    expected = scores[scores["item"] == "i7"].sort_values("score", ascending=False)
    found = model.audience("i7", k=5, exclude_seen=False)
    assert found["user"].tolist() == expected["user"].head(5).tolist()


def test_similar_items_by_cosine(make_portable: Build) -> None:
    exported = make_portable(display=("kind", "tags", "price"))
    vectors = exported.embeddings("item")
    unit = vectors.div(np.sqrt(np.square(vectors).sum(axis=1)), axis=0)
    expected = (unit @ unit.loc["i7"]).drop("i7").nlargest(4)
    found = exported.load().similar_items("i7", k=4)
    assert found["similar"].tolist() == expected.index.tolist()
    np.testing.assert_allclose(found["score"], expected, rtol=1e-4)


def test_similar_by_a_modality(model: Recommender) -> None:
    model.add_items(
        [{"item_id": "n1", "kind": "c1", "price": 100}, {"item_id": "n2", "kind": "c2"}]
    )
    found = model.similar_items("n1", k=40, modalities=["kind"])
    same = found.loc[found["score"] > 0.999, "similar"]
    kinds = model.describe_items(same)["kind"]
    assert set(kinds) == {"c1"}
    assert "n2" not in set(same)
    with pytest.raises(DataError, match=r"'kond' is unknown, there are .*did you mean 'kind'"):
        model.similar_items("n1", modalities=["kond"])


@pytest.mark.parametrize(
    "table",
    [
        pd.DataFrame(
            {
                "item_id": ["x"],
                "kind": ["c1"],
                "tags": [["t1", "t2"]],
                "price": [2.5],
                "text": [np.arange(5.0)],
            }
        ),
        pa.table(
            {
                "item_id": ["x"],
                "kind": ["c1"],
                "tags": ["t1 t2"],
                "price": [2.5],
                "text": [[0.0, 1, 2, 3, 4]],
            }
        ),
        {"item_id": "x", "kind": "c1", "tags": ["t2", "t1"], "price": "2.5", "text": "0 1 2 3 4"},
        pd.DataFrame(
            [["x", "c1", "t1 t2", 2.5, "0 1 2 3 4"]],
            columns=["item_id:token", "kind:token", "tags", "price:float", "text:float_seq"],
        ),
    ],
)
def test_tables_of_any_kind(model: Recommender, table: Any) -> None:
    expected = model.encode_items(
        [{"kind": "c1", "tags": ["t1", "t2"], "price": 2.5, "text": [0, 1, 2, 3, 4]}]
    )
    found = model.encode_items(table)
    assert found["item"].tolist() == ["x"]
    np.testing.assert_array_equal(found["embedding"][0], expected["embedding"][0])


def test_unknown_labels_are_missing(model: Recommender) -> None:
    known = model.encode_items([{"price": 2.5}])["embedding"][0]
    found = model.encode_items(
        [{"price": 2.5, "kind": "unheard of", "tags": ["other"], "text": None}]
    )["embedding"][0]
    np.testing.assert_array_equal(found, known)


def test_nothing_gives_the_mean(make_portable: Build) -> None:
    exported = make_portable(display=("kind", "tags", "price"))
    found = exported.load().encode_items([{"kind": "unheard of"}])["embedding"][0]
    _, dataset, _ = exported.original()
    trained = set(dataset.id2token("item_id", dataset.inter_feat["item_id"].numpy()))
    expected = exported.embeddings("item").loc[sorted(trained)].mean()
    np.testing.assert_allclose(found, expected, atol=1e-6)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"prise": 1}, "'prise' is no field of the model; did you mean 'price'"),
        ({"price": "cheap"}, r"row 1, field 'price' \(float\): found 'cheap', allowed is a number"),
        ({"price": float("inf")}, "not finite"),
        ({"text": [1, 2]}, r"field 'text' \(float_seq\): found 2 numbers, allowed is 5"),
        ({"text": [1, 2, float("nan"), 4, 5]}, "not finite"),
        ({"kind": ["a", "b"]}, r"field 'kind' \(token\): found a list, allowed is a single value"),
        ({"price": {"a": 1}}, "field 'price': found the type struct"),
    ],
)
def test_wrong_cells(model: Recommender, row: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        model.encode_items([row])


def test_ids_of_added_items(model: Recommender) -> None:
    with pytest.raises(DataError, match="'item_id' is missing"):
        model.add_items([{"price": 1}])
    with pytest.raises(DataError, match="item_id is missing"):
        model.add_items([{"item_id": "x"}, {"item_id": None}])
    with pytest.raises(DataError, match="item_id 'x' occurs twice"):
        model.add_items([{"item_id": "x"}, {"item_id": "x"}])


def test_unknown_tokens_are_named(model: Recommender) -> None:
    with pytest.raises(UnknownEntityError, match="user 'U17' is unknown; did you mean 'u17'"):
        model.recommend(["u1", "U17"])
    with pytest.raises(UnknownEntityError, match="item 'nothing'"):
        model.similar_items("nothing")
    with pytest.raises(DataError, match="allowed is a list of tokens"):
        model.recommend("u1")


@pytest.mark.parametrize("k", [0, -1, True, 2.5, "3"])
def test_k_is_a_positive_integer(model: Recommender, k: Any) -> None:
    with pytest.raises(ConfigError, match="k: found"):
        model.recommend(["u1"], k=k)


def test_explanations_need_modalities(make_portable: Build) -> None:
    model = make_portable(modalities=False).load()
    with pytest.raises(PortableModelError, match="export it with --modalities"):
        model.explain("u1", "i1")
    # new ones are encoded anyway
    assert model.explain({"age": 20.0}, {"price": 3.0})["part"].notna().all()


def test_users_without_modalities(make_portable: Build) -> None:
    model = make_portable(user_modalities=["id"]).load()
    with pytest.raises(DataError, match=r"trained with user_modalities \[id\] alone"):
        model.recommend_for(["i1"])


@pytest.mark.parametrize(
    ("item", "named"),
    [
        ({"item_id": "new", "genre": ["\ud800"]}, "field 'genre': cannot be read"),
        ({"item_id": "new", "year": 10**400}, "row 1, field 'year' .*a number"),
    ],
)
def test_cells_beyond_every_type(item: dict[str, Any], named: str) -> None:
    with pytest.raises(DataError, match=named):
        example_model().add_items([item])


def test_integers_beyond_64_bits_are_labels() -> None:
    assert example_model().add_items([{"item_id": 10**30, "year": 1999}])["item"].tolist() == [
        str(10**30)
    ]
