"""RecBole's ``full_sort_topk`` for every user of every part; known interactions are masked."""

from __future__ import annotations

import json
import runpy
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from recbole.data.interaction import Interaction
from recbole.utils.case_study import full_sort_scores, full_sort_topk

from recbole_sibrar.config import ConfigError

Build = Callable[..., tuple[Any, ...]]
N_USERS, N_ITEMS = 30, 40
SCRIPT = Path(__file__).with_name("case_study_runs.py")
ALL_USERS = list(range(1, N_USERS + 1))


def cold(group_by: str) -> dict[str, Any]:
    return {"split": {"CS": [0.6, 0.2, 0.2]}, "group_by": group_by}


WARM = {"split": {"RS": [0.8, 0.1, 0.1]}, "group_by": "user", "order": "RO", "mode": "full"}
UNGROUPED = {"split": {"RS": [0.9, 0.05, 0.05]}, "group_by": None, "order": "RO", "mode": "full"}


def pairs(loader: Any) -> set[tuple[int, int]]:
    table = loader._dataset.inter_feat
    return set(zip(table["user_id"].tolist(), table["item_id"].tolist(), strict=True))


def rankings(
    network: Any, users: list[int], candidates: set[int], history: set[tuple[int, int]]
) -> dict[int, list[int]]:
    """For each user the candidates without the user's history, best first, by the scores of the model."""
    found = {}
    for user in users:
        with torch.no_grad():
            scores = (
                network.eval()
                .full_sort_predict(Interaction({"user_id": torch.tensor([user])}))
                .flatten()
            )
        order = scores.argsort(descending=True, stable=True).tolist()
        found[user] = [item for item in order if item in candidates and (user, item) not in history]
    return found


@pytest.mark.slow
@pytest.mark.parametrize("arguments", [cold("item"), cold("user"), cold("both"), UNGROUPED])
@pytest.mark.parametrize("model", ["SiBraR", "BPR"])
@pytest.mark.parametrize("part", ["valid", "test"])
def test_every_user_gets_a_list(
    make_model: Build, model: str, arguments: dict[str, Any], part: str
) -> None:
    _, network, train, valid, test = make_model(model=model, eval_args=arguments)
    earlier, loader = (
        (pairs(train), valid) if part == "valid" else (pairs(train) | pairs(valid), test)
    )
    held_out = pairs(loader)
    users = sorted({user for user, _ in held_out | pairs(train) | pairs(valid) | pairs(test)})
    assert set(users) > {user for user, _ in held_out}  # some have nothing in this part
    in_part = {item for _, item in held_out}
    candidates = in_part if "CS" in arguments["split"] else set(range(1, loader._dataset.item_num))
    expected = rankings(network, users, candidates, earlier - held_out)

    k = min(20, loader._dataset.item_num - 1)
    scores, items = full_sort_topk(users, network, loader, k)
    for user, row, of_row in zip(users, items.tolist(), scores.tolist(), strict=True):
        filled = expected[user][:k]
        assert row == filled + [0] * (k - len(filled))
        assert [score > -np.inf for score in of_row] == [True] * len(filled) + [False] * (
            k - len(filled)
        )


def test_users_of_the_user_file_alone(make_model: Build, tiny_folder: Path) -> None:
    with open(tiny_folder / "tiny" / "tiny.user", "a") as file:
        file.write("new\tc1\tt1\t3\t0.1 0.2 0.3\n")
    settings = {"load_col": None, "eval_args": cold("item")}
    for model in ("BPR", "SiBraR"):
        _, network, _, _, test = make_model(model=model, **settings)
        new = test._dataset.token2id("user_id", "new")
        scores, items = full_sort_topk(new, network, test, 10)
        candidates = {item for _, item in pairs(test)}
        assert set(items[0].tolist()) == candidates | {0}
        assert int((scores > -torch.inf).sum()) == len(candidates)


def test_scores_of_what_is_not_ranked(make_model: Build) -> None:
    _, network, train, valid, test = make_model(model="BPR", eval_args=WARM)
    scores = full_sort_scores(ALL_USERS, network, test)
    masked = {(row + 1, item) for row, item in (scores == -torch.inf).nonzero().tolist()}
    history = (pairs(train) | pairs(valid)) - pairs(test)
    assert masked == history | {(user, 0) for user in ALL_USERS}


FORMS = [
    3,
    np.int32(3),
    [3],
    (3,),
    np.array([3], dtype=np.int16),
    torch.tensor([3]),
    torch.tensor(3),
    [torch.tensor(3)],
]


