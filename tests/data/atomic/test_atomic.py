"""Reading atomic files: against the text of the file, and against RecBole's own reader."""

from __future__ import annotations

import inspect
from logging import getLogger
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import recbole
from recbole.data.dataset import Dataset
from recbole.utils import FeatureSource

from recbole_sibrar.data.atomic import DataError, read_frame, read_header


def write(folder: Path, *lines: str) -> Path:
    file = folder / "some.item"
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return file


def test_the_header_names_fields_and_types(tmp_path: Path) -> None:
    file = write(tmp_path, "item_id:token\ttags:token_seq\tprice:float\ttext:float_seq")
    assert [(field.name, field.type) for field in read_header(file)] == [
        ("item_id", "token"),
        ("tags", "token_seq"),
        ("price", "float"),
        ("text", "float_seq"),
    ]


@pytest.mark.parametrize("cell", ["price", "price:int", ":"])
def test_unknown_type_is_named(tmp_path: Path, cell: str) -> None:
    file = write(tmp_path, f"item_id:token\t{cell}")
    with pytest.raises(
        DataError, match=r"line 1: column .* is not 'field:type' with a type of token, token_seq"
    ):
        read_header(file)


def test_a_field_that_occurs_twice_is_named(tmp_path: Path) -> None:
    file = write(tmp_path, "item_id:token\tprice:float\tprice:token")
    with pytest.raises(DataError, match="field 'price' occurs twice"):
        read_header(file)


def test_values_are_what_the_cells_say(tmp_path: Path) -> None:
    file = write(
        tmp_path,
        "item_id:token\ttags:token_seq\tprice:float\ttext:float_seq",
        "a\tx y\t1.5\t0.5 -1e2",
        "b\t\t\t",
        "c\tz\t-2\t3 4",
    )
    frame = read_frame(file, read_header(file))
    assert list(frame["item_id"]) == ["a", "b", "c"]
    assert [list(row) for row in frame["tags"]] == [["x", "y"], [], ["z"]]
    assert frame["price"].tolist()[::2] == [1.5, -2.0]
    assert np.isnan(frame["price"][1])
    assert [list(row) for row in frame["text"]] == [[0.5, -100.0], [], [3.0, 4.0]]


def test_other_columns_are_not_read(tmp_path: Path) -> None:
    file = write(
        tmp_path, "item_id:token\ttext:float_seq\tprice:float", "a\tno numbers\t1.5", "b\t1 2 3\t2"
    )
    item_id, _, price = read_header(file)
    frame = read_frame(file, [item_id, price])
    assert frame.to_dict("list") == {"item_id": ["a", "b"], "price": [1.5, 2.0]}


@pytest.mark.parametrize(
    ("separator", "seq_separator"), [(",", "|"), (";", " "), ("::", "|"), ("\t", ", ")]
)
def test_configured_separators(tmp_path: Path, separator: str, seq_separator: str) -> None:
    rows = [
        ["item_id:token", "tags:token_seq", "text:float_seq"],
        ["a", seq_separator.join("xyz"), seq_separator.join(["1", "-2"])],
        ["b", "", seq_separator.join(["3", "4"])],
    ]
    file = write(tmp_path, *(separator.join(row) for row in rows))
    frame = read_frame(file, read_header(file, separator), separator, seq_separator)
    assert list(frame["item_id"]) == ["a", "b"]
    assert [list(row) for row in frame["tags"]] == [["x", "y", "z"], []]
    assert [list(row) for row in frame["text"]] == [[1, -2], [3, 4]]


def test_configured_encoding(tmp_path: Path) -> None:
    file = tmp_path / "some.item"
    file.write_bytes("item_id:token\tkind:token\na\tPok\u00e9mon\n".encode("latin-1"))
    fields = read_header(file, encoding="latin-1")
    assert list(read_frame(file, fields, encoding="latin-1")["kind"]) == ["Pok\u00e9mon"]


def test_lines_may_end_as_on_windows(tmp_path: Path) -> None:
    file = tmp_path / "some.item"
    file.write_bytes(b"item_id:token\tprice:float\r\na\t1.5\r\nb\t\r\n")
    frame = read_frame(file, read_header(file))
    assert frame["price"][0] == 1.5
    assert np.isnan(frame["price"][1])


def test_lines_count_as_in_an_editor(tmp_path: Path) -> None:
    file = write(tmp_path, "item_id:token\tprice:float", "a\t1", "", "b\tcheap")
    with pytest.raises(DataError, match=r"some\.item, line 4, field 'price'"):
        read_frame(file, read_header(file))


