"""Results of users as Parquet, CSV and JSON lines: read back they are what was written."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from recbole.config import Config
from recbole.quick_start import run_recbole

from recbole_sibrar.config import ConfigError
from recbole_sibrar.evaluator.user_results import read_users, write_users

FRAME = pd.DataFrame(
    {
        "user_id": ["007", "u,2", "NA", 'ü"4'],
        "ndcg@10": [0.1 + 0.2, 1 / 3, math.nan, 1.0],
        "pl@10": [math.nan, 1e-300, -2.5, 0.0],
        "items": [["1", "02"], [], ["a b", "c,d"], ["é"]],
    }
)


@pytest.mark.parametrize("suffix", [".parquet", ".csv", ".jsonl"])
def test_files_hold_what_was_written(tmp_path: Path, suffix: str) -> None:
    file = tmp_path / f"users{suffix}"
    write_users(FRAME, file)
    found = read_users(file)
    found["items"] = found["items"].map(list)
    pd.testing.assert_frame_equal(found, FRAME, check_exact=True)
    assert list(tmp_path.iterdir()) == [file]


def test_other_readers_understand_them(tmp_path: Path) -> None:
    write_users(FRAME, tmp_path / "users.csv")
    write_users(FRAME, tmp_path / "users.jsonl")
    cells = pd.read_csv(tmp_path / "users.csv", dtype=str, keep_default_na=False)
    assert cells["user_id"].tolist() == FRAME["user_id"].tolist()
    assert json.loads(cells["items"][2]) == ["a b", "c,d"]
    first, *_ = (tmp_path / "users.jsonl").read_text(encoding="utf-8").splitlines()
    assert json.loads(first) == {
        "user_id": "007",
        "ndcg@10": 0.1 + 0.2,
        "pl@10": None,
        "items": ["1", "02"],
    }


@pytest.mark.slow
def test_a_run_writes_the_same_in_each(make_config: Callable[..., Config], tmp_path: Path) -> None:
    frames = []
    for suffix in ("parquet", "csv", "jsonl"):
        file = tmp_path / f"users.{suffix}"
        keys = make_config("Pop", save_per_user=str(file)).variable_config_dict
        run_recbole("Pop", "tiny", config_dict=dict(keys))
        frames.append(read_users(file))
        frames[-1]["items"] = frames[-1]["items"].map(list)
    assert len(frames[0]) > 20
    for frame in frames[1:]:
        pd.testing.assert_frame_equal(frame, frames[0], check_exact=True)


@pytest.mark.parametrize("name", ["users.txt", "users", "users.json"])
def test_another_suffix_is_refused(make_config: Callable[..., Config], name: str) -> None:
    with pytest.raises(
        ConfigError, match=r"^save_per_user: found .* ends in \.parquet, \.csv, \.jsonl"
    ):
        make_config(save_per_user=name)
