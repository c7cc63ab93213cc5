"""Cold-start parts of a data set: who is in which part, whatever else is configured, and their files."""

from __future__ import annotations

import logging
import re
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from partitions import (
    PARTS,
    READ,
    WARM,
    MakeConfig,
    cold,
    numbering,
    pairs_of,
    parts_of,
    rows,
    shuffle_lines,
)
from recbole.config import Config

from recbole_sibrar.data import partition
from recbole_sibrar.data.atomic import DataError


@pytest.mark.parametrize("group_by", ["item", "user", "both"])
def test_partition_is_stable(make_config: MakeConfig, tiny_folder: Path, group_by: str) -> None:
    inter = {"inter": ["user_id", "item_id"]}
    settings: list[dict[str, Any]] = [
        {"model": "SiBraR"},
        {"model": "SiBraR", "load_col": {"inter": ["user_id", "item_id", "rating"]}},
        {"model": "BPR", "load_col": inter},
        {
            "model": "BPR",
            "load_col": None,
        },  # loads the .item and .user, in which one item and one user have no line
        {"model": "ItemKNN", "load_col": {**inter, "item": ["item_id", "kind"]}},
        {"model": "Pop", "load_col": inter, "train_neg_sample_args": None, "epochs": 3},
    ]
    built = [parts_of(make_config(eval_args=cold(group_by), **each)) for each in settings]
    shuffle_lines(tiny_folder / "tiny" / "tiny.inter")
    built.append(parts_of(make_config("BPR", eval_args=cold(group_by))))
    first = pairs_of(built[0])
    assert all(pairs_of(parts) == first for parts in built[1:])
    assert len({partition.hash_of(parts) for parts in built}) == 1
    for side in (0, 1):  # equal numbers too, for those with interactions
        n = len({pair[side] for part in first for pair in part}) + 1
        assert len({tuple(numbering(parts)[side][:n]) for parts in built}) == 1
    other = parts_of(make_config("BPR", eval_args=cold(group_by), seed=1))
    assert pairs_of(other) != first
    assert partition.hash_of(other) != partition.hash_of(built[0])