@pytest.mark.parametrize("users", FORMS, ids=lambda users: type(users).__name__)
def test_users_in_every_form(make_model: Build, users: Any) -> None:
    _, network, *_, test = make_model(model="BPR", eval_args=WARM)
    scores, items = full_sort_topk(users, network, test, np.int64(4))
    expected, expected_items = full_sort_topk(np.array([3]), network, test, 4)
    assert items.tolist() == expected_items.tolist()
    assert scores.tolist() == expected.tolist()


def test_users_who_are_asked_for_twice(make_model: Build) -> None:
    _, network, *_, test = make_model(model="BPR", eval_args=cold("item"))
    rows = full_sort_topk([7, 3, 7], network, test, 4)[1].tolist()
    assert rows[0] == rows[2] != rows[1]


@pytest.mark.parametrize("model", ["BPR", "SASRec"])
@pytest.mark.parametrize("users", [0, -1, 31, [3, 99], ["u3"], [1.5], [], [[1, 2]], None])
def test_wrong_users_are_one_line(make_model: Build, model: str, users: Any) -> None:
    _, network, *_, test = make_model(
        model=model, **(SEQUENTIAL if model == "SASRec" else {"eval_args": WARM})
    )
    with pytest.raises(
        ConfigError, match=r"^uid_series: found [^\n]*id of a user, from 1 to 30[^\n]*$"
    ):
        full_sort_topk(users, network, test, 4)


@pytest.mark.parametrize("k", [0, 41, 1000, "3", 2.0, None])
def test_a_wrong_length_is_one_line(make_model: Build, k: Any) -> None:
    _, network, *_, test = make_model(model="BPR", eval_args=WARM)
    with pytest.raises(
        ConfigError,
        match=rf"^k: found {k!r}, allowed is a whole number from 1 to {N_ITEMS}, [^\n]*$",
    ):
        full_sort_topk([3], network, test, k)


def test_loaders_that_rank_nothing(make_model: Build) -> None:
    _, network, train, _, test = make_model(model="BPR", eval_args={**WARM, "mode": "uni20"})
    for loader, name in (
        (test, "'NegSampleEvalDataLoader'"),
        (train, "'TrainDataLoader'"),
        (None, "None"),
    ):
        with pytest.raises(ConfigError, match=rf"^test_data: found {name}, allowed is [^\n]*$"):
            full_sort_topk([3], network, loader, 4)


SEQUENTIAL: dict[str, Any] = {
    "load_col": {"inter": ["user_id", "item_id", "timestamp"]},
    "train_neg_sample_args": None,
    "eval_args": {
        "split": {"LS": "valid_and_test"},
        "group_by": "user",
        "order": "TO",
        "mode": "full",
    },
}
DRAWN = {
    "train_neg_sample_args": {
        "distribution": "uniform",
        "sample_num": 1,
        "alpha": 1.0,
        "dynamic": False,
    }
}
CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "general": ("BPR", {"eval_args": WARM}),
    "scores of pairs": ("NeuMF", {"eval_args": WARM}),
    "context": (
        "FM",
        {"eval_args": WARM, "metrics": ["Recall"], "valid_metric": "Recall@10", **DRAWN},
    ),
    "sequential": ("SASRec", SEQUENTIAL),
}


@pytest.fixture(scope="module")
def alone(shared_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Lists of RecBole without the plugin."""
    command = [sys.executable, str(SCRIPT), str(shared_folder), json.dumps(CASES)]
    folder = tmp_path_factory.mktemp("alone")
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert not found["plugin"]
    return found["results"]


@pytest.mark.slow
@pytest.mark.processes
@pytest.mark.parametrize("case", CASES)
def test_recboles_models_get_its_lists(
    alone: dict[str, Any],
    shared_folder: Path,
    case: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["test"])
    found = runpy.run_path(str(SCRIPT))["run"](str(shared_folder), *CASES[case])
    assert json.loads(json.dumps(found)) == alone[case]


def test_users_without_a_sequence_are_named(
    make_model: Build, tiny_folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with open(tiny_folder / "tiny" / "tiny.inter", "a") as file:
        file.write("once\ti1\t3\t1\n")  # a single interaction, which the split leaves in training
    _, network, _, _, test = make_model(model="SASRec", **SEQUENTIAL)
    once = int(test._dataset.token2id("user_id", "once"))
    assert (
        full_sort_topk([3, once], network, test, 4)[1].tolist()
        == full_sort_topk([3], network, test, 4)[1].tolist()
    )
    assert (
        f"uid_series: 1 users have no sequence in this part and get no row: {once}" in caplog.text
    )
    with pytest.raises(
        ConfigError, match=rf"^uid_series: found '{once}', allowed is a user with a sequence"
    ):
        full_sort_topk(once, network, test, 4)
