"""Fingerprints of tables depend on what they hold and on nothing else."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from recbole_sibrar.data.record import fingerprint
from recbole_sibrar.data.record.fingerprint import hash_of_cells, hash_of_vectors, hash_tokens
from recbole_sibrar.data.record.recording import recorder_of
from recbole_sibrar.data.record.training_data import TrainingData

Build = Callable[..., Any]
SUFFIXES = ("inter", "user", "item")


def record(make_dataset: Build, **keys: Any) -> TrainingData:
    return recorder_of(make_dataset(**keys)).record()


def rewrite(folder: Path, suffix: str, change: Callable[[list[str]], list[str]]) -> None:
    """Write the lines of a file of ``tiny`` anew, the header apart."""
    file = folder / "tiny" / f"tiny.{suffix}"
    header, *lines = file.read_text().splitlines()
    file.write_text("\n".join([header, *change(lines)]) + "\n")


def test_the_order_of_rows_does_not_matter(make_dataset: Build, tiny_folder: Path) -> None:
    before = record(make_dataset)
    for suffix in SUFFIXES:
        rewrite(tiny_folder, suffix, lambda lines: lines[::-1])
    after = record(make_dataset)
    assert before.tables == after.tables
    assert before.tokens != after.tokens


def test_the_order_of_labels_does_not_matter(make_dataset: Build, tiny_folder: Path) -> None:
    before = record(make_dataset)
    rewrite(tiny_folder, "item", lambda lines: [line.replace("t1 t5", "t5 t1") for line in lines])
    assert record(make_dataset).tables == before.tables


def cell(row: int, column: int, value: str) -> Callable[[list[str]], list[str]]:
    def change(lines: list[str]) -> list[str]:
        cells = lines[row].split("\t")
        cells[column] = value
        return [*lines[:row], "\t".join(cells), *lines[row + 1 :]]

    return change


@pytest.mark.slow
@pytest.mark.parametrize("model", ["SiBraR", "FM"])
@pytest.mark.parametrize(
    ("suffix", "column", "value", "field"),
    [
        ("item", 1, "c9", "kind"),
        ("item", 1, "", "kind"),
        ("item", 2, "t3", "tags"),
        ("item", 2, "", "tags"),
        ("item", 3, "7.125", "price"),
        ("item", 3, "", "price"),
        ("item", 4, "1 2 3 4 5.001", "text"),
        ("item", 4, "", "text"),
        ("user", 3, "99", "age"),
        ("inter", 2, "1.5", "rating"),
    ],
)
def test_one_cell_changes_one_fingerprint(
    make_dataset: Build,
    tiny_folder: Path,
    model: str,
    suffix: str,
    column: int,
    value: str,
    field: str,
) -> None:
    keys = {"model": model, "load_col": None, "threshold": None}
    before = record(make_dataset, **keys).tables
    rewrite(tiny_folder, suffix, cell(1, column, value))
    after = record(make_dataset, **keys).tables
    changed = [
        (file, name)
        for file in before
        for name in before[file]
        if before[file][name] != after[file][name]
    ]
    assert changed == [(suffix, field)]


def test_another_pair_is_seen_in_every_split(make_model: Build, tiny_folder: Path) -> None:
    def parts() -> list[tuple[int, int]]:
        return list(make_model(model="BPR")[2].training_data.parts)

    before = parts()
    assert before == parts()
    rewrite(tiny_folder, "inter", cell(0, 1, "i39"))
    after = parts()
    assert [n for n, _ in before] == [n for n, _ in after]
    assert before != after


def test_large_vectors_are_hashed_in_part(monkeypatch: pytest.MonkeyPatch) -> None:
    vectors = np.random.default_rng(0).normal(size=(20, 10)).astype(np.float32)
    whole = hash_of_vectors(list(vectors))
    assert len(set(whole.tolist())) == 20
    monkeypatch.setattr(fingerprint, "MOST_NUMBERS", 60)  # three of each vector
    part = hash_of_vectors(list(vectors))
    vectors[0, 2] += 1
    vectors[1, 3] += 1
    assert (hash_of_vectors(list(vectors)) != part).nonzero()[0].tolist() == [0]


def test_equal_numbers_have_equal_hashes() -> None:
    assert len(set(hash_of_cells(np.array([0.0, -0.0])).tolist())) == 1
    assert len(set(hash_of_cells(np.array([np.nan, -np.nan, float("nan")])).tolist())) == 1
    assert hash_of_cells(np.array([3])) == hash_of_cells(np.array([3.0], dtype=np.float32))
    assert len(set(hash_tokens(["1", "01", "1 ", "", "ä"]).tolist())) == 5
