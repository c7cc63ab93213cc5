"""Vectors are read in bulk to what Python reads of each number, and RecBole's models get RecBole's frames."""

from __future__ import annotations

import tracemalloc
from logging import getLogger
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import recbole
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from recbole.data.dataset import Dataset
from recbole.utils import FeatureSource

from recbole_sibrar.data.atomic import DataError, columns, read_frame, read_header

from .test_atomic import Keys, RecBoleReader

HEADER = ["item_id:token", "tags:token_seq", "price:float", "text:float_seq", "name:token"]


class PluginReader(Dataset):
    """RecBole's reader of one file, as the plugin extends it."""

    uid_field = iid_field = benchmark_filename_list = None

    def __init__(self, config: dict[str, Any]) -> None:
        self.config, self.logger = Keys(config), getLogger()
        self.field2source, self.field2type, self.field2seqlen, self.field2bucketnum = {}, {}, {}, {}


def write(folder: Path, rows: list[list[str]], header: list[str] = HEADER, **options: str) -> Path:
    file = folder / "some.item"
    separator, end = options.get("separator", "\t"), options.get("end", "\n")
    lines = [separator.join(row) for row in [header, *rows]]
    file.write_bytes(
        (end.join(lines) + options.get("last", end)).encode(options.get("encoding", "utf-8"))
    )
    return file


def assert_same_frame(file: Path, source: str = "item", **keys: Any) -> None:
    """The plugin loads a file into the frame that RecBole loads it into, and notes the same about its fields."""
    config: dict[str, Any] = {
        "load_col": None,
        "unload_col": None,
        "seq_len": None,
        "encoding": None,
    }
    config |= {"field_separator": "\t", "seq_separator": " ", "atomic_cache": True, **keys}
    recboles, ours = RecBoleReader(config), PluginReader(config)
    expected, found = (
        reader._load_feat(str(file), FeatureSource(source)) for reader in (recboles, ours)
    )
    assert list(found.columns) == list(expected.columns)
    for name in expected:
        assert found[name].dtype == expected[name].dtype
        for left, right in zip(found[name], expected[name], strict=True):
            if isinstance(right, np.ndarray):
                assert left.dtype == right.dtype
                assert np.array_equal(left, right, equal_nan=right.dtype.kind == "f")
            else:
                assert left == right or (pd.isna(left) and pd.isna(right))
    for attribute in ("field2source", "field2type", "field2seqlen", "field2bucketnum"):
        assert getattr(ours, attribute) == getattr(recboles, attribute)


@pytest.mark.slow
@pytest.mark.parametrize("source", ["inter", "user", "item"])
def test_recboles_frames_of_ml_100k(source: str) -> None:
    assert_same_frame(
        Path(recbole.__path__[0]) / "dataset_example" / "ml-100k" / f"ml-100k.{source}", source
    )


ROWS = [
    ["a", "x y", "1.5", "0.1 -2e-3 3", "plain"],
    ["b", "", "", "", ""],
    ["c", "z", "-1e3", "1.23456789012345678 4e-320 12345678901234567890", 'the "best" one'],
    ["NA", "nan", "nan", "NaN", "NA"],
    ["d", "u", "7", " 1  2 3 ", '"quoted"'],
    ["e", "\u00e9t\u00e9", "7", "+1 .5 5.", "Pok\u00e9mon"],
]


@pytest.mark.parametrize(
    ("options", "keys"),
    [
        ({}, {}),
        ({"last": ""}, {}),
        ({"end": "\r\n"}, {}),
        ({"end": "\n\n"}, {}),
        ({"separator": ","}, {"field_separator": ","}),
        ({"separator": "::"}, {"field_separator": "::"}),
        ({"encoding": "latin-1"}, {"encoding": "latin-1"}),
        ({"encoding": "utf-16"}, {"encoding": "utf-16"}),
        ({}, {"load_col": {"inter": "*", "item": ["item_id", "text"]}}),
        ({}, {"load_col": {"inter": "*", "item": ["item_id", "name"]}}),
        ({}, {"unload_col": {"item": ["price"]}}),
        ({}, {"seq_len": {"text": 2, "tags": 1}}),
    ],
)
def test_recboles_frames_of_every_type(
    tmp_path: Path, options: dict[str, str], keys: dict[str, Any]
) -> None:
    assert_same_frame(write(tmp_path, ROWS, **options), **keys)


def test_recboles_frames_of_odd_sequences(tmp_path: Path) -> None:
    rows = [[cell.strip().replace("  ", " ").replace(" ", "|") if i in (1, 3) else cell for i, cell in enumerate(row)]
            for row in ROWS]  # fmt: skip
    assert_same_frame(write(tmp_path, rows), seq_separator="|")


@pytest.mark.parametrize("text", ["1 2", "1 2 inf", "nan nan nan", "1 nan 2"])
def test_odd_vectors_are_left_to_recbole(tmp_path: Path, text: str) -> None:
    assert_same_frame(write(tmp_path, [*ROWS, ["f", "", "1", text, ""]]))


def test_unreadable_files_fail_as_in_recbole(tmp_path: Path) -> None:
    file = write(tmp_path, [*ROWS, ["f", "", "1", "1 two 3", ""]])
    with pytest.raises(ValueError, match="could not convert string to float: 'two'"):
        assert_same_frame(file)


