"""Warnings about ids: tables that do not match, and ids that occur again with other values."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from recbole.data import create_dataset

MakeConfig = Callable[..., Any]
KEYS = {
    "load_col": {"inter": ["user_id", "item_id"], "user": "*", "item": "*"},
    "filter_inter_by_user_or_item": False,
}
MODELS = ["BPR", "SiBraR"]


def change_ids(
    folder: Path, side: str, change: Callable[[str], str], n_rows: int | None = None
) -> Path:
    """Write the ids of a file in another way, and keep some of its rows."""
    file = folder / "tiny" / f"tiny.{side}"
    header, *lines = file.read_text(encoding="utf-8").splitlines()
    rows = ["\t".join([change(line.partition("\t")[0]), line.partition("\t")[2]]) for line in lines]
    file.write_text("\n".join([header, *rows[:n_rows], ""]), encoding="utf-8")
    return file


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize(
    ("change", "example", "hint"),
    [
        (lambda token: f"{token}.0", "'i1.0', 'i2.0'", "without '.0' they would match"),
        (
            lambda token: token[1:],
            "'1', '2'",
            "without the text before their digits they would match",
        ),
        (str.upper, "'I1', 'I2'", "in lower case they would match"),
        (lambda token: f" {token}", "' i1', ' i2'", "without spaces around them they would match"),
        (lambda token: f"0{token}", "'0i1', '0i2'", "without leading zeros they would match"),
        (lambda token: f"{token}x", "'i1x', 'i2x'", "no interactions"),
    ],
)
def test_ids_that_match_nothing_are_told(
    make_config: MakeConfig,
    tiny_folder: Path,
    caplog: pytest.LogCaptureFixture,
    model: str,
    change: Callable[[str], str],
    example: str,
    hint: str,
) -> None:
    file = change_ids(tiny_folder, "item", change)
    create_dataset(make_config(model, **KEYS))
    (warning,) = (
        record.getMessage()
        for record in caplog.records
        if "with interactions" in record.getMessage()
    )
    assert warning.startswith(f"{file}: none of the 40 items with interactions (0.0 %) has a line")
    assert example in warning
    assert warning.endswith(hint)


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize(("side", "n"), [("user", 30), ("item", 40)])
def test_a_low_share_is_told(
    make_config: MakeConfig,
    tiny_folder: Path,
    caplog: pytest.LogCaptureFixture,
    model: str,
    side: str,
    n: int,
) -> None:
    change_ids(tiny_folder, side, str, 3)
    create_dataset(make_config(model, **KEYS))
    assert f"3 of the {n} {side}s with interactions ({300 / n:.1f} %) have a line" in caplog.text


@pytest.mark.parametrize("model", MODELS)
def test_usual_tables_are_not_commented_on(
    make_config: MakeConfig, tiny_folder: Path, caplog: pytest.LogCaptureFixture, model: str
) -> None:
    file = change_ids(tiny_folder, "item", str, 25)
    with file.open("a", encoding="utf-8") as stream:
        stream.writelines(f"unsold{i}\t\t\t\t\n" for i in range(500))  # a catalogue
    create_dataset(make_config(model, **KEYS))
    assert "with interactions" not in caplog.text
    assert "occurs again" not in caplog.text


@pytest.mark.parametrize("model", MODELS)
def test_a_filter_that_leaves_nothing_fails(
    make_config: MakeConfig, tiny_folder: Path, model: str
) -> None:
    change_ids(tiny_folder, "user", lambda token: f"{token}.0")
    with pytest.raises(
        ValueError, match=r"tiny.user: none of the 30 users .* nothing is left"
    ) as caught:
        create_dataset(make_config(model, **{**KEYS, "filter_inter_by_user_or_item": True}))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        (
            ["i4\tc9\t\t\t"],
            "line 41: item_id 'i4' occurs again, with another kind, tags, price than in line 5",
        ),
        (
            ["", "i4\tc1\tt0 t4\t3\t"],
            "line 42: item_id 'i4' occurs again, with another price than in line 5",
        ),
        (
            ["i3\tc0\tt3 t3\t1.5\t1 2 3 4 5"] * 2,
            "with another text than in line 4, which counts; 2 lines repeat",
        ),
        (
            ['"new\t1"\tc1\t\t\t', '"new\t1"\tc2\t\t\t'],
            "line 42: item_id 'new\t1' occurs again, with another kind",
        ),
    ],
)
def test_an_id_with_other_values_is_told(
    make_config: MakeConfig,
    tiny_folder: Path,
    caplog: pytest.LogCaptureFixture,
    model: str,
    rows: list[str],
    expected: str,
) -> None:
    file = tiny_folder / "tiny" / "tiny.item"
    with file.open("a", encoding="utf-8") as stream:
        stream.write("\n".join([*rows, ""]))
    create_dataset(make_config(model, **KEYS))
    assert f"{file}, {expected}" in caplog.text or expected in caplog.text


@pytest.mark.parametrize("model", MODELS)
def test_an_id_with_equal_values_is_not_told(
    make_config: MakeConfig, tiny_folder: Path, caplog: pytest.LogCaptureFixture, model: str
) -> None:
    file = tiny_folder / "tiny" / "tiny.item"
    lines = file.read_text(encoding="utf-8").splitlines()
    file.write_text(
        "\n".join([*lines, *lines[1:9], "\tc1\t\t\t", "\tc2\t\t\t", ""]), encoding="utf-8"
    )
    create_dataset(make_config(model, **KEYS))
    assert "occurs again" not in caplog.text


@pytest.mark.parametrize("model", MODELS)
def test_lines_without_an_id_are_left_out(
    make_config: MakeConfig, tiny_folder: Path, caplog: pytest.LogCaptureFixture, model: str
) -> None:
    file = tiny_folder / "tiny" / "tiny.item"
    before = create_dataset(make_config(model, **KEYS))
    header, *lines = file.read_text(encoding="utf-8").splitlines()
    rows = [*lines, *lines[:9], "\tc1\t\t\t", "", "\tc2\t\t\t", ""]
    file.write_text("\n".join([header, *rows]), encoding="utf-8")
    after = create_dataset(make_config(model, **KEYS))
    assert after.field2token_id["item_id"] == before.field2token_id["item_id"]
    assert after.item_feat["kind"].tolist() == before.item_feat["kind"].tolist()
    if model == "SiBraR":
        assert f"{file}, line 50: item_id is missing; 2 such lines are left out" in caplog.text


@pytest.mark.parametrize("model", MODELS)
def test_ids_are_strings_of_python(make_config: MakeConfig, model: str) -> None:
    """Those of NumPy take more memory, and a saved data set more time."""
    dataset = create_dataset(make_config(model, **KEYS))
    for field in ("user_id", "item_id", "kind", "tags"):
        numbers = dataset.field2token_id[field]
        assert {type(token) for token in numbers} == {str}
        assert list(numbers.values()) == list(range(len(numbers)))
        assert dataset.token2id(field, list(numbers)).tolist() == list(numbers.values())
        assert dataset.id2token(field, list(numbers.values())).tolist() == list(numbers)
