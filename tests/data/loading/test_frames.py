"""A fault in a file of interactions is told in one line, for RecBole's models as well; what RecBole reads is read."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from alone import ALONE
from recbole.data import create_dataset

Lines = Callable[[list[str]], list[str] | bytes]
MakeConfig = Callable[..., Any]
ALL = ["user_id", "item_id", "rating", "timestamp"]


def at(row: int, change: Callable[[str], str]) -> Lines:
    """A change of one line; 0 is the header."""
    return lambda lines: [change(line) if i == row else line for i, line in enumerate(lines)]


def every(change: Callable[[str], str]) -> Lines:
    return lambda lines: [change(line) for line in lines]


def text(lines: list[str]) -> str:
    return "\n".join([*lines, ""])


def cell(column: int, value: str) -> Callable[[str], str]:
    """A change of one cell of a line."""

    def change(line: str) -> str:
        cells = line.split("\t")
        cells[column] = value
        return "\t".join(cells)

    return change


def rewrite(file: Path, change: Lines) -> None:
    changed = change(file.read_text(encoding="utf-8").splitlines())
    file.write_bytes(changed if isinstance(changed, bytes) else text(changed).encode())


def message(make_config: MakeConfig, model: str, **keys: Any) -> str:
    with pytest.raises(ValueError, match=r"\S") as caught:
        create_dataset(make_config(model, **keys))
    assert "\n" not in str(caught.value)
    return str(caught.value)


FAULTS: dict[str, tuple[Lines, str]] = {
    "separator at the end": (
        at(1, lambda line: line + "\t"),
        ", line 2: found 5 cells, allowed are 4",
    ),
    "too few cells": (
        at(9, lambda line: line.rpartition("\t")[0]),
        ", line 10: found 3 cells, allowed are 4",
    ),
    "spaces": (every(lambda line: line.replace("\t", " ")), ", line 1: .* separated by spaces"),
    "spaces in a row": (
        at(5, lambda line: line.replace("\t", " ")),
        ", line 6: found 1 cell.* separated by spaces",
    ),
    "commas": (
        every(lambda line: line.replace("\t", ",")),
        ", line 1: .* separated by commas .key 'field_separator'",
    ),
    "text in a number": (
        at(7, cell(2, "good")),
        r", line 8, field 'rating' \(float\): 'good' is not a number",
    ),
    "decimal comma": (
        at(7, cell(2, "3,5")),
        r", line 8, field 'rating' \(float\): '3,5' is not a number",
    ),
    "NUL in a number": (at(7, cell(2, "3\0")), r", line 8.*(NUL|'3\\x00' is not a number)"),
    "NUL bytes at the end": (
        lambda lines: text(lines).encode() + b"\0" * 9,
        r", line \d+: found 1 cell.* NUL bytes",
    ),
    "byte-order mark": (
        lambda lines: text(lines).encode("utf-8-sig"),
        ", line 1: found a byte-order mark.*utf-8-sig",
    ),
    "latin-1": (
        lambda lines: text(at(4, cell(0, "\u00e9"))(lines)).encode("latin-1"),
        ", line 5: .* not utf-8.* 0xe9",
    ),
    "utf-16": (
        lambda lines: text(lines).encode("utf-16"),
        "the text is not utf-8.* seems to be utf-16",
    ),
    "column twice": (
        lambda lines: [f"{lines[0]}\tuser_id:token", *(f"{line}\tx" for line in lines[1:])],
        ", line 1: field 'user_id' occurs twice",
    ),
    "no user": (
        every(lambda line: line.partition("\t")[2]),
        "has no field 'user_id', which USER_ID_FIELD needs",
    ),
    "other names": (at(0, lambda line: line.replace("user_id", "userId")), "did you mean 'userId'"),
    "user as a number": (
        at(0, lambda line: line.replace("user_id:token", "user_id:float")),
        "allowed is token",
    ),
    "no types": (
        at(0, lambda line: line.replace(":token", "").replace(":float", "")),
        "has to be the header",
    ),
    "unknown type": (
        at(0, lambda line: line.replace("rating:float", "rating:double")),
        "'rating:double' is not",
    ),
    "no header": (lambda lines: lines[1:], ", line 1: column 'u1' is not 'field:type'"),
    "quoted header": (
        at(0, lambda line: line.replace("user_id:token", '"user_id:token"')),
        "without quotation marks",
    ),
    "header ends in a separator": (at(0, lambda line: line + "\t"), "ends in a separator too many"),
    "blank header": (lambda lines: ["", *lines], ", line 1: found a blank line"),
    "empty": (lambda lines: b"", "the file is empty"),
    "header only": (lambda lines: lines[:1], "found a header without rows"),
    "header without an end": (lambda lines: lines[0].encode(), "found a header without rows"),
    "quotation mark": (
        at(3, lambda line: '"' + line),
        ", line 4: found a quotation mark that begins a cell",
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("model", ["BPR", "SiBraR"])
@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_told_in_one_line(
    make_config: MakeConfig, tiny_folder: Path, fault: str, model: str
) -> None:
    change, expected = FAULTS[fault]
    file = tiny_folder / "tiny" / "tiny.inter"
    rewrite(file, change)
    found = message(make_config, model, load_col={"inter": ALL})
    assert str(file) in found
    assert re.search(expected, found), found


@pytest.mark.parametrize("model", ["BPR", "SiBraR"])
@pytest.mark.parametrize("is_folder", [True, False])
def test_a_missing_file_is_named(
    make_config: MakeConfig, tiny_folder: Path, model: str, is_folder: bool
) -> None:
    file = tiny_folder / "tiny" / "tiny.inter"
    file.unlink()
    if is_folder:
        file.mkdir()
    expected = "found a folder" if is_folder else "there is no such file.* tiny.item, tiny.user"
    assert re.search(f"{file}: {expected}", message(make_config, model))


@pytest.mark.parametrize("model", ["BPR", "SiBraR"])
@pytest.mark.parametrize("part", ["train", "valid", "test"])
def test_parts_given_as_files_are_checked(
    make_config: MakeConfig, tiny_folder: Path, model: str, part: str
) -> None:
    file = tiny_folder / "tiny" / "tiny.inter"
    header, *lines = file.read_text(encoding="utf-8").splitlines()
    for i, name in enumerate(["train", "valid", "test"]):
        (tiny_folder / "tiny" / f"tiny.{name}.inter").write_text(
            text([header, *lines[i::3]]), encoding="utf-8"
        )
    keys = {"benchmark_filename": ["train", "valid", "test"], "load_col": {"inter": ALL}}
    assert create_dataset(make_config(model, **keys)).inter_num == len(lines)
    rewrite(tiny_folder / "tiny" / f"tiny.{part}.inter", at(3, lambda line: line + "\t"))
    assert f"tiny.{part}.inter, line 4: found 5 cells" in message(make_config, model, **keys)


@pytest.mark.parametrize("model", ["BPR", "SiBraR"])
@pytest.mark.parametrize("side", ["user", "item"])
def test_rows_of_users_and_items_are_checked(
    make_config: MakeConfig, tiny_folder: Path, model: str, side: str
) -> None:
    rewrite(tiny_folder / "tiny" / f"tiny.{side}", at(2, lambda line: line + "\t"))
    keys = {"load_col": {"inter": ALL, "user": "*", "item": "*"}}
    assert f"tiny.{side}, line 3: found 6 cells, allowed are 5" in message(
        make_config, model, **keys
    )


@pytest.mark.parametrize("model", ["BPR", "SiBraR"])
def test_a_category_in_two_files_is_refused(
    make_config: MakeConfig, tiny_folder: Path, model: str
) -> None:
    rewrite(tiny_folder / "tiny" / "tiny.item", at(0, lambda line: line.replace("kind", "gender")))
    keys = {"load_col": {"inter": ALL, "user": "*", "item": "*"}}
    assert "tiny.item: field 'gender' is also in the .user file" in message(
        make_config, model, **keys
    )


@pytest.mark.parametrize("suffix", ["kg", "link"])
def test_rows_of_graphs_are_checked(
    make_config: MakeConfig, tiny_folder: Path, suffix: str
) -> None:
    folder = tiny_folder / "tiny"
    triples = [f"e{i}\tr{i % 2}\te{i + 1}" for i in range(1, 39)]
    (folder / "tiny.kg").write_text(
        text(["head_id:token\trelation_id:token\ttail_id:token", *triples])
    )
    links = [f"i{i}\te{i}" for i in range(1, 39)]
    (folder / "tiny.link").write_text(text(["item_id:token\tentity_id:token", *links]))
    keys = {"load_col": {"inter": ALL, "kg": "*", "link": "*"}}
    assert create_dataset(make_config("CKE", **keys)).entity_num > 30
    rewrite(folder / f"tiny.{suffix}", at(2, lambda line: line.rpartition("\t")[0]))
    assert f"tiny.{suffix}, line 3: found" in message(make_config, "CKE", **keys)


@pytest.mark.parametrize("model", ["BPR", "SiBraR"])
@pytest.mark.parametrize(
    ("key", "value"),
    [("encoding", "utf-9"), ("encoding", "base64"), ("field_separator", ""), ("seq_separator", "")],
)
def test_an_impossible_format_is_refused(
    make_config: MakeConfig, model: str, key: str, value: str
) -> None:
    assert f"{key}: found '{value}', allowed is" in message(make_config, model, **{key: value})


UNUSUAL: dict[str, tuple[Lines, dict[str, Any]]] = {
    "quoted ids": (
        lambda lines: [lines[0], *('"' + line.replace("\t", '"\t', 1) for line in lines[1:])],
        {},
    ),
    "quoted separator": (at(4, cell(0, '"u\t1"')), {}),
    "quoted end of line": (at(4, cell(0, '"u\n1"')), {}),
    "blank lines": (lambda lines: [*lines[:5], "", "  ", *lines[5:], ""], {}),
    "Windows": (lambda lines: text(lines).replace("\n", "\r\n").encode(), {}),
    "no end of line": (lambda lines: text(lines).rstrip().encode(), {}),
    "signature": (lambda lines: text(lines).encode("utf-8-sig"), {"encoding": "utf-8-sig"}),
    "utf-16": (lambda lines: text(lines).encode("utf-16"), {"encoding": "utf-16"}),
    "two characters": (every(lambda line: line.replace("\t", "::")), {"field_separator": "::"}),
    "mark on an unused column": (
        lambda lines: text(["\t".join(line.split("\t")[::-1]) for line in lines]).encode(
            "utf-8-sig"
        ),
        {"load_col": {"inter": ["user_id", "item_id", "rating"]}},
    ),
    "unused column twice": (
        lambda lines: [
            f"{lines[0]}\textra:token\textra:token",
            *(f"{line}\t1\t2" for line in lines[1:]),
        ],
        {},
    ),
    "text in an unused number": (
        at(7, cell(3, "late")),
        {"load_col": {"inter": ["user_id", "item_id", "rating"]}},
    ),
    "infinite number": (at(7, cell(2, "inf")), {}),
    "missing values": (lambda lines: at(6, cell(0, ""))(at(7, cell(2, "NA"))(lines)), {}),
    "ids of missing fields": (at(0, lambda line: line), {"load_col": {"inter": [*ALL, "nothing"]}}),
}

SCRIPT = """
import json, logging, sys

