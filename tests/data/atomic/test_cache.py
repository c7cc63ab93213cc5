"""Frames from the cache equal those from the file, whatever happens to the cache or the file."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from recbole_sibrar.data.atomic import AtomicFile, DataError, TextFormat, cache
from recbole_sibrar.data.atomic import file as files

N_ROWS, SIZE = 30, 4


@pytest.fixture(autouse=True)
def _cache_small_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "SMALLEST", 0)


def write(file: Path, seed: int = 0) -> np.ndarray:
    """Write a file whose every fifth vector is missing; its matrix, NaN where one is."""
    matrix = np.random.default_rng(seed).integers(-999, 999, size=(N_ROWS, SIZE)) / 100
    matrix[::5] = np.nan
    lines = ["item_id:token\ttext:float_seq\tname:token"]
    for i, row in enumerate(matrix):
        lines.append(
            f"i{i}\t{'' if i % 5 == 0 else ' '.join(f'{number:8.3f}'.strip() for number in row)}\tname {i}"
        )
    file.write_text("\n".join(lines) + "\n")
    return matrix


def read(file: Path, dtype: Any = np.float32, use_cache: bool = True) -> pd.DataFrame:
    return AtomicFile(file).read(dtype=dtype, strict=dtype is np.float64, use_cache=use_cache)


def matrix_of(frame: pd.DataFrame) -> np.ndarray:
    return np.stack([row if len(row) else np.full(SIZE, np.nan) for row in frame["text"]])


def assert_holds(frame: pd.DataFrame, matrix: np.ndarray, dtype: type = np.float32) -> None:
    assert list(frame.columns) == ["item_id", "text", "name"]
    assert list(frame["item_id"]) == [f"i{i}" for i in range(N_ROWS)]
    assert list(frame["name"]) == [f"name {i}" for i in range(N_ROWS)]
    assert all(row.dtype == dtype for row in frame["text"])
    assert np.array_equal(matrix_of(frame), matrix.astype(dtype), equal_nan=True)


def forbid_reading_the_source(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise AssertionError("the source was read although its cache is valid")

    monkeypatch.setattr(files, "split_columns", fail)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_second_reading_takes_the_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dtype: type
) -> None:
    file = tmp_path / "a.item"
    matrix = write(file)
    assert_holds(read(file, dtype), matrix, dtype)
    forbid_reading_the_source(monkeypatch)
    assert_holds(read(file, dtype), matrix, dtype)
    atomic = AtomicFile(file)
    fields = [field for field in atomic.header if field.name != "text"]
    assert list(atomic.read(fields, use_cache=True).columns) == ["item_id", "name"]


def test_each_type_has_a_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "a.item"
    matrix = write(file)
    read(file)
    assert_holds(read(file, np.float64), matrix, np.float64)
    forbid_reading_the_source(monkeypatch)
    assert_holds(read(file), matrix, np.float32)
    assert_holds(read(file, np.float64), matrix, np.float64)


def test_frames_do_not_change_the_cache(tmp_path: Path) -> None:
    file = tmp_path / "a.item"
    matrix = write(file)
    read(file)
    read(file)["text"][1][:] = 7
    assert_holds(read(file), matrix)


@pytest.mark.parametrize("same_time", [True, False])
def test_changed_file_gets_a_new_cache(tmp_path: Path, same_time: bool) -> None:
    file = tmp_path / "a.item"
    write(file)
    read(file)
    state, before = file.stat(), set((tmp_path / "a.item.cache").iterdir())
    matrix = write(file, seed=1)
    if same_time:
        os.utime(file, ns=(state.st_atime_ns, state.st_mtime_ns))
    assert_holds(read(file), matrix)
    after = set((tmp_path / "a.item.cache").iterdir())
    assert len(after) == 1
    assert not before & after


def test_each_format_has_a_cache(tmp_path: Path) -> None:
    file = tmp_path / "a.item"
    file.write_text("item_id:token\ttext:float_seq\na\t1|2\nb\t3|4\n")
    frame = AtomicFile(file, TextFormat(seq_separator="|")).read(use_cache=True)
    assert frame["text"][1].tolist() == [3, 4]
    with pytest.raises(DataError, match=r"'1\|2' is not a number"):
        AtomicFile(file).read(use_cache=True)


def truncate(file: Path) -> None:
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


DAMAGES: list[Callable[[Path], object]] = [
    truncate,
    lambda file: file.write_bytes(b""),
    lambda file: file.write_bytes(b"something else"),
    lambda file: np.save(file.open("wb"), np.array([{"a": 1}], dtype=object), allow_pickle=True),
    lambda file: np.save(file.open("wb"), np.zeros((2, 2), dtype=np.float32)),
    lambda file: np.save(file.open("wb"), np.zeros(N_ROWS, dtype=np.float64)),
    Path.unlink,
    lambda file: (file.unlink(), file.mkdir()),
]


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("name", ["rest.txt", "1.float32.npy", "1.float32.missing.npy"])
def test_damaged_cache_is_ignored(
    tmp_path: Path, damage: Callable[[Path], object], name: str
) -> None:
    file = tmp_path / "a.item"
    matrix = write(file)
    read(file)
    (cached,) = (tmp_path / "a.item.cache").glob(f"*/{name}")
    damage(cached)
    assert_holds(read(file), matrix)
    assert_holds(read(file), matrix)


def test_damaged_cache_is_built_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "a.item"
    matrix = write(file)
    read(file)
    (cached,) = (tmp_path / "a.item.cache").glob("*/1.float32.npy")
    truncate(cached)
    read(file)
    forbid_reading_the_source(monkeypatch)
    assert_holds(read(file), matrix)


def test_other_version_is_ignored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "a.item"
    matrix = write(file)
    read(file)
    (cached,) = (tmp_path / "a.item.cache").glob("*/1.float32.npy")
    np.save(cached, np.zeros((N_ROWS, SIZE), dtype=np.float32))
    monkeypatch.setattr(cache, "_VERSION", cache._VERSION + 1)
    assert_holds(read(file), matrix)


def test_no_place_for_a_cache(tmp_path: Path) -> None:
    file = tmp_path / "a.item"
    matrix = write(file)
    blocking = tmp_path / "a.item.cache"
    blocking.write_text("a file where the folder would be")
    assert_holds(read(file), matrix)
    assert blocking.read_text() == "a file where the folder would be"


def test_files_without_a_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "a.item"
    write(file)
    read(file, use_cache=False)
    plain = tmp_path / "b.item"
    plain.write_text("item_id:token\tprice:float\na\t1\n")
    read(plain)
    monkeypatch.setattr(cache, "SMALLEST", 1 << 20)
    read(file)
    assert {entry.name for entry in tmp_path.iterdir()} == {"a.item", "b.item"}


def read_many_times(file: Path, matrix: np.ndarray, start: Any, failures: Any) -> None:
    start.wait()
    try:
        for _ in range(20):
            assert_holds(read(file), matrix)
    except BaseException as error:
        failures.put(repr(error))
        raise


@pytest.mark.processes
@pytest.mark.skipif(
    "fork" not in multiprocessing.get_all_start_methods(), reason="needs processes that start fast"
)
def test_processes_build_the_cache_at_once(tmp_path: Path) -> None:
    file = tmp_path / "a.item"
    matrix = write(file)
    context = multiprocessing.get_context("fork")
    start, failures = context.Barrier(4), context.Queue()
    processes = [
        context.Process(target=read_many_times, args=(file, matrix, start, failures))
        for _ in range(4)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0] * 4, failures.get(timeout=60)
    (folder,) = (tmp_path / "a.item.cache").iterdir()
    assert {entry.name for entry in folder.iterdir()} == {
        "rest.txt",
        "1.float32.npy",
        "1.float32.missing.npy",
    }
    assert_holds(read(file), matrix)


@pytest.mark.parametrize("model", ["SiBraR", "BPR"])
def test_key_switches_the_cache(
    make_dataset: Callable[..., Any], tiny_folder: Path, model: str
) -> None:
    fields = {"inter": ["user_id", "item_id"], "item": ["item_id", "text"]}
    make_dataset(model=model, load_col=fields, atomic_cache=False)
    assert not list(tiny_folder.glob("*/*.cache"))
    with pytest.raises(DataError, match=r"^atomic_cache: found 'some', allowed is True or False$"):
        make_dataset(model=model, load_col=fields, atomic_cache="some")
    make_dataset(model=model, load_col=fields)
    assert [folder.name for folder in tiny_folder.glob("*/*.cache")] == ["tiny.item.cache"]
