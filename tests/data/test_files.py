"""Writing and locking files."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from recbole_sibrar.errors import DataError
from recbole_sibrar.files import check_writable, locked, replacing, try_lock


def test_replacing_ends_with_the_block(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text("old")
    with replacing(path) as temporary:
        temporary.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


def test_exception_leaves_the_old_file(tmp_path: Path) -> None:
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


def test_check_makes_the_folder_alone(tmp_path: Path) -> None:
    check_writable(tmp_path / "a" / "b" / "users.parquet", "save_per_user")
    assert [path.name for path in tmp_path.rglob("*")] == ["a", "b"]


def test_check_names_key_and_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=f"save_per_user: cannot write {tmp_path}: it is a folder"):
        check_writable(tmp_path, "save_per_user")
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match=r"save_per_user: cannot write .*file/x\.parquet: "):
        check_writable(tmp_path / "file" / "x.parquet", "save_per_user")


no_windows = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such locks")


@no_windows
def test_second_lock_is_refused(tmp_path: Path) -> None:
    output = tmp_path / "text.npz"
    with locked(output, "--output"):
        with (
            pytest.raises(DataError, match=r"--output: another command .*text\.npz"),
            locked(output, "--output"),
        ):
            pass
        with locked(tmp_path / "image.npz", "--output"):
            pass
    with locked(output, "--output"):
        pass
    assert list(tmp_path.iterdir()) == []


@no_windows
def test_child_inherits_the_lock(tmp_path: Path) -> None:
    path = tmp_path / "log.txt"
    with path.open("ab") as file:
        assert try_lock(file.fileno())
        child = subprocess.Popen(["sleep", "60"], stdout=file)
    with path.open("ab") as other:
        assert not try_lock(other.fileno())
        child.kill()
        child.wait()
        assert try_lock(other.fileno())