@pytest.mark.parametrize("last", ['c\tz" w', "c\tz w"])
def test_a_quotation_mark_swallows_no_line(tmp_path: Path, last: str) -> None:
    file = write(tmp_path, "item_id:token\ttags:token_seq", 'a\t"Best', "b\tx y", last)
    try:
        found = " ".join(read_frame(file, read_header(file))["item_id"])
    except ValueError as error:
        found = str(error)
    assert found == "a b c" or str(file) in found  # RecBole's reader refuses both files


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(
            "item_id:token\tkind:token\na\tPok\u00e9mon\n".encode("latin-1"), id="latin-1"
        ),
        pytest.param("item_id:token\tkind:token\na\tx\n".encode("utf-16"), id="utf-16"),
    ],
)
def test_a_file_in_another_encoding_is_named(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "some.item"
    file.write_bytes(content)
    with pytest.raises(ValueError, match="encoding") as caught:
        read_frame(file, read_header(file, encoding="utf-8"), encoding="utf-8")
    assert str(file) in str(caught.value)


def test_a_vector_of_nan_is_a_missing_value(tmp_path: Path) -> None:
    file = write(tmp_path, "item_id:token\ttext:float_seq", "a\tnan nan", "b\t1 2")
    assert [len(row) for row in read_frame(file, read_header(file))["text"]] == [0, 2]


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        (
            ("a\t1 2 3", "b\t1 2"),
            "line 3, field 'text' (float_seq): found 2 numbers, but the vectors before it have 3",
        ),
        (("a\t1 2", "b\t1 two"), "line 3, field 'text' (float_seq): 'two' is not a number"),
        (("a\t1 inf", "b\t1 2"), "line 2, field 'text' (float_seq): found inf among the numbers"),
        (
            ("a\t", "b\t"),
            "field 'text' (float_seq): every line is empty; list the field in unload_col",
        ),
    ],
)
def test_wrong_vector_names_its_line(tmp_path: Path, rows: tuple[str, ...], expected: str) -> None:
    file = write(tmp_path, "item_id:token\ttext:float_seq", *rows)
    with pytest.raises(DataError) as caught:
        read_frame(file, read_header(file))
    assert str(file) in str(caught.value)
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("cell", ["cheap", "inf"])
def test_wrong_number_names_its_line(tmp_path: Path, cell: str) -> None:
    file = write(tmp_path, "item_id:token\tprice:float", "a\t1", f"b\t{cell}")
    with pytest.raises(
        DataError, match=rf"line 3, field 'price' \(float\): '{cell}' is not a finite number"
    ):
        read_frame(file, read_header(file))


class Keys(dict[str, object]):
    """A configuration of a few keys; the others are not set."""

    def __missing__(self, key: str) -> None:
        return None


class RecBoleReader(Dataset):
    """RecBole's own reader of one file, of users and items that have no ids."""

    uid_field = iid_field = benchmark_filename_list = None

    def __init__(self, config: dict[str, object]) -> None:
        self.config, self.logger = Keys(config), getLogger()
        self.field2source, self.field2type, self.field2seqlen, self.field2bucketnum = {}, {}, {}, {}

    _load_feat = inspect.unwrap(Dataset._load_feat)
    _get_load_and_unload_col = inspect.unwrap(Dataset._get_load_and_unload_col)


def assert_recbole_reads_the_same(file: Path, side: str) -> None:
    settings: dict[str, object] = {
        "load_col": None,
        "unload_col": None,
        "field_separator": "\t",
        "seq_separator": " ",
        "encoding": None,
        "seq_len": None,
    }
    expected = RecBoleReader(settings)._load_feat(str(file), FeatureSource(side))
    found = read_frame(file, read_header(file))
    assert list(found.columns) == list(expected.columns)
    for column in expected:
        if isinstance(expected[column].iloc[0], np.ndarray):
            assert [row.tolist() for row in found[column]] == [
                row.tolist() for row in expected[column]
            ]
        else:
            pd.testing.assert_series_equal(found[column], expected[column])


@pytest.mark.parametrize("side", ["user", "item"])
@pytest.mark.parametrize("name", ["tiny", "ml-100k"])
def test_frame_equals_recboles(tiny_folder: Path, name: str, side: str) -> None:
    folder = tiny_folder if name == "tiny" else Path(recbole.__path__[0]) / "dataset_example"
    assert_recbole_reads_the_same(folder / name / f"{name}.{side}", side)


@pytest.mark.parametrize(
    "line",
    [
        "b\t\t\t\t",
        "",
        "   ",
        "b\tNA\tnull\tnan\tNaN",
        "NA\tx\t\t\t",
        " b \t x \t y  z \t 2 \t 3  4 ",
        'b\t"x"\tthe "y"\t1\t',
        'b\t"x\ty"\t"the ""y"""\t1\t"5 6"',
        "#b\tx\t\t\t",
    ],
)
def test_unusual_lines_as_in_recbole(tmp_path: Path, line: str) -> None:
    header = "item_id:token\tkind:token\ttags:token_seq\tprice:float\ttext:float_seq"
    assert_recbole_reads_the_same(
        write(tmp_path, header, "a\tc\tt u\t1\t1 2", line, "c\td\tt\t-1e-3\t5 6"), "item"
    )
