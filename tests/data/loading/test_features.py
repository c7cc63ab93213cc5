"""Fields read for an evaluation are those of the file, by the numbers that RecBole gave the entities."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.preprocessing import MultiLabelBinarizer

from recbole_sibrar.data.atomic import DataError
from recbole_sibrar.data.features import FieldValues, read_field

TOKENS = ("token", "token_seq")


def lines(folder: Path, side: str) -> dict[str, list[str]]:
    """The cells of each line after the id."""
    rows = [
        line.split("\t") for line in (folder / "tiny" / f"tiny.{side}").read_text().splitlines()[1:]
    ]
    return {row[0]: row[1:] for row in rows}


def cells(folder: Path, side: str, column: int, dataset: Any) -> list[str]:
    """The cell of each internal id; empty for the padding and for an entity without a line."""
    found = lines(folder, side)
    return [
        found[token][column] if token in found else ""
        for token in dataset.field2id_token[f"{side}_id"]
    ]


def dense(values: FieldValues) -> np.ndarray:
    return values.matrix if isinstance(values.matrix, np.ndarray) else values.matrix.toarray()


@pytest.mark.parametrize(
    ("side", "name", "column"),
    [("user", "gender", 0), ("item", "kind", 0), ("user", "likes", 1), ("item", "tags", 1)],
)
@pytest.mark.parametrize("model", ["BPR", "SiBraR"])
def test_categories_of_each_entity(
    make_dataset: Callable[..., Any],
    tiny_folder: Path,
    model: str,
    side: Any,
    name: str,
    column: int,
) -> None:
    dataset = make_dataset(model=model)
    sets = [set(cell.split()) for cell in cells(tiny_folder, side, column, dataset)]
    binarizer = MultiLabelBinarizer()
    expected = binarizer.fit_transform(sets)
    values = read_field(dataset, side, name, TOKENS, "eval_groups")
    assert values.labels == tuple(binarizer.classes_)
    assert np.array_equal(dense(values), expected)
    assert np.array_equal(values.available, expected.any(axis=1))
    for position, label in enumerate(values.labels):
        assert values.having(position).tolist() == [label in found for found in sets]


@pytest.mark.parametrize("overrides", [{}, {"model": "BPR"}, {"normalize_all": False}])
def test_vectors_and_their_directions(
    make_dataset: Callable[..., Any], tiny_folder: Path, overrides: dict[str, Any]
) -> None:
    dataset = make_dataset(**overrides)
    values = read_field(dataset, "item", "text", ("float_seq",), "ild_modality")
    unit, has_direction = values.directions
    for item, cell in enumerate(cells(tiny_folder, "item", 3, dataset)):
        assert values.available[item] == has_direction[item] == bool(cell)
        if cell:
            vector = np.array(cell.split(), dtype=float)
            assert dense(values)[item] == pytest.approx(vector)
            assert unit[item] == pytest.approx(vector / np.linalg.norm(vector), abs=1e-6)


def rewrite(folder: Path, change: Callable[[list[str]], list[str]]) -> Path:
    file = folder / "tiny" / "tiny.item"
    header, *rows = file.read_text().splitlines()
    file.write_text("\n".join([header, *change(rows)]) + "\n")
    return file


def test_order_of_lines_does_not_matter(
    make_dataset: Callable[..., Any], tiny_folder: Path
) -> None:
    dataset = make_dataset()
    before = read_field(dataset, "item", "tags", TOKENS, "ild_modality")
    rewrite(tiny_folder, lambda rows: ["stranger\tc9\tt0 t1\t1\t", *rows[::-1]])
    after = read_field(dataset, "item", "tags", TOKENS, "ild_modality")
    assert before.labels == after.labels
    assert np.array_equal(dense(before), dense(after))


def test_zero_vector_has_no_direction(make_dataset: Callable[..., Any], tiny_folder: Path) -> None:
    zeros = "i1\tc1\tt1\t0.5\t" + " ".join(["0"] * 5)
    rewrite(tiny_folder, lambda rows: [zeros, *rows[1:]])
    dataset = make_dataset()
    item = dataset.token2id("item_id", "i1")
    values = read_field(dataset, "item", "text", ("float_seq",), "ild_modality")
    assert values.available[item]
    assert not values.directions[1][item]


def test_keys_of_the_file_format(make_dataset: Callable[..., Any], tiny_folder: Path) -> None:
    plain = read_field(make_dataset(), "item", "tags", TOKENS, "key")
    for file in (tiny_folder / "tiny").iterdir():
        file.write_text(file.read_text().replace(" ", ";").replace("\t", ","))
    values = read_field(
        make_dataset(field_separator=",", seq_separator=";"), "item", "tags", TOKENS, "key"
    )
    assert values.labels == plain.labels
    assert np.array_equal(dense(values), dense(plain))


@pytest.mark.parametrize(
    ("side", "name", "types", "pieces"),
    [
        (
            "item",
            "tag",
            TOKENS,
            ["'tag'", "not there", "tiny.item", "kind, tags", "did you mean 'tags'?"],
        ),
        ("item", "text", TOKENS, ["'text'", "type float_seq", "token or token_seq: kind, tags"]),
        ("user", "tags", TOKENS, ["'tags'", "not there", "tiny.user", "gender, likes"]),
        ("user", "user_id", TOKENS, ["'user_id'", "gender, likes"]),
        ("user", "gender", ("float",), ["'gender'", "type token", "of type float: age"]),
    ],
)
def test_unusable_field_names_usable_ones(
    make_dataset: Callable[..., Any],
    side: Any,
    name: str,
    types: tuple[str, ...],
    pieces: list[str],
) -> None:
    with pytest.raises(DataError) as caught:
        read_field(make_dataset(), side, name, types, "some_key")
    text = str(caught.value)
    assert text.startswith("some_key: ")
    assert "\n" not in text
    assert all(piece in text for piece in pieces), text


def test_missing_file_or_ids(make_dataset: Callable[..., Any], tiny_folder: Path) -> None:
    dataset = make_dataset(model="BPR")
    file = tiny_folder / "tiny" / "tiny.item"
    file.write_text(file.read_text().replace("item_id:token", "name:token", 1))
    with pytest.raises(DataError, match=r"tiny\.item has no field 'item_id'"):
        read_field(dataset, "item", "tags", TOKENS, "key")
    file.unlink()
    with pytest.raises(
        DataError, match=r"^key: found 'tags', but the file .*tiny\.item.* does not exist$"
    ):
        read_field(dataset, "item", "tags", TOKENS, "key")
