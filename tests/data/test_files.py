"""Files that are written as a whole or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from recbole_sibrar.data.atomic import DataError
from recbole_sibrar.files import check_writable, replacing


def test_a_file_appears_under_its_name_when_the_block_has_ended(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text("old")
    with replacing(path) as temporary:
        temporary.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


def test_an_exception_leaves_what_was_there_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text("old")

    def write_half() -> None:
        with replacing(path) as temporary:
            temporary.write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_half()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_where_a_file_can_be_written_its_folder_is_made_and_nothing_is_left_there(tmp_path: Path) -> None:
    check_writable(tmp_path / "a" / "b" / "users.parquet", "save_per_user")
    assert [path.name for path in tmp_path.rglob("*")] == ["a", "b"]


def test_where_none_can_be_written_the_key_and_the_file_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=f"save_per_user: cannot write {tmp_path}: it is a folder"):
        check_writable(tmp_path, "save_per_user")
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match=r"save_per_user: cannot write .*file/x\.parquet: "):
        check_writable(tmp_path / "file" / "x.parquet", "save_per_user")