@pytest.mark.parametrize("group_by", ["item", "user"])
def test_entity_is_in_one_part(make_config: MakeConfig, tiny_folder: Path, group_by: str) -> None:
    pairs = pairs_of(parts_of(make_config(eval_args=cold(group_by))))
    column = ("user", "item").index(group_by)
    entities = [{pair[column] for pair in part} for part in pairs]
    everything = {(row[0], row[1]) for row in rows(tiny_folder / "tiny" / "tiny.inter")}
    assert set.union(*pairs) == everything
    assert sum(map(len, pairs)) == len(everything)
    n = {"user": 30, "item": 40}[group_by]
    assert [len(part) for part in entities] == [n * 6 // 10, n * 2 // 10, n * 2 // 10]
    assert len(set.union(*entities)) == n


def test_both_keeps_agreeing_pairs(
    make_config: MakeConfig, tiny_folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    part_of: list[dict[str, int]] = []
    for column, side in enumerate(("user", "item")):
        pairs = pairs_of(parts_of(make_config(eval_args=cold(side))))
        part_of.append({pair[column]: number for number, part in enumerate(pairs) for pair in part})
    everything = {(row[0], row[1]) for row in rows(tiny_folder / "tiny" / "tiny.inter")}
    expected = [
        {(u, i) for u, i in everything if part_of[0][u] == part_of[1][i] == number}
        for number in range(3)
    ]
    caplog.set_level(logging.INFO)
    assert pairs_of(parts_of(make_config(eval_args=cold("both")))) == expected
    kept = set.union(*expected)
    lost = [len({p[side] for p in everything}) - len({p[side] for p in kept}) for side in (0, 1)]
    assert (
        f"cold start: {len(everything) - len(kept)} of {len(everything)} interactions are left out, because user and "
        f"item are in different parts; {lost[0]} users and {lost[1]} items have no others"
    ) in caplog.messages


def test_log_counts_parts_and_new_users(
    make_config: MakeConfig, tiny_folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = tiny_folder / "tiny" / "tiny.inter"
    (held_out,) = [
        sorted(part)[0][1] for part in pairs_of(parts_of(make_config(eval_args=cold("item"))))[2:]
    ]
    with file.open("a", encoding="utf-8") as lines:
        # a user who knows a single item, which is held out
        lines.write(f"newcomer\t{held_out}\t5\t1\n")
    caplog.set_level(logging.INFO)
    parts = parts_of(make_config(eval_args=cold("item")))
    texts = []
    for name, part in zip(PARTS, pairs_of(parts), strict=True):
        unknown = " (1 without training)" if name == "test" else ""
        users, items = (len({pair[side] for pair in part}) for side in (0, 1))
        texts.append(f"{name} {users} users{unknown}, {items} items, {len(part)} interactions")
    line = f"cold start by item: {'; '.join(texts)}; held-out pairs {partition.hash_of(parts)}"
    assert [message for message in caplog.messages if message.startswith("cold start by")] == [line]


def test_filters_come_before_the_division(make_config: MakeConfig, tiny_folder: Path) -> None:
    """Of the items that are left after a filter, the shares are those of the ratios."""
    counts = Counter(row[1] for row in rows(tiny_folder / "tiny" / "tiny.inter"))
    left = {item for item, count in counts.items() if count >= 9}
    assert 5 <= len(left) < 40
    pairs = pairs_of(
        parts_of(make_config(eval_args=cold("item"), item_inter_num_interval="[9,inf)"))
    )
    items = [{item for _, item in part} for part in pairs]
    assert set.union(*items) == left
    assert all(
        abs(len(part) - share * len(left)) < 1
        for part, share in zip(items, (0.6, 0.2, 0.2), strict=True)
    )


def test_repeated_interactions_stay_together(make_config: MakeConfig, tiny_folder: Path) -> None:
    file = tiny_folder / "tiny" / "tiny.inter"
    with file.open("a", encoding="utf-8") as lines:
        lines.writelines(f"u1\ti{n % 3 + 1}\t{n % 5}\t{1000 + n}\n" for n in range(12))

    def table() -> list[list[float]]:
        parts = parts_of(make_config(eval_args=cold("item")))
        names = ("user_id", "item_id", "rating", "timestamp")
        return [part.inter_feat[name].tolist() for part in parts for name in names]

    first = table()
    shuffle_lines(file)
    assert table() == first


@pytest.fixture
def typed_folder(tmp_path: Path) -> Path:
    """A data set whose interactions have fields of every type, some values missing; the id of an item comes last."""
    rng = np.random.default_rng(5)
    header = "user_id:token rating:float timestamp:float session:token words:token_seq place:float_seq item_id:token"
    lines = ["\t".join(header.split())]
    for n in range(200):
        words = " ".join(rng.choice(["a", 'b"c', "d,e", "ü"], size=n % 4))
        place = "" if n % 5 == 0 else " ".join(map(repr, rng.normal(size=3).tolist()))
        cells = [
            f"u{n % 20}",
            f"{rng.integers(1, 11) / 2}",
            f"{1_400_000_000 + n * 977}",
            f"s{n % 7}" if n % 6 else "",
        ]
        lines.append("\t".join([*cells, words, place, f"i{rng.integers(30)}"]))
    folder = tmp_path / "dataset" / "typed"
    folder.mkdir(parents=True)
    (folder / "typed.inter").write_text("\n".join(lines) + "\n", encoding="utf-8")
    items = ["kind:token\titem_id:token", *(f"k{n % 3}\ti{n}" for n in range(30)), ""]
    (folder / "typed.item").write_text("\n".join(items) + "\n", encoding="utf-8")
    return folder.parent


def typed_config(folder: Path, model: str = "SiBraR", **settings: Any) -> Config:
    fixed = {"load_col": None, "state": "ERROR", "data_path": str(folder), "epochs": 1}
    return Config(model, "typed", config_dict={**fixed, **settings})


def values(line: list[str]) -> tuple[Any, ...]:
    """The cells of a line, numbers as numbers."""
    user, rating, time, session, words, place, item = line
    return user, item, float(rating), float(time), session, words, tuple(map(float, place.split()))


@pytest.mark.parametrize(
    "eval_args", [cold("item"), cold("both"), WARM], ids=["item", "both", "warm"]
)
def test_values_are_written_unchanged(
    make_config: MakeConfig, typed_folder: Path, tmp_path: Path, eval_args: dict[str, Any]
) -> None:
    make_config()
    folder = tmp_path / "new" / "split"
    parts = parts_of(typed_config(typed_folder, eval_args=eval_args, save_split=str(folder)))
    source = Counter(values(line) for line in rows(typed_folder / "typed" / "typed.inter"))
    written = [
        Counter(values(line) for line in rows(folder / f"typed.{part}.inter")) for part in PARTS
    ]
    total = sum(written, Counter())
    assert total <= source
    assert total == source or eval_args["group_by"] == "both"
    assert [{row[:2] for row in part} for part in written] == pairs_of(parts)
    read = parts_of(typed_config(folder, eval_args=eval_args, benchmark_filename=READ))
    if eval_args is WARM:
        assert pairs_of(read) == pairs_of(parts)
        return
    for before, after in zip(parts, read, strict=True):
        for name in ("user_id", "item_id", "rating", "timestamp", "session", "words", "place"):
            assert before.inter_feat[name].tolist() == after.inter_feat[name].tolist(), name


@pytest.mark.parametrize("model", ["SiBraR", "BPR"])
@pytest.mark.parametrize("group_by", ["item", "both"])
def test_files_hold_the_kept_entities(
    make_config: MakeConfig, tiny_folder: Path, tmp_path: Path, model: str, group_by: str
) -> None:
    """Also those of a file that the model does not read: another model may read it with the same parts."""
    folder = tmp_path / "split"
    settings = {
        "eval_args": cold(group_by),
        "item_inter_num_interval": "[9,inf)",
        "user_inter_num_interval": "[5,inf)",
    }
    parts_of(make_config(model, save_split=str(folder), **settings))
    direct = parts_of(make_config("SiBraR", **settings))
    read = parts_of(
        make_config(
            "SiBraR", data_path=str(folder), benchmark_filename=READ, eval_args=cold(group_by)
        )
    )
    assert numbering(read) == numbering(direct)
    assert pairs_of(read) == pairs_of(direct)
    for file, name in (("tiny.item", "price"), ("tiny.user", "age")):
        side: Any = file.removeprefix("tiny.")
        tables = [parts[0].field_tables[side][name] for parts in (direct, read)]
        # normalised over the entities that are there
        assert tables[0].values.tolist() == tables[1].values.tolist()
        lines = (tiny_folder / "tiny" / file).read_text(encoding="utf-8").splitlines()
        assert set((folder / file).read_text(encoding="utf-8").splitlines()) < set(lines)


def test_filter_keeps_lines_of_kept_items(
    make_config: MakeConfig, tiny_folder: Path, tmp_path: Path
) -> None:
    with (tiny_folder / "tiny" / "tiny.item").open("a", encoding="utf-8") as lines:
        lines.write("new\tc1\tt1\t1.0\t0 0 0 0 1\n")
    for number, (interval, expected) in enumerate(
        [("[0,inf)", True), (None, True), ("[1,inf)", False)]
    ):
        folder = tmp_path / str(number)
        parts_of(
            make_config(
                "BPR", save_split=str(folder), eval_args=WARM, item_inter_num_interval=interval
            )
        )
        assert ("new" in {row[0] for row in rows(folder / "tiny.item")}) is expected


def test_other_files_are_copied(
    make_config: MakeConfig, typed_folder: Path, tmp_path: Path
) -> None:
    """Among them an empty line, Windows line ends and a further file that the configuration names."""
    make_config()
    source = typed_folder / "typed"
    items = (source / "typed.item").read_bytes().replace(b"\n", b"\r\n")
    (source / "typed.item").write_bytes(items)
    (source / "typed.cover").write_bytes(b"cid:token\tcover:float_seq\r\ni1\t1 2\r\n")
    settings = {"eval_args": cold("item"), "save_split": str(tmp_path / "split")}
    parts_of(
        typed_config(
            typed_folder, **settings, additional_feat_suffix=["cover"], alias_of_item_id=["cid"]
        )
    )
    for suffix in ("item", "cover"):
        assert (tmp_path / "split" / f"typed.{suffix}").read_bytes() == (
            source / f"typed.{suffix}"
        ).read_bytes()
    names = {
        f"typed.{part}" for part in ("item", "cover", "train.inter", "valid.inter", "test.inter")
    }
    assert {file.name for file in (tmp_path / "split").iterdir()} == names


def test_parts_in_the_data_sets_folder(make_config: MakeConfig, tiny_folder: Path) -> None:
    folder = tiny_folder / "tiny"
    before = {file.name: (file.read_bytes(), file.stat().st_mtime_ns) for file in folder.iterdir()}
    parts = parts_of(make_config(eval_args=cold("item"), save_split=str(folder)))
    after = {file.name: (file.read_bytes(), file.stat().st_mtime_ns) for file in folder.iterdir()}
    assert {name: after[name] for name in before} == before
    assert set(after) - set(before) == {f"tiny.{part}.inter" for part in PARTS}
    read = parts_of(make_config(eval_args=cold("item"), benchmark_filename=READ))
    assert pairs_of(read) == pairs_of(parts)


def test_writing_again_overwrites_nothing(
    make_config: MakeConfig, tiny_folder: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "split"
    settings = {"eval_args": cold("item"), "save_split": str(folder)}

    def state() -> dict[str, tuple[bytes, int]]:
        return {
            file.name: (file.read_bytes(), file.stat().st_mtime_ns) for file in folder.iterdir()
        }

    parts_of(make_config(**settings))
    first = state()
    parts_of(make_config(**settings))
    # what was read is written
    parts_of(make_config(**settings, data_path=str(folder), benchmark_filename=READ))
    assert state() == first
    for other in ({"seed": 1}, {"item_inter_num_interval": "[9,inf)"}):
        with pytest.raises(
            DataError, match=rf"save_split: found {re.escape(str(folder))}, .* with other content"
        ):
            parts_of(make_config(**settings, **other))
        assert state() == first


def test_value_with_the_separator(
    make_config: MakeConfig, typed_folder: Path, tmp_path: Path
) -> None:
    make_config()
    file = typed_folder / "typed" / "typed.inter"
    file.write_text(
        file.read_text(encoding="utf-8").replace("\ts1\t", '\t"s\t1"\t'), encoding="utf-8"
    )
    with pytest.raises(
        DataError, match=r"save_split: a value in the interactions holds the field_separator '\\t'"
    ):
        parts_of(
            typed_config(typed_folder, "BPR", eval_args=WARM, save_split=str(tmp_path / "split"))
        )
    assert list((tmp_path / "split").iterdir()) == []


def test_written_configuration_is_final(make_config: MakeConfig, tmp_path: Path) -> None:
    """A checkpoint holds the configuration; loading it elsewhere must not make files."""
    folder = tmp_path / "split"
    config = make_config("BPR", eval_args=cold("item"), save_split=str(folder))
    parts = parts_of(config)
    for file in folder.iterdir():
        file.unlink()
    assert pairs_of(parts_of(config)) == pairs_of(parts)
    assert list(folder.iterdir()) == []
