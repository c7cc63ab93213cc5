"""Warm and cold interactions in one split: the parts, worked out with pandas from the files."""

from __future__ import annotations

import logging
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from recbole.config import Config
from recbole.data import create_dataset, data_preparation
from recbole.utils import init_seed

from recbole_sibrar.config import ConfigError
from recbole_sibrar.data.atomic import DataError
from recbole_sibrar.data.split import hold_out_known

MakeConfig = Callable[..., Config]
Pairs = list[set[tuple[str, str]]]

COLD = [0.6, 0.2, 0.2]
WARM = [0.6, 0.2, 0.2]
GROUPINGS = ["item", "user", "both"]
TIMED = {"load_col": {"inter": ["user_id", "item_id", "timestamp"]}}


def mixed(group_by: str, order: str = "RO", **split: Any) -> dict[str, Any]:
    return {
        "split": {"CS": COLD, "warm": WARM, **split},
        "group_by": group_by,
        "order": order,
        "mode": "full",
    }


def pairs_of(config: Config) -> Pairs:
    """Original ids of the pairs of user and item in each part."""
    init_seed(config["seed"], config["reproducibility"])
    parts = [loader._dataset for loader in data_preparation(config, create_dataset(config))]
    columns = [
        [
            part.field2id_token[name][part.inter_feat[name].numpy()]
            for name in ("user_id", "item_id")
        ]
        for part in parts
    ]
    return [set(zip(*map(list, found), strict=True)) for found in columns]


def read(folder: Path) -> pd.DataFrame:
    frame = pd.read_csv(folder / "tiny" / "tiny.inter", sep="\t")
    return frame.rename(columns=lambda name: name.split(":")[0])


def cold_pairs(make_config: MakeConfig, group_by: str, order: str) -> Pairs:
    """The parts of the split without warm interactions."""
    return pairs_of(
        make_config(
            "Pop", eval_args={"split": {"CS": COLD}, "group_by": group_by, "order": order}, **TIMED
        )
    )


@pytest.mark.parametrize("group_by", GROUPINGS)
def test_last_interactions_of_users(
    make_config: MakeConfig, tiny_folder: Path, group_by: str
) -> None:
    """The cold pairs are those of CS alone; of the others the last of each user are held out."""
    train, *cold = cold_pairs(make_config, group_by, "TO")
    frame = read(tiny_folder).sort_values(["user_id", "timestamp"])
    known = frame[[pair in train for pair in zip(frame["user_id"], frame["item_id"], strict=True)]]

    expected: Pairs = [set(), set(), set()]
    for user, rows in known.groupby("user_id"):
        n = len(rows)
        n_held = math.floor(0.2 * n)
        ends = [n - 2 * n_held, n - n_held, n]
        for part, (start, end) in enumerate(zip([0, *ends], ends, strict=False)):
            expected[part] |= {(user, item) for item in rows["item_id"].iloc[start:end]}
    trained = {item for _, item in expected[0]}
    back = {pair for part in expected[1:] for pair in part if pair[1] not in trained}

    found = pairs_of(make_config("Pop", eval_args=mixed(group_by, "TO"), **TIMED))
    assert found[0] == expected[0] | back
    for part in (1, 2):
        assert found[part] == cold[part - 1] | expected[part] - back


@pytest.mark.parametrize("group_by", GROUPINGS)
def test_shares_at_random(make_config: MakeConfig, group_by: str) -> None:
    train, *cold = cold_pairs(make_config, group_by, "RO")
    found = pairs_of(make_config("Pop", eval_args=mixed(group_by)))
    warm = [found[part] - cold[part - 1] for part in (1, 2)]
    assert found[0] | warm[0] | warm[1] == train
    assert not found[0] & (warm[0] | warm[1]) | warm[0] & warm[1]
    for part in (1, 2):
        assert cold[part - 1] <= found[part]
    trained = [{pair[side] for pair in found[0]} for side in (0, 1)]
    assert all(user in trained[0] and item in trained[1] for part in warm for user, item in part)
    for user in trained[0]:
        n = sum(1 for pair in train if pair[0] == user)
        held = [sum(1 for pair in part if pair[0] == user) for part in warm]
        assert max(held) <= math.floor(0.2 * n)
    assert len(warm[0]) > 0.9 * sum(
        math.floor(0.2 * sum(p[0] == user for p in train)) for user in trained[0]
    )


def test_order_of_rows(make_config: MakeConfig, tiny_folder: Path) -> None:
    """Another order of the rows and another model have the same parts; another seed has not."""
    first = pairs_of(make_config("Pop", eval_args=mixed("item")))
    file = tiny_folder / "tiny" / "tiny.inter"
    header, *lines = file.read_text(encoding="utf-8").splitlines()
    np.random.default_rng(1).shuffle(lines)
    file.write_text("\n".join([header, *lines]) + "\n", encoding="utf-8")
    assert pairs_of(make_config("SiBraR", eval_args=mixed("item"))) == first
    assert pairs_of(make_config("Pop", eval_args=mixed("item"), seed=1)) != first


