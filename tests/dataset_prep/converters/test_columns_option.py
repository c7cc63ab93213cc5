"""The option --columns of prepare generic, and the types that are inferred without it."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from recbole_sibrar import cli
from recbole_sibrar.data.atomic import read_frame, read_header

Prepare = Callable[..., tuple[int, str, str]]

SIZE = 12


@pytest.fixture
def vectors() -> np.ndarray:
    return np.random.default_rng(2).normal(size=(9, SIZE)).astype(np.float32)


@pytest.fixture
def prepare(tmp_path: Path, capsys: pytest.CaptureFixture[str], vectors: np.ndarray) -> Prepare:
    """Run the command on nine items with numbered columns, flags and labels; returns status, output and errors."""
    pd.DataFrame({"user": ["u", "v", "w"] * 3, "item": range(9)}).to_csv(
        tmp_path / "e.csv", index=False
    )
    # the numbers decide, not the order of the file
    order = np.random.default_rng(0).permutation(SIZE)
    columns = {
        "item": range(9),
        **{f"img_{k}": vectors[:, k] for k in order},
        "img_url": ["x", "y", "x"] * 3,
    }
    columns |= {
        f"is_{name}": [k % (n + 2) == 0 for k in range(9)] for n, name in enumerate(("red", "new"))
    }
    columns |= {"label1": ["a", "b", ""] * 3, "label2": ["c|d", "", ""] * 3}
    pd.DataFrame(columns).astype({"is_red": int, "is_new": int}).to_csv(
        tmp_path / "i.csv", index=False
    )

    def run(*arguments: str) -> tuple[int, str, str]:
        paths = [
            f"--input_path={tmp_path}",
            f"--output_path={tmp_path / 'out'}",
            "--dataset=d",
            "--overwrite",
        ]
        tables = ["--interactions=e.csv", "--items=i.csv"]
        status = cli.main(["prepare", "generic", *paths, *tables, *arguments])
        return status, *capsys.readouterr()

    return run


def items(folder: Path) -> pd.DataFrame:
    path = folder / "out" / "d" / "d.item"
    return read_frame(path, read_header(path)).set_index("item_id")


def test_numbered_columns_become_a_vector(
    prepare: Prepare, tmp_path: Path, vectors: np.ndarray
) -> None:
    assert prepare("--columns", "item:img_[0-9]*=float_seq image", "item:img_url=skip")[0] == 0
    found = items(tmp_path)["image"]
    for item, vector in found.items():
        np.testing.assert_array_equal(np.asarray(vector, dtype=np.float32), vectors[int(str(item))])


def test_the_warning_proposes_what_works(
    prepare: Prepare, tmp_path: Path, vectors: np.ndarray
) -> None:
    output = prepare()[1]
    (proposed,) = re.findall(
        r"warning: items: the 12 columns img_0 \.\.\. img_11 .*--columns '(.*?)'", output
    )
    assert proposed == "item:img_[0-9]*=float_seq img"  # img_* is the address as well
    status, output, _ = prepare("--columns", proposed)
    assert (status, "warning: " in output) == (0, False)
    np.testing.assert_array_equal(
        np.asarray(items(tmp_path)["img"]["3"], dtype=np.float32), vectors[3]
    )


def test_full_names_go_before_patterns(prepare: Prepare, tmp_path: Path) -> None:
    assert prepare("--columns", "item:img_*=float_seq image", "item:img_url=token")[0] == 0
    assert items(tmp_path)["img_url"].tolist() == ["x", "y", "x"] * 3


def test_flags_and_texts_become_labels(prepare: Prepare, tmp_path: Path) -> None:
    choices = ["item:is_*=token_seq kinds", "item:label?=token_seq labels", "item:img_*=skip"]
    assert prepare("--columns", *choices)[0] == 0
    found = items(tmp_path)
    assert {key: list(row) for key, row in found["kinds"].items()}["0"] == ["red", "new"]
    assert [list(row) for row in found["kinds"]] == [
        [name for n, name in enumerate(("red", "new")) if k % (n + 2) == 0] for k in range(9)
    ]
    assert [list(row) for row in found["labels"]] == [["a", "c", "d"], ["b"], []] * 3


def test_a_column_can_have_another_name(prepare: Prepare, tmp_path: Path) -> None:
    assert prepare("--columns", "item:label1=token colour", "item:img_*=skip")[0] == 0
    assert items(tmp_path)["colour"].fillna("").tolist() == ["a", "b", ""] * 3


WRONG = {
    "item:img*=float_seq": "matches 13 columns; name the field that they become, as in 'item:img*=float_seq img'",
    "item:img*=float_seq image": "row 2, column img_url: found 'x', allowed is a finite number",
    "item:is_*=float kinds": "makes one field of 2 columns, allowed are the types float_seq and token_seq",
    "item:im=token": "--columns: found 'im', allowed are the columns of",
    "item:x*=skip": "--columns: found 'x*', allowed are the columns of",
}


@pytest.mark.parametrize("choice", WRONG)
def test_a_wrong_choice_ends_in_one_line(prepare: Prepare, choice: str) -> None:
    status, _, errors = prepare("--columns", choice)
    (line,) = errors.splitlines()
    assert (status, WRONG[choice] in line) == (cli.WRONG_INPUT, True)


def test_two_choices_for_a_column(prepare: Prepare) -> None:
    status, _, errors = prepare("--columns", "item:is_*=skip", "item:is_r*=token")
    assert status == cli.WRONG_INPUT
    assert "'item:is_*=skip' and 'item:is_r*=token' both match the column 'is_red'" in errors


def test_a_vector_lacks_all_numbers_or_none(prepare: Prepare, tmp_path: Path) -> None:
    frame = pd.read_csv(tmp_path / "i.csv")
    frame.loc[4, [f"img_{k}" for k in range(SIZE)]] = None
    frame.to_csv(tmp_path / "i.csv", index=False)
    choice = "item:img_[0-9]*=float_seq image"
    assert prepare("--columns", choice)[0] == 0
    assert len(items(tmp_path)["image"]["4"]) == 0
    frame.loc[4, "img_0"] = 1.0
    frame.to_csv(tmp_path / "i.csv", index=False)
    errors = prepare("--columns", choice)[2]
    assert (
        "row 6, column img_1: found '', allowed is a number, as in other columns of the row"
        in errors
    )


def prepare_items(
    prepare: Prepare, folder: Path, columns: dict[str, list[str]]
) -> tuple[pd.DataFrame, str]:
    """Items with these texts as columns."""
    pd.DataFrame({"item": range(9), **columns}).to_csv(folder / "i.csv", index=False)
    status, output, errors = prepare()
    assert (status, errors) == (0, "")
    return items(folder), output


def test_lists_are_labels_or_vectors(prepare: Prepare, tmp_path: Path) -> None:
    found, _ = prepare_items(
        prepare,
        tmp_path,
        {
            "related": ["[27, 9]", "[3]", "[]"] * 3,
            "tags": ["['a', 'b c']", '["a"]', ""] * 3,
            "vector": ["[0.5, 1]", "[2, -1]", ""] * 3,
        },
    )
    assert [list(row) for row in found["related"]] == [["27", "9"], ["3"], []] * 3
    assert [list(row) for row in found["tags"]] == [["a", "b_c"], ["a"], []] * 3
    assert [list(row) for row in found["vector"]] == [[0.5, 1], [2, -1], []] * 3


def test_words_for_missing_numbers(prepare: Prepare, tmp_path: Path) -> None:
    words = ["NULL", "NA", "nan", "None", "N/A", "-", "", "3.5"]
    found, output = prepare_items(
        prepare, tmp_path, {"price": [*words, "2"], "kind": ["NULL", "x", "x"] * 3}
    )
    np.testing.assert_array_equal(found["price"], [*[np.nan] * 7, 3.5, 2])
    assert (
        "note: items: column price: 6 cells are missing values ('NULL' 1, 'NA' 1, 'nan' 1, 'None' 1, "
        in output
    )
    assert found["kind"].tolist() == ["NULL_", "x", "x"] * 3
    assert (
        "note: items: column kind has cells 'NULL', which count as values; --missing NULL makes them missing"
        in output
    )


def test_missing_words_can_be_named(prepare: Prepare, tmp_path: Path) -> None:
    pd.DataFrame({"item": range(9), "kind": ["NULL", "x", "?"] * 3}).to_csv(
        tmp_path / "i.csv", index=False
    )
    assert prepare("--missing=NULL,?")[0] == 0
    assert items(tmp_path)["kind"].fillna("").tolist() == ["", "x", ""] * 3


def test_numbers_beside_texts_are_a_warning(prepare: Prepare, tmp_path: Path) -> None:
    _, output = prepare_items(prepare, tmp_path, {"price": ["1", "2", "on request"] * 3})
    assert "warning: items: most cells of column price are numbers, but not 'on request'" in output


def test_codes_and_dates_are_no_amounts(prepare: Prepare, tmp_path: Path) -> None:
    found, _ = prepare_items(
        prepare,
        tmp_path,
        {"brand_id": ["1", "2", "2"] * 3, "released": ["2020-01-02", "2021-05-06", ""] * 3},
    )
    assert found["brand_id"].tolist() == ["1", "2", "2"] * 3
    assert found["released"]["0"] == pd.Timestamp("2020-01-02", tz="UTC").timestamp()


LEFT_OUT = {
    "texts": (
        [f"A long text about number {k}" for k in range(9)],
        "--encode 'item:x=MODEL' makes vectors of texts",
    ),
    "image paths": (
        [f"img/{k}.jpg" for k in range(9)],
        "recbole-sibrar encode-image --input .* --path_column 'x'",
    ),
    "addresses of images": (
        [f"https://a.b/{k}.jpg" for k in range(9)],
        "download the images into a folder",
    ),
    "addresses": ([f"https://a.b/{k}" for k in range(9)], "its cells are addresses"),
    "amounts": ([f"{k} EUR" for k in range(9)], "written as plain numbers, they are a number"),
    "nothing": ([""] * 9, "it is empty"),
}


@pytest.mark.parametrize("look", LEFT_OUT)
def test_a_column_left_out_is_shown(prepare: Prepare, tmp_path: Path, look: str) -> None:
    cells, hint = LEFT_OUT[look]
    found, output = prepare_items(prepare, tmp_path, {"kind": ["a", "b", "c"] * 3, "x": cells})
    assert list(found) == ["kind"]
    (note,) = [line for line in output.splitlines() if "column x" in line]
    assert note.startswith("note: items: column x is left out")
    assert re.search(hint, note)


def test_labels_with_commas_are_a_warning(prepare: Prepare, tmp_path: Path) -> None:
    _, output = prepare_items(prepare, tmp_path, {"tags": ["a, b", "b, c", "a"] * 3})
    assert (
        "cells of column tags such as 'a, b' look like lists; --list_separator ',' takes them for lists"
        in output
    )


def test_taken_names_get_the_side_in_front(prepare: Prepare, tmp_path: Path) -> None:
    pd.DataFrame({"user": ["u", "v", "w"], "country": ["a", "b", "a"]}).to_csv(
        tmp_path / "u.csv", index=False
    )
    pd.DataFrame({"item": range(9), "country": ["x", "y", "x"] * 3, "rating": range(9)}).to_csv(
        tmp_path / "i.csv", index=False
    )
    status, output, _ = prepare("--users=u.csv")
    assert status == 0
    assert list(items(tmp_path)) == ["item_country", "item_rating"]
    assert "note: items: the field country is called item_country: both sides have one." in output