if sys.argv.pop(1) == "with":
    import recbole_sibrar
from recbole.config import Config
from recbole.data import create_dataset

found = {}
for name, keys in json.loads(sys.argv.pop(1)).items():
    frame = create_dataset(Config("BPR", "tiny", config_dict={"state": "ERROR", **keys})).inter_feat
    found[name] = [[repr(value) for value in frame[field]] for field in frame]
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def frames(shared_folder: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """The interactions of unusual files, read by RecBole alone and with the plugin."""
    keys: dict[str, Any] = {}
    original = (shared_folder / "tiny" / "tiny.inter").read_text(encoding="utf-8")
    for i, (name, (change, settings)) in enumerate(UNUSUAL.items()):
        folder = shared_folder / f"unusual{i}" / "tiny"
        folder.mkdir(parents=True)
        (folder / "tiny.inter").write_text(original, encoding="utf-8")
        rewrite(folder / "tiny.inter", change)
        keys[name] = {"data_path": str(folder.parent), "load_col": {"inter": ALL}, **settings}

    def read(plugin: str) -> dict[str, Any]:
        script = SCRIPT if plugin == "with" else ALONE + SCRIPT
        command = [sys.executable, "-c", script, plugin, json.dumps(keys)]
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        done = subprocess.run(
            command, cwd=shared_folder, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout.splitlines()[-1])

    return read("without"), read("with")


@pytest.mark.slow
@pytest.mark.processes
@pytest.mark.parametrize("name", UNUSUAL)
def test_what_recbole_reads_stays_as_it_is(
    frames: tuple[dict[str, Any], dict[str, Any]], name: str
) -> None:
    alone, with_plugin = frames
    assert len(alone[name][0]) > 300
    assert with_plugin[name] == alone[name]