def printed(number: float) -> st.SearchStrategy[str]:
    return st.sampled_from(
        [repr(number), f"{number:.3f}", f"{number:g}", f"{number:.17e}", str(np.float32(number))]
    )


NUMBERS = st.floats(allow_nan=False, allow_infinity=False, width=32).flatmap(printed)


@pytest.mark.slow
@settings(
    deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(rows=st.lists(st.lists(NUMBERS, min_size=3, max_size=3), min_size=1, max_size=6))
def test_numbers_equal_pythons(tmp_path: Path, rows: list[list[str]]) -> None:
    file = write(
        tmp_path, [["a", " ".join(row)] for row in rows], ["item_id:token", "text:float_seq"]
    )
    expected = np.array([[float(number) for number in row] for row in rows])
    fields = read_header(file)
    assert np.stack(list(read_frame(file, fields)["text"])).tobytes() == expected.tobytes()
    if np.all(abs(expected) <= np.finfo(np.float32).max):
        found = np.stack(list(read_frame(file, fields, dtype=np.float32)["text"]))
        assert found.dtype == np.float32
        assert found.tobytes() == expected.astype(np.float32).tobytes()


@pytest.mark.parametrize("number", ["1e39", "3.4028236e38", "-9e99"])
def test_too_large_number_is_named(tmp_path: Path, number: str) -> None:
    file = write(
        tmp_path, [["a", "1 2"], ["b", f"3 {number}"]], ["item_id:token", "text:float_seq"]
    )
    with pytest.raises(
        DataError, match=r"line 3, field 'text' \(float_seq\): found -?inf among the numbers"
    ):
        read_frame(file, read_header(file), dtype=np.float32)
    assert read_frame(file, read_header(file))["text"][1].tolist() == [3, float(number)]


@pytest.mark.parametrize(
    "number", ["1e", "1e-", "--1", "1-", "1.2.3", "-", ".", "0x1", "1,5", "e5", "1e5e5", "1\u00e9"]
)
def test_text_among_numbers_is_named(tmp_path: Path, number: str) -> None:
    rows = [["a", "1 2 3"], ["b", ""], ["c", f"4 {number} 6"]]
    file = write(tmp_path, rows, ["item_id:token", "text:float_seq"], end="\r\n\r\n")
    with pytest.raises(DataError) as caught:
        read_frame(file, read_header(file))
    assert (
        str(caught.value) == f"{file}, line 7, field 'text' (float_seq): '{number}' is not a number"
    )


def test_blocks_keep_their_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(columns, "_BLOCK", 50)
    rng = np.random.default_rng(1)
    matrix = rng.normal(size=(200, 4)).round(6)
    rows = [
        [f"i{i}", "" if i % 3 == 0 or i < 20 else " ".join(map(str, row))]
        for i, row in enumerate(matrix)
    ]
    file = write(tmp_path, rows, ["item_id:token", "text:float_seq"])
    frame = read_frame(file, read_header(file))
    assert list(frame["item_id"]) == [f"i{i}" for i in range(200)]
    for i, found in enumerate(frame["text"]):
        assert found.tolist() == ([] if i % 3 == 0 or i < 20 else matrix[i].tolist())
    with file.open("a") as stream:
        stream.write("last\t1 2\n")
    with pytest.raises(
        DataError, match=r"line 202, field 'text' \(float_seq\): found 2 numbers.* before it have 4"
    ):
        read_frame(file, read_header(file))


def test_matrix_grows_for_shorter_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(columns, "_BLOCK", 400)
    matrices = np.random.default_rng(1).integers(0, 9, size=(2, 300, 3))
    matrices[:, :20] *= 10**12
    rows = [[" ".join(map(str, row)) if i >= 5 * n else "" for n, row in enumerate(pair)]
            for i, pair in enumerate(zip(*matrices, strict=True))]  # fmt: skip
    file = write(tmp_path, rows, ["text:float_seq", "image:float_seq"])
    frame = read_frame(file, read_header(file), dtype=np.float32)
    assert np.array_equal(np.stack(list(frame["text"])), matrices[0].astype(np.float32))
    assert frame["image"][:5].map(len).eq(0).all()
    assert np.array_equal(np.stack(list(frame["image"][5:])), matrices[1, 5:].astype(np.float32))


@pytest.mark.slow
def test_memory_of_reading(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    vector = " ".join(f"{n / 7:.8f}" for n in range(2048))
    file = write(
        tmp_path, [[f"i{i}", vector] for i in range(2000)], ["item_id:token", "text:float_seq"]
    )
    fields = read_header(file)
    read_frame(file, fields, dtype=np.float32)  # what is loaded once a process is not counted
    tracemalloc.start()
    frame = read_frame(file, fields, dtype=np.float32)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert frame["text"].map(len).eq(2048).all()
    assert peak < 2 * 4 * 2000 * 2048


def test_open_mark_in_an_unread_vector(tmp_path: Path) -> None:
    file = write(tmp_path, [*ROWS, ["f", "", "1", '"1 2 3', 'x"']])
    fields = [field for field in read_header(file) if field.type != "float_seq"]
    with pytest.raises(DataError, match=f"line {len(ROWS) + 2}: found 4 cells, allowed are 5"):
        read_frame(file, fields)
