from __future__ import annotations

import bz2
import gzip
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from pyarrow import parquet

from recbole_sibrar.data.atomic import DataError
from recbole_sibrar.dataset_prep.pipeline.vectors import vector_field

IDS = ["7", "12", "9"]
MATRIX = np.array([[0.1, -2, 3e-8], [1, 2, 3], [5, 5, 0.3333333]], dtype=np.float32)
WANTED = pd.Index(["9", "7", "100"])
EXPECTED = np.array([MATRIX[2], MATRIX[0], [np.nan] * 3])


def save(folder: Path, kind: str, ids: list[str] = IDS, matrix: np.ndarray = MATRIX) -> Path:
    """Write vectors in one of the forms that are read."""
    numbers = [[str(number) for number in row] for row in matrix]
    rows = ["\t".join([key, *row]) for key, row in zip(ids, numbers, strict=True)]
    cells = [f"{key}\t{' '.join(row)}" for key, row in zip(ids, numbers, strict=True)]
    columns = "\t".join(["ID", *map(str, range(matrix.shape[1]))])
    path = folder / f"vectors.{kind.split('-')[0]}"
    if kind == "npz":
        np.savez(path, movie=np.array([int(key) for key in ids]), text=matrix)
    elif kind.startswith("npy"):
        np.save(path, matrix)
        names = {"npy-txt": "vectors.ids.txt", "npy-npy": "vectors_ids.npy"}
        if kind == "npy-txt":
            (folder / names[kind]).write_text("\n".join(ids) + "\n")
        elif kind in names:
            np.save(folder / names[kind], np.array(ids))
    elif kind == "parquet-lists":
        pd.DataFrame({"id": ids, "v": list(matrix)}).to_parquet(path)
    elif kind == "parquet-columns":
        frame = pd.DataFrame(matrix, columns=list("abc"))
        frame.insert(0, "id", [int(key) for key in ids])
        frame.to_parquet(path)
    elif kind == "csv":
        path.write_text("\n".join(["id,a,b,c", *rows]).replace("\t", ","))
    elif kind == "tsv-cells":
        path.write_text("\n".join(["id\tvector", *cells]))
    elif kind == "tsv-cells-only":
        path.write_text("\n".join(cells))
    elif kind == "tsv-only":
        path.write_text("\n".join(rows))
    elif kind == "tsv.gz":
        path.write_bytes(gzip.compress("\n".join([columns, *rows]).encode()))
    elif kind == "tsv.bz2":
        path.write_bytes(bz2.compress("\n".join([columns, *rows]).encode()))
    else:
        path.write_text("\n".join([columns, *rows]) + "\n")
    return path


KINDS = [
    "npz",
    "npy-txt",
    "npy-npy",
    "parquet-lists",
    "parquet-columns",
    "csv",
    "tsv",
    "tsv-only",
    "tsv-cells",
]
KINDS += ["tsv-cells-only", "tsv.gz", "tsv.bz2"]


@pytest.mark.parametrize("kind", KINDS)
def test_finds_vectors_by_id(tmp_path: Path, kind: str) -> None:
    field = vector_field("text", save(tmp_path, kind))
    found = field.read(WANTED)
    assert field.type == "float_seq"
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, EXPECTED.astype(np.float32))
    assert field.notes == [
        f"text: 1 vectors of {Path(field.source).name} belong to ids that no interaction has; left out."
    ]


def test_vectors_of_nan_are_missing(tmp_path: Path) -> None:
    matrix = MATRIX.copy()
    matrix[0] = np.nan
    field = vector_field("text", save(tmp_path, "npz", matrix=matrix))
    assert np.isnan(field.read(pd.Index(["7", "12"]))).all(axis=1).tolist() == [True, False]
    assert "1 vectors of vectors.npz are NaN as a whole" in field.notes[-1]


def test_blocks_do_not_matter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("recbole_sibrar.dataset_prep.readers.vector_files._ROWS", 2)
    for kind in ("npz", "parquet-lists"):
        found = vector_field("text", save(tmp_path, kind)).read(WANTED)
        np.testing.assert_array_equal(found, EXPECTED.astype(np.float32))


def test_refuses_vectors_of_other_lengths(tmp_path: Path) -> None:
    writer = None
    for keys, size in ((["1", "2"], 3), (["3"], 2)):
        table = pa.table({"id": keys, "v": [[1.0] * size for _ in keys]})
        writer = writer or parquet.ParquetWriter(tmp_path / "v.parquet", table.schema)
        writer.write_table(table)
    assert writer is not None
    writer.close()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("recbole_sibrar.dataset_prep.readers.vector_files._ROWS", 2)
        with pytest.raises(DataError, match="the vector of '3' has 2 numbers, those before it 3"):
            vector_field("text", tmp_path / "v.parquet").read(pd.Index(["1", "3"]))


@pytest.mark.parametrize("kind", ["npz", "npy-txt", "parquet-lists", "parquet-columns", "tsv"])
@pytest.mark.parametrize(("number", "name"), [(np.nan, "nan"), (np.inf, "inf")])
def test_names_the_id_of_infinite_numbers(
    tmp_path: Path, kind: str, number: float, name: str
) -> None:
    matrix = MATRIX.copy()
    matrix[2, 1] = number
    with pytest.raises(
        DataError, match=f"the vector of '9' has the number {name}, allowed are finite"
    ):
        vector_field("text", save(tmp_path, kind, matrix=matrix)).read(WANTED)


