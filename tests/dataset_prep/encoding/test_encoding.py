from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from recbole_sibrar.data.atomic import DataError
from recbole_sibrar.dataset_prep.encoding.blocks import Task, encode, finish, write_vectors
from recbole_sibrar.dataset_prep.pipeline.vectors import vector_field

VECTORS = np.random.default_rng(1).normal(size=(100, 3)).astype(np.float32)


class Model:
    """Yields the vectors of :data:`VECTORS` in batches, and notes from which position on it was asked."""

    def __init__(
        self, batch_size: int, fails_at: int | None = None, error: BaseException | None = None
    ) -> None:
        self.starts: list[int] = []
        self._batch_size, self._fails_at, self._error = batch_size, fails_at, error

    def __call__(self, start: int, progressed: Callable[[int], object]) -> Iterator[np.ndarray]:
        self.starts.append(start)
        for batch in range(start, len(VECTORS), self._batch_size):
            if batch == self._fails_at and self._error is not None:
                raise self._error
            yield VECTORS[batch : batch + self._batch_size]


@pytest.fixture
def task(tmp_path: Path) -> Task:
    origin = {"input": "a", "model": "b", "options": "c"}
    return Task(
        [f"i{n}" for n in range(100)], tmp_path / "v.npz", batch_size=2, origin=origin, noun="texts"
    )


def _ignore(line: str) -> None: ...


def _interrupt(task: Task, at: int) -> list[str]:
    notes: list[str] = []
    with pytest.raises(KeyboardInterrupt):
        encode(task, Model(2, at, KeyboardInterrupt()), notes.append)
    return notes


def test_goes_on_after_the_last_block(task: Task) -> None:
    notes = _interrupt(task, at=70)
    assert notes == ["64 of 100 texts are finished; the same command goes on with the others"]
    assert not task.output.exists()
    model = Model(2)
    np.testing.assert_array_equal(encode(task, model, notes.append), VECTORS)
    assert model.starts == [64]
    assert notes[1:] == ["goes on after 64 of 100 texts"]


@pytest.mark.parametrize("changed", ["input", "model", "options"])
def test_starts_afresh_after_changes(task: Task, changed: str) -> None:
    _interrupt(task, at=70)
    model, notes = Model(2), list[str]()
    encode(replace(task, origin={**task.origin, changed: "other"}), model, notes.append)
    assert model.starts == [0]
    assert notes == [f"starts afresh: since the interrupted run this has changed: {changed}"]


@pytest.mark.parametrize("damage", ["no record", "half a record"])
def test_ignores_blocks_of_unknown_origin(task: Task, damage: str) -> None:
    _interrupt(task, at=70)
    (record,) = task.partial.glob("*.json")
    record.unlink() if damage == "no record" else record.write_text('{"input"')
    model = Model(2)
    encode(task, model, _ignore)
    assert model.starts == [0]


def test_finishes_an_interrupted_writing(task: Task) -> None:
    encode(task, Model(2), _ignore)
    model = Model(2)
    np.testing.assert_array_equal(encode(task, model, _ignore), VECTORS)
    assert model.starts == []


def test_writes_vectors_and_removes_blocks(task: Task) -> None:
    vectors = VECTORS.copy()
    vectors[[3, 98]] = np.nan
    encode(task, Model(2), _ignore)
    assert finish(task, vectors) == ["i3", "i98"]
    assert [path.name for path in task.output.parent.iterdir()] == ["v.npz"]
    with np.load(task.output, allow_pickle=False) as file:
        assert set(file.files) == {"ids", "embedding"}
        assert file["embedding"].dtype == np.float32
        np.testing.assert_array_equal(file["embedding"], np.delete(VECTORS, [3, 98], axis=0))
        assert file["ids"].tolist() == [f"i{n}" for n in range(100) if n not in (3, 98)]


def test_refuses_a_result_without_vectors(task: Task) -> None:
    with pytest.raises(DataError, match="none of the 100 texts can be read"):
        finish(task, np.full((100, 3), np.nan, dtype=np.float32))
    assert not task.output.exists()


def test_names_ids_of_infinite_numbers(task: Task) -> None:
    vectors = VECTORS.copy()
    vectors[40, 1] = np.inf
    with pytest.raises(DataError, match="vector of 'i40' has numbers that are not finite"):
        encode(task, lambda *_: np.split(vectors, range(16, 100, 16)), _ignore)


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (
            RuntimeError("CUDA out of memory. Tried to allocate"),
            "--batch_size: 2 texts at a time are too many",
        ),
        (
            OSError(28, "No space left on device"),
            "--output: cannot write .*: No space left on device",
        ),
    ],
)
def test_keeps_blocks_when_memory_ends(task: Task, error: Exception, message: str) -> None:
    with pytest.raises(DataError, match=message):
        encode(task, Model(2, 70, error), _ignore)
    model = Model(2)
    encode(task, model, _ignore)
    assert model.starts == [64]


@pytest.mark.parametrize("name", ["v.npz", "v.npy", "v.parquet"])
def test_the_converters_read_what_is_written(tmp_path: Path, name: str) -> None:
    ids = np.array(["07", "ä b", "7"])
    write_vectors(tmp_path / name, ids, VECTORS[:3])
    field = vector_field("text", tmp_path / name)
    found = field.read(pd.Index(["7", "missing", "07", "ä b"], dtype=object))
    np.testing.assert_array_equal(
        np.asarray(found), [VECTORS[2], [np.nan] * 3, VECTORS[0], VECTORS[1]]
    )


def test_keeps_line_breaks_in_ids(tmp_path: Path) -> None:
    write_vectors(tmp_path / "v.npy", np.array(["a\nb", "c"]), VECTORS[:2])
    field = vector_field("text", tmp_path / "v.npy")
    np.testing.assert_array_equal(np.asarray(field.read(pd.Index(["c", "a\nb"]))), VECTORS[[1, 0]])
