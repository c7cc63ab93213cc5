"""Rows that are longer or shorter than the header are named by their line, whatever else a file may hold."""

from __future__ import annotations

import csv
from io import StringIO
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recbole_sibrar.data.atomic import rows
from recbole_sibrar.data.atomic.formats import TextFormat
from recbole_sibrar.data.atomic.rows import (
    BadRowError,
    NullByteError,
    check_rows,
    line_of,
    read_records,
)

HEADER = "user_id:token\titem_id:token\trating:float"
GOOD = ["u1\ti1\t5", "u2\ti2\t", "\t\t", "u4\ti4\t2"]


@pytest.fixture(autouse=True, params=[8, 1 << 20])
def _block(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Check a few bytes at a time, and all at once."""
    monkeypatch.setattr(rows, "_BLOCK", request.param)


def write(folder: Path, lines: list[str], end: str = "\n", encoding: str = "utf-8") -> Path:
    file = folder / "some.inter"
    file.write_bytes(end.join([*lines, ""]).encode(encoding))
    return file


def fault(
    file: Path, text_format: TextFormat | None = None, line_breaks: bool = False
) -> tuple[int, str]:
    with pytest.raises(BadRowError) as caught:
        check_rows(file, text_format or TextFormat(), line_breaks)
    return caught.value.line, caught.value.found


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r", "\n\n", "\r\n \r\n"])
@pytest.mark.parametrize("position", [1, 2, 4, 5])
@pytest.mark.parametrize(
    ("row", "n"),
    [
        ("u\ti\t1\t", 4),
        ("u\t\ti\t1", 4),
        ("u\ti", 2),
        ("u", 1),
        ('"u"\ti', 2),
        ("u\ti\t1\t2\t3", 5),
    ],
)
def test_the_line_of_a_row_is_named(
    tmp_path: Path, end: str, position: int, row: str, n: int
) -> None:
    lines = [HEADER, *GOOD]
    lines.insert(position, row)
    cells = "cell" if n == 1 else "cells"
    lines_of_one = len((end + "x").splitlines()) - 1
    line, found = fault(write(tmp_path, lines, end))
    assert line == 1 + position * lines_of_one
    assert found.startswith(f"found {n} {cells}, allowed are 3 as in the header")


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r", "\n\n", "\n   \n"])
@pytest.mark.parametrize("last", ["\n", ""])
@pytest.mark.parametrize(
    "more",
    [
        ["u\ti\t1"],
        ["", "u\ti\t1"],
        ["  ", "u\ti\t1"],
        ['"u\tx"\ti\t1'],
        ['u\t"i ""best"" one"\t1'],
        ['"the" u\ti\t1'],
    ],
)
def test_what_is_no_fault_is_none(tmp_path: Path, end: str, last: str, more: list[str]) -> None:
    file = write(tmp_path, [HEADER, *GOOD, *more], end)
    file.write_bytes(file.read_bytes().rstrip() + last.encode())
    check_rows(file, TextFormat())
    assert len(list(read_records(file, TextFormat()))) == 2 + len(GOOD)


@pytest.mark.parametrize(
    ("separator", "encoding"),
    [("::", "utf-8"), (", ", "utf-8"), ("\u00a6", "utf-8"), ("\t", "utf-16"), ("|", "latin-1")],
)
def test_any_separator_is_checked(tmp_path: Path, separator: str, encoding: str) -> None:
    text_format = TextFormat(separator, " ", encoding)
    lines = [line.replace("\t", separator) for line in [HEADER, *GOOD, "\u00fc\ti\t3"]]
    check_rows(write(tmp_path, lines, encoding=encoding), text_format)
    lines.insert(3, f"u{separator}i")
    assert fault(write(tmp_path, lines, encoding=encoding), text_format)[0] == 4


@pytest.mark.parametrize(
    ("row", "hint"),
    [
        ("u i 1", "its cells seem to be separated by spaces"),
        ("u,i,1", "its cells seem to be separated by commas"),
        ("u\ti\t1\t", "the line ends in a separator too many"),
        ("u\ti", "a missing value is an empty cell between its separators"),
        ("\0\0\0", "the file was damaged, or not written to its end"),
    ],
)
def test_a_hint_says_what_it_looks_like(tmp_path: Path, row: str, hint: str) -> None:
    assert fault(write(tmp_path, [HEADER, *GOOD, row]))[1].endswith(hint)


@pytest.mark.parametrize("line_breaks", [True, False])
@pytest.mark.parametrize(
    ("more", "is_closed"),
    [
        (['"u', 'x"\ti\t1'], True),
        (['"u\ti\t1', 'v\ti\t"2"'], False),
        (['"u\ti\t1'], False),
        (['u\ti\t"1', 'v\t"j" k\t2'], False),
    ],
)
def test_a_quotation_mark_swallows_no_line(
    tmp_path: Path, more: list[str], is_closed: bool, line_breaks: bool
) -> None:
    file = write(tmp_path, [HEADER, *GOOD, *more])
    if is_closed and line_breaks:
        check_rows(file, TextFormat(), line_breaks)
        assert [record.cells[0] for record in read_records(file, TextFormat())][-1] == "u\nx"
        return
    line, found = fault(file, line_breaks=line_breaks)
    assert line == len(GOOD) + 2
    assert "quotation mark" in found


@pytest.mark.parametrize("quoted", [True, False])
def test_a_nul_byte_is_named(tmp_path: Path, quoted: bool) -> None:
    lines = [HEADER, *GOOD, "u\0\ti\t1", '"v"\ti\t1' if quoted else "v\ti\t1"]
    with pytest.raises(NullByteError) as caught:
        check_rows(write(tmp_path, lines), TextFormat())
    assert caught.value.line == len(GOOD) + 2


CELL = st.text(st.sampled_from('ab "\t\n\u00e9'), max_size=4).filter(
    lambda cell: not cell.isspace()
)


@settings(
    deadline=None, max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    table=st.lists(st.lists(CELL, min_size=3, max_size=3), min_size=1, max_size=6), data=st.data()
)
def test_tables_are_divided_as_csv_does(
    tmp_path: Path, table: list[list[str]], data: st.DataObject
) -> None:
    text = StringIO()
    csv.writer(text, delimiter="\t", lineterminator="\n").writerows(table)
    file = tmp_path / "some.inter"
    file.write_text(f"{HEADER}\n{text.getvalue()}", encoding="utf-8")
    check_rows(file, TextFormat(), line_breaks=True)
    assert [record.cells for record in read_records(file, TextFormat())][1:] == table

    broken = data.draw(st.integers(0, len(table) - 1))
    table[broken] = [*table[broken], "x"] if data.draw(st.booleans()) else ["x", "y"]
    before = StringIO()
    csv.writer(before, delimiter="\t", lineterminator="\n").writerows(table[:broken])
    after = StringIO()
    csv.writer(after, delimiter="\t", lineterminator="\n").writerows(table[broken:])
    file.write_text(f"{HEADER}\n{before.getvalue()}{after.getvalue()}", encoding="utf-8")
    assert fault(file, line_breaks=True)[0] == 2 + before.getvalue().count("\n")
    assert line_of(file, TextFormat(), broken) == 2 + before.getvalue().count("\n")