@pytest.mark.parametrize("kind", KINDS)
def test_an_id_that_occurs_twice_is_refused(tmp_path: Path, kind: str) -> None:
    with pytest.raises(DataError, match="the id '7' occurs twice"):
        vector_field("text", save(tmp_path, kind, ids=["7", "9", "7"])).read(WANTED)


@pytest.mark.parametrize("kind", ["npz", "tsv"])
def test_ids_of_another_data_set_are_refused(tmp_path: Path, kind: str) -> None:
    with pytest.raises(
        DataError, match="none of its ids, such as '7', is one of the data set, such as 'tt1'"
    ):
        vector_field("text", save(tmp_path, kind)).read(pd.Index(["tt1"]))


def content(path: Path, data: str | bytes) -> Path:
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return path


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("v.tsv", "id\ta\tb\n1\t1\t2\n2\t1\n", r"v.tsv, line 3: found 2 columns, allowed are 3"),
        ("v.tsv", "id\ta\tb\n1\t1\tx\n", r"v.tsv, line 2, column 3: invalid value 'x'"),
        ("v.tsv", "1\t1 2 3\n2\t1 2\n", "the vector of '2' has 2 numbers, those before it 3"),
        (
            "v.tsv.gz",
            gzip.compress(("1\t1 2 3\n" * 9999).encode(), mtime=0)[:60],
            "v.tsv.gz: cannot be read",
        ),
        ("v.tsv.bz2", bz2.compress(b"1\t1 2 3\n" * 9999)[:60], "v.tsv.bz2: cannot be read"),
        ("v.tsv", "", "v.tsv: cannot be read"),
        ("v.npz", "no archive", "v.npz: cannot be read"),
        ("v.parquet", "no table", "v.parquet: cannot be read"),
        ("v.npy", "no array", "v.npy: cannot be read"),
    ],
)
def test_a_broken_file_ends_in_one_line(
    tmp_path: Path, name: str, data: str | bytes, message: str
) -> None:
    with pytest.raises(DataError, match=message):
        vector_field("text", content(tmp_path / name, data)).read(pd.Index(["1", "2"]))


def test_names_the_missing_file_of_ids(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"its ids are missing, allowed are vectors.ids.txt or"):
        vector_field("text", save(tmp_path, "npy")).read(WANTED)


def test_lists_arrays_of_a_wrong_archive(tmp_path: Path) -> None:
    np.savez(tmp_path / "v.npz", a=np.zeros(3), b=np.zeros(3), c=np.zeros((3, 2)))
    with pytest.raises(
        DataError, match=r"found the arrays a \[3\], b \[3\], c \[3, 2\], allowed are one of ids"
    ):
        vector_field("text", tmp_path / "v.npz").read(WANTED)


@pytest.mark.parametrize(
    ("name", "message"), [("v.mat", "found the ending '.mat'"), ("no.npz", "there is no file")]
)
def test_refuses_unreadable_files_early(tmp_path: Path, name: str, message: str) -> None:
    (tmp_path / "v.mat").touch()
    with pytest.raises(DataError, match=message):
        vector_field("text", tmp_path / name)


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("quoted.csv", '"id","0","1"\n"7",3,4\n', [3, 4]),
        ("list.csv", 'id,vector\n7,"[3.0, 4.5]"\n', [3, 4.5]),
        ("list_only.csv", '7,"[3.0,4.5]"\n9,"[1.0,2.0]"\n', [3, 4.5]),
        ("one.tsv", "a7\t1\na9\t0\n", [1]),
        ("one_header.tsv", "ID\t0\na7\t5\n", [5]),
        ("no_line_end.tsv", "7\t5\t6", [5, 6]),
        ("wide.tsv", "7\t" + " ".join(["0.123456789"] * 20_000), [0.123456789] * 20_000),
    ],
)
def test_reads_text_of_usual_programs(
    tmp_path: Path, name: str, text: str, expected: list[float]
) -> None:
    (tmp_path / name).write_text(text)
    found = vector_field("x", tmp_path / name).read(pd.Index(["a7" if "a7" in text else "7"]))
    np.testing.assert_array_equal(found, np.array([expected], dtype=np.float32))


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("v.csv", b"id,v\n7,1 2\n9,1 x\n", "v.csv: the vector of '9' has 'x', allowed are numbers"),
        ("v.tsv", b"\xff\t1\t2\n", "v.tsv.*(UTF|utf)"),
    ],
)
def test_a_cell_that_is_no_number_is_named(
    tmp_path: Path, name: str, data: bytes, message: str
) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(DataError, match=message):
        vector_field("x", tmp_path / name).read(WANTED)


def test_names_wrong_arrays(tmp_path: Path) -> None:
    np.save(tmp_path / "one.npy", MATRIX)
    (tmp_path / "one.npy").rename(tmp_path / "one.npz")
    with pytest.raises(DataError, match=r"one\.npz: found a single array"):
        vector_field("x", tmp_path / "one.npz").read(WANTED)
    np.savez(tmp_path / "ids.npz", ids=np.array([b"\xff", b"9", b"7"]), v=MATRIX)
    with pytest.raises(DataError, match=r"ids\.npz: found ids that are not UTF-8"):
        vector_field("x", tmp_path / "ids.npz").read(WANTED)
    np.save(tmp_path / "v.npy", MATRIX)
    (tmp_path / "v.ids.txt").write_bytes(b"\xff\n9\n7\n")
    with pytest.raises(DataError, match=r"v\.ids\.txt: the text is not UTF-8"):
        vector_field("x", tmp_path / "v.npy").read(WANTED)
