"""Recommendations on a Ray cluster."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import ray

from recbole_sibrar import cli
from recbole_sibrar.quick_start.cluster import recommending
from recbole_sibrar.serving.batch.actor import Failure, ShardActor
from recbole_sibrar.serving.batch.shards import Shard, ShardOptions
from recbole_sibrar.serving.bundle.writing import write
from recbole_sibrar.serving.example import example_content, example_model

OPTIONS = ShardOptions(3)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The example as a portable model."""
    write(example_content(), tmp_path / "films.sibrar")
    return tmp_path / "films.sibrar"


def test_an_actor_answers_as_the_model(folder: Path) -> None:
    added = [pa.table({"item_id": ["solaris"], "year": [1972]})]
    frame, unknown = ShardActor(str(folder), added, OPTIONS).recommend(Shard(1, 3))  # type: ignore[misc]
    model = example_model()
    model.add_items(added[0])
    assert unknown == 0
    assert frame.equals(model.recommend(["bob", "cem"], 3))


@pytest.mark.parametrize(
    ("shard", "message"),
    [
        (
            Shard(users=pa.table({"user_id": ["anne"]})),
            "user 'anne' is unknown; did you mean 'ann'?",
        ),
        (Shard(users=pa.table({"interactions": [1.5]})), None),
        (Shard(users=pa.table({"age": [3]})), "'age' is no field"),
    ],
)
def test_failures_are_answers(folder: Path, shard: Shard, message: str | None) -> None:
    answer = ShardActor(str(folder), [], OPTIONS).recommend(shard)
    assert isinstance(answer, Failure) == (message is not None)
    assert message is None or message in answer.message  # type: ignore[union-attr]


def test_missing_models_are_answers(tmp_path: Path) -> None:
    answer = ShardActor(str(tmp_path / "nothing"), [], OPTIONS).recommend(Shard(0, 1))
    assert isinstance(answer, Failure)
    assert "there is no such folder" in answer.message


def test_results_keep_the_order(monkeypatch: pytest.MonkeyPatch) -> None:
    """Actors without Ray; each wait finds a random part of the shards ready."""
    random = np.random.default_rng(0)
    waiting: list[int] = []

    def wait(
        references: list[int], num_returns: int, timeout: float | None
    ) -> tuple[list[int], list[int]]:
        waiting.append(len(references))
        ready = [one for one in references if random.random() < 0.4]
        return (ready or references[:1] if timeout is None else ready), []

    actor = SimpleNamespace(recommend=SimpleNamespace(remote=lambda shard: shard))
    monkeypatch.setattr(ray, "cluster_resources", lambda: {"CPU": 3.0})
    monkeypatch.setattr(ray, "wait", wait)
    monkeypatch.setattr(ray, "get", lambda reference: reference)
    monkeypatch.setattr(recommending._Queue, "_start", lambda self: actor)

    queue = recommending._Queue()
    found: list[Any] = []
    for number in range(200):
        queue.put(number)  # type: ignore[arg-type]
        found += queue.take(queue.n_finished)
        assert len(queue.in_order) <= 8 * 3
    found += queue.take(0)
    assert found == list(range(200))
    assert len(queue.actors) == 3
    assert max(waiting) <= 2 * 3


@pytest.mark.slow
@pytest.mark.processes
def test_lines_are_those_without_a_cluster(
    folder: Path, tmp_path: Path, run_command: Callable[..., Any]
) -> None:
    rows = [
        {"user_id": f"n{n}", "interactions": ["alien", f"x{n}"], "country": "AT"} for n in range(30)
    ]
    (tmp_path / "users.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    (tmp_path / "new.csv").write_text("item_id,year\nsolaris,1972\n", encoding="utf-8")
    common = [
        "recommend",
        str(folder),
        "--users=users.jsonl",
        "--items=new.csv",
        "--filter=year > 1950",
    ]

    for more in (["--output=one.csv"], ["--output=two.csv", "--cluster=local"]):
        done = run_command("recbole-sibrar", [*common, *more], tmp_path)
        assert done.returncode == 0, done.stderr
        assert "(30 users; 30 clicks on unknown items were left out)" in done.stdout
    assert (tmp_path / "one.csv").read_bytes() == (tmp_path / "two.csv").read_bytes()


def test_a_cluster_that_is_not_there(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "recs.csv"
    assert (
        cli.main(["recommend", str(folder), f"--output={output}", "--cluster=127.0.0.1:1"])
        == cli.WRONG_INPUT
    )
    (line,) = [line for line in capsys.readouterr().err.splitlines() if "error" in line]
    assert "--cluster: cannot use 127.0.0.1:1" in line
    assert not output.exists()
