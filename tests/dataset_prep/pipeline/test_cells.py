from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from recbole_sibrar.data.atomic import DataError, Field, read_frame, read_header
from recbole_sibrar.dataset_prep.pipeline import cells
from recbole_sibrar.dataset_prep.pipeline.columns import TextColumn, VectorColumn
from recbole_sibrar.dataset_prep.pipeline.writing import write_atomic
from recbole_sibrar.dataset_prep.readers.missing_words import PANDAS_WORDS

TEXT = st.text(
    alphabet=st.sampled_from(list("aZ9é音ب😀'\"\\|,;:#\t\n\r\x00\x85\u2028\ud800 ")), max_size=8
)
WORD = st.text(alphabet=st.sampled_from(list("aZ9é音ب😀'\"\\|,;:#-&")), min_size=1, max_size=8)
FLOATS = st.floats(width=32, allow_nan=False, allow_infinity=False)


def written(path: Path, columns: list[TextColumn | VectorColumn], n_rows: int) -> Path:
    ids = cells.token_cells([f"i{row}" for row in range(n_rows)])
    write_atomic(path, n_rows, [TextColumn(Field("item_id", "token"), ids), *columns])
    return path


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cells") / "d.item"


@settings(deadline=None)
@given(st.lists(WORD | st.none(), min_size=1, max_size=6))
def test_texts_survive_both_readers(file: Path, values: list[str | None]) -> None:
    written(file, [TextColumn(Field("name", "token"), cells.token_cells(values))], len(values))
    ours = read_frame(file, read_header(file))["name"]
    theirs = pd.read_csv(file, delimiter="\t", dtype=str, engine="python")["name:token"]
    for found in (ours, theirs):
        assert [None if pd.isna(value) else value for value in found] == values


@settings(deadline=None)
@given(st.lists(st.tuples(TEXT, st.lists(TEXT, max_size=3)), min_size=1, max_size=6))
def test_no_text_breaks_a_line_or_a_column(file: Path, rows: list[tuple[str, list[str]]]) -> None:
    names, labels = zip(*rows, strict=True)
    columns = [
        TextColumn(Field("name", "token"), cells.token_cells(names)),
        TextColumn(Field("labels", "token_seq"), cells.sequence_cells(labels)),
    ]
    written(file, columns, len(rows))
    frame = read_frame(file, read_header(file), encoding="utf-8")
    gaps = dict.fromkeys(map(ord, "\t\n\r\x00\x85\u2028\ud800"), " ")
    for (name, bag), found in zip(rows, frame.itertuples(), strict=True):
        expected = " ".join(name.translate(gaps).split())
        assert (found.name == expected) if expected else pd.isna(found.name)
        kept = dict.fromkeys("_".join(label.translate(gaps).split()) for label in bag)
        assert list(found.labels) == [label for label in kept if label]


@pytest.mark.parametrize("word", sorted(PANDAS_WORDS))
def test_missing_words_survive_reading(file: Path, word: str) -> None:
    file.write_text(f"item_id:token\tname:token\ni0\t{word}\n", encoding="utf-8")
    assert read_frame(file, read_header(file))["name"].isna().all()
    written(file, [TextColumn(Field("name", "token"), cells.token_cells([word]))], 1)
    assert read_frame(file, read_header(file))["name"].tolist() == [f"{word}_"]


def test_knows_all_missing_words_of_pandas() -> None:
    assert pd._libs.parsers.STR_NA_VALUES - {""} == PANDAS_WORDS


@settings(deadline=None)
@given(st.data())
def test_vectors_survive_for_any_block_size(file: Path, data: st.DataObject) -> None:
    matrix = data.draw(
        arrays(np.float32, st.tuples(st.integers(1, 9), st.integers(1, 5)), elements=FLOATS)
    )
    missing = data.draw(arrays(bool, len(matrix)))
    if missing.all():
        missing[0] = False
    matrix[missing] = np.nan
    rows = np.arange(len(matrix))[::-1]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            "recbole_sibrar.dataset_prep.pipeline.writing.NUMBERS_PER_BLOCK",
            data.draw(st.integers(1, 12)),
        )
        written(file, [VectorColumn(Field("v", "float_seq"), matrix, rows)], len(matrix))
    frame = read_frame(file, read_header(file))
    assert frame["item_id"].tolist() == [f"i{row}" for row in range(len(matrix))]
    for row, found in zip(rows, frame["v"], strict=True):
        expected = [] if missing[row] else matrix[row].tolist()
        assert np.asarray(found, dtype=np.float32).tolist() == expected


@settings(deadline=None)
@given(st.lists(st.floats(allow_infinity=False), min_size=1, max_size=6))
def test_numbers_are_read_as_they_were(file: Path, values: list[float]) -> None:
    written(
        file, [TextColumn(Field("x", "float"), cells.number_cells(np.array(values)))], len(values)
    )
    texts = [line.split("\t")[1] for line in file.read_text(encoding="utf-8").splitlines()[1:]]
    assert [float(text) for text in texts if text] == [value for value in values if value == value]
    assert [text == "" for text in texts] == [value != value for value in values]


def test_refuses_ids_of_one_text() -> None:
    with pytest.raises(DataError, match=r"items: the ids 'a b' and 'a\\tb' differ only in spaces"):
        cells.id_cells(pd.Index(["a b", "c", "a\tb"]), "items")


def test_refuses_ids_without_characters() -> None:
    with pytest.raises(DataError, match=r"users: the id '\\n' has no character"):
        cells.id_cells(pd.Index(["a", "\n"]), "users")
