"""Files are read in blocks of whole lines, and what is wrong with them is said with line and column."""

from __future__ import annotations

import bz2
import gzip
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recbole_sibrar.data.atomic import DataError
from recbole_sibrar.dataset_prep.readers import pairs as pairs_module
from recbole_sibrar.dataset_prep.readers.pairs import Codes, PairTable
from recbole_sibrar.dataset_prep.readers.stream_tables import ID, open_table, read_header, read_rows
from recbole_sibrar.dataset_prep.readers.streams import find_file, read_blocks

TIMES = {"user_id": ID, "timestamp": pa.timestamp("s")}


@pytest.mark.parametrize("size", [1, 7, 64, 1 << 20])
@pytest.mark.parametrize("ending", ["", ".bz2", ".gz"])
def test_numbers_lines_for_any_block_size(tmp_path: Path, ending: str, size: int) -> None:
    lines = [f"line {n} ö" * (n % 5) for n in range(1, 50)]  # every fifth line is empty
    data = "\n".join(lines).encode()  # the last line has no end
    pack = {"": bytes, ".bz2": bz2.compress, ".gz": gzip.compress}[ending]
    path = tmp_path / f"text.tsv{ending}"
    # two streams, as parallel compressors write them
    path.write_bytes(pack(data[:300]) + pack(data[300:]))
    found = [numbered for block in read_blocks(path, size) for numbered in block.lines()]
    assert found == [(n, line.encode()) for n, line in enumerate(lines, 1) if line]


@pytest.mark.parametrize("ending", [".bz2", ".gz"])
def test_refuses_truncated_files(tmp_path: Path, ending: str) -> None:
    data = np.random.default_rng(0).bytes(10_000)
    packed = {".bz2": bz2.compress, ".gz": gzip.compress}[ending](data)
    path = tmp_path / f"events.tsv{ending}"
    path.write_bytes(packed[: len(packed) // 2])
    with pytest.raises(
        DataError, match=rf"events.tsv\{ending}: the compressed file ends early"
    ) as error:
        list(read_blocks(path))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("ending", [".bz2", ".gz"])
def test_refuses_a_wrong_compression(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"events.tsv{ending}"
    path.write_bytes(b"user_id\ttrack_id\ttimestamp\n")
    with pytest.raises(DataError, match="cannot be decompressed"):
        list(read_blocks(path))


def test_refuses_files_it_cannot_open(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"events\.tsv: cannot be read: No such file"):
        list(read_blocks(tmp_path / "events.tsv"))


def test_prefers_unpacked_files(tmp_path: Path) -> None:
    for name in ("b.tsv", "a.tsv.bz2", "a.tsv.gz"):
        (tmp_path / name).touch()
    assert find_file(tmp_path, "a.tsv", "b.tsv") == tmp_path / "a.tsv.bz2"
    (tmp_path / "a.tsv").touch()
    assert find_file(tmp_path, "a.tsv", "b.tsv") == tmp_path / "a.tsv"
    assert find_file(tmp_path, "c.tsv") is None


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (
            "u\t2018-13-01 00:00:00\tx",
            "column 'timestamp': found '2018-13-01 00:00:00', allowed is a time",
        ),
        ("u\t\tx", "column 'timestamp': found '', allowed is a time"),
        ("\t2018-12-01 00:00:00\tx", "column 'user_id': found '', allowed is a name"),
        ("u\t2018-12-01 00:00:00", r"found 2 columns, allowed are 3 \(user_id, timestamp, more\)"),
        ("u\t2018-12-01 00:00:00\tx\ty", "found 4 columns, allowed are 3"),
        (
            "u\udcff\t2018-12-01 00:00:00\tx",
            "column 'user_id': found 'u.', allowed is a name in UTF-8",
        ),
    ],
)
@pytest.mark.parametrize("place", [0, 10, 99])
def test_names_wrong_lines_anywhere(tmp_path: Path, line: str, message: str, place: int) -> None:
    lines = [f'user "{n}"\t2018-01-02 03:04:05\tx' for n in range(99)]
    lines.insert(place, line)
    path = tmp_path / "events.tsv"
    path.write_bytes(
        "\n".join(["user_id\ttimestamp\tmore", "", *lines]).encode(errors="surrogateescape")
    )
    table = open_table(path, TIMES)
    with pytest.raises(DataError, match=rf"events.tsv, line {place + 3}(, |: ){message}"):
        list(map(table.parse, read_rows(path, 1000)))


def test_refuses_unusable_headers(tmp_path: Path) -> None:
    path = tmp_path / "users.tsv"
    for text, message in {
        b"": "the file is empty",
        b"user_id\ttime\n": "line 1: no column 'timestamp'; found user_id, time; needed are user_id, timestamp",
        b"user_id\tuser_id\n": "line 1: the column 'user_id' occurs twice",
        b"user_id\t\xff\n": "line 1: the text is not UTF-8",
    }.items():
        path.write_bytes(text)
        with pytest.raises(DataError, match=message):
            open_table(path, TIMES)
    path.write_bytes(b"\xef\xbb\xbfid\tname\r\n1\tx\r\n")  # as some editors save it
    assert read_header(path) == ("id", "name")


def test_an_id_is_kept_as_it_is_written(tmp_path: Path) -> None:
    names = ["007", "1e5", "NA", 'a "b', "'", "#x", "日本", "a,b", "-"]
    path = tmp_path / "events.tsv"
    path.write_text("\n".join(["user_id", *names]), encoding="utf-8")
    table = open_table(path, {"user_id": ID})
    parsed = [
        name for block in read_rows(path) for name in table.parse(block)["user_id"].to_pylist()
    ]
    assert parsed == names


@given(
    events=st.lists(
        st.tuples(st.integers(0, 5), st.integers(0, 5), st.integers(0, 1000)), max_size=60
    ),
    pending=st.integers(1, 20),
    per_call=st.integers(1, 9),
)
def test_counts_pairs_like_a_dictionary(
    events: list[tuple[int, int, int]], pending: int, per_call: int
) -> None:
    users, items = Codes(), Codes()
    table = PairTable(
        {"count": np.add, "first": np.minimum}, {"count": np.int64, "first": np.float64}
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pairs_module, "PENDING_EVENTS", pending)
        for start in range(0, len(events), per_call):
            u, i, t = (
                np.array(column) for column in zip(*events[start : start + per_call], strict=True)
            )
            table.add(
                users.number(map(str, u)), items.number(map(str, i)), count=np.ones(len(u)), first=t
            )
        frame = table.frame(users, items)
    expected = Counter((str(u), str(i)) for u, i, _ in events)
    found = list(zip(frame["user_id"], frame["item_id"], strict=True))
    assert dict(zip(found, frame["count"], strict=True)) == expected
    assert len(found) == len(expected)
    for pair, first in zip(found, frame["first"], strict=True):
        assert first == min(t for u, i, t in events if (str(u), str(i)) == pair)
    assert set(frame["user_id"].cat.categories) == {str(u) for u, _, _ in events}