def test_item_without_training_goes_back() -> None:
    """Each user has four shared items and, last, an item of its own, which training would not know."""
    users = pd.Series([f"u{u}" for u in range(3) for _ in range(5)])
    items = pd.Series(
        [f"i{(i + u) % 4}" if i < 4 else f"own{u}" for u in range(3) for i in range(5)]
    )
    times = pd.Series([float(i) for _ in range(3) for i in range(5)])
    parts = np.zeros(15, dtype=np.int8)
    with pytest.raises(
        DataError, match="no interaction is left for test; each of 3 known users has at most 5"
    ):
        hold_out_known(parts, users, items, [], [0.6, 0.2, 0.2], 1, times)
    users, items = pd.concat([users, pd.Series(["u9"])]), pd.concat([items, pd.Series(["own0"])])
    times = pd.concat([times, pd.Series([0.0])])
    divided = hold_out_known(
        np.zeros(16, dtype=np.int8), users, items, [], [0.6, 0.2, 0.2], 1, times
    )
    assert divided.tolist() == [0, 0, 0, 1, 2, *[0, 0, 0, 1, 0] * 2, 0]


def test_repeated_interactions() -> None:
    """Repetitions are rows of their own, whatever their order."""
    rng = np.random.default_rng(2)
    users = pd.Series([f"u{u}" for u in rng.integers(4, size=80)])
    items = pd.Series([f"i{i}" for i in rng.integers(3, size=80)])
    ratings = pd.Series(np.arange(80.0))
    parts = np.zeros(80, dtype=np.int8)
    divided = hold_out_known(parts, users, items, [ratings], [0.8, 0.1, 0.1], 5)
    order = rng.permutation(80)
    columns = [column.iloc[order].reset_index(drop=True) for column in (users, items, ratings)]
    again = hold_out_known(parts, columns[0], columns[1], columns[2:], [0.8, 0.1, 0.1], 5)
    assert (again == divided[order]).all()
    for user in set(users):
        n = int((users == user).sum())
        assert [int((divided[users == user] == part).sum()) for part in (1, 2)] == [
            n // 10,
            n // 10,
        ]


def test_log_counts_both_kinds(make_config: MakeConfig, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    cold = cold_pairs(make_config, "item", "RO")
    found = pairs_of(make_config("Pop", eval_args=mixed("item")))
    (line,) = [text for text in caplog.messages if "cold and" in text]
    counts = [
        f"{len(cold[n])} cold and {len(found[n]) - len(cold[n])} warm interactions" for n in (1, 2)
    ]
    assert f"valid {counts[0]}; test {counts[1]}; held-out pairs" in line
    (ranked,) = [
        text for text in caplog.messages if re.match(r"ranked items: test \d+ \(cold", text)
    ]
    n_cold, n_known = len({i for _, i in cold[2]}), len({i for _, i in found[0]})
    assert ranked == f"ranked items: test {n_cold + n_known} (cold {n_cold}, warm {n_known})"


@pytest.mark.parametrize("group_by", GROUPINGS)
def test_parts_as_files(make_config: MakeConfig, tmp_path: Path, group_by: str) -> None:
    folder = tmp_path / "parts"
    first = pairs_of(make_config("Pop", eval_args=mixed(group_by), save_split=str(folder)))
    read_again = {"data_path": str(folder), "benchmark_filename": ["train", "valid", "test"]}
    assert pairs_of(make_config("Pop", eval_args=mixed(group_by), **read_again)) == first


def test_files_with_one_kind(make_config: MakeConfig, tmp_path: Path) -> None:
    """Files of a split without warm interactions are refused."""
    folder = tmp_path / "parts"
    pairs_of(
        make_config(
            "Pop", eval_args={"split": {"CS": COLD}, "group_by": "item"}, save_split=str(folder)
        )
    )
    read_again = {"data_path": str(folder), "benchmark_filename": ["train", "valid", "test"]}
    with pytest.raises(
        DataError, match=r"^eval_args: split: the part valid has no warm interactions$"
    ):
        pairs_of(make_config("Pop", eval_args=mixed("item"), **read_again))


@pytest.mark.parametrize(
    ("split", "message"),
    [
        (
            {"warm": WARM},
            r"eval_args: split: found .*, allowed is one way to split, .*CS: .*warm: ",
        ),
        (
            {"CS": COLD, "warm": WARM, "RS": WARM},
            "eval_args: split: found .*, allowed is one way to split",
        ),
        (
            {"CS": COLD, "warm": [0.9, 0.1]},
            r"eval_args: split: warm: found \[0.9, 0.1\], allowed is three shares above 0",
        ),
        (
            {"CS": COLD, "warm": [0.9, 0, 0.1]},
            r"eval_args: split: warm: found .*three shares above 0",
        ),
        ({"CS": COLD, "wram": WARM}, "eval_args: split: wram: unknown key.*warm"),
    ],
)
def test_wrong_split(make_config: MakeConfig, split: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make_config("Pop", eval_args={"split": split, "group_by": "item"})


@pytest.mark.parametrize("mode", ["uni100", {"valid": "full", "test": "pop50"}])
def test_sampled_candidates(make_config: MakeConfig, mode: Any) -> None:
    with pytest.raises(
        ConfigError,
        match=r"^eval_args: mode: found '(uni100|pop50)', allowed is full with warm in split",
    ):
        make_config("Pop", eval_args={**mixed("item"), "mode": mode})


def test_without_times(make_config: MakeConfig, tiny_folder: Path) -> None:
    frame = pd.read_csv(tiny_folder / "tiny" / "tiny.inter", sep="\t").drop(
        columns="timestamp:float"
    )
    frame.to_csv(tiny_folder / "tiny" / "tiny.inter", sep="\t", index=False)
    for split in ({"CS": COLD}, {"CS": COLD, "warm": WARM}):
        with pytest.raises((ConfigError, DataError), match="TO") as caught:
            pairs_of(
                make_config(
                    "Pop",
                    eval_args={"split": split, "group_by": "item", "order": "TO"},
                    load_col=None,
                )
            )
        assert "\n" not in str(caught.value)
        assert "timestamp" in str(caught.value)
