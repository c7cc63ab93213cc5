"""The server as processes: kills, reloads under load, several workers."""

from __future__ import annotations

import importlib
import os
import signal
import socket
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from served_example import AUTHORIZED, TOKEN, serving, write_example

from recbole_sibrar import cli
from recbole_sibrar.serving.api import launch

pytestmark = [pytest.mark.slow, pytest.mark.processes]


@pytest.fixture
def token_file(tmp_path: Path) -> Path:
    path = tmp_path / "token"
    path.write_text(TOKEN, encoding="utf-8")
    return path


class Load:
    """Requests of two threads, each on a connection of its own, until ``stop``; a failed one is kept."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.n_answers = 0
        self.failures: list[str] = []
        self._end = threading.Event()
        self._pool = ThreadPoolExecutor(2)
        self._threads = [self._pool.submit(self._ask) for _ in range(2)]

    def _ask(self) -> None:
        with httpx.Client(base_url=self.address, timeout=180) as client:
            while not self._end.is_set():
                try:
                    answer = client.post("/recommend", json={"users": ["ann", "bob"], "k": 3})
                    if answer.status_code != 200:
                        self.failures.append(answer.text)
                except httpx.HTTPError as error:
                    self.failures.append(repr(error))
                self.n_answers += 1

    def stop(self) -> None:
        self._end.set()
        for thread in self._threads:
            thread.result()
        self._pool.shutdown()


@pytest.mark.parametrize("workers", [1, 2])
def test_kills_lose_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, workers: int) -> None:
    """A few of the kills of ``python benchmarks/server_kills.py``."""
    monkeypatch.syspath_prepend(Path(__file__).parents[3] / "benchmarks")
    outcome = importlib.import_module("server_kills").run(
        tmp_path, kills=2, workers=workers, seed=workers
    )
    assert outcome.problems == []
    assert outcome.n_put > 10
    assert outcome.n_removed > 3
    assert outcome.n_read > 3


@pytest.mark.parametrize("how", ["signal", "request"])
@pytest.mark.parametrize("workers", [1, 2])
def test_reload_loses_no_request(folder: Path, token_file: Path, workers: int, how: str) -> None:
    with serving(folder, "--token-file", str(token_file), "--workers", str(workers)) as (
        process,
        address,
    ):
        load = Load(address)
        models = set()
        for model in ("MuBraR", "SiBraR", "MuBraR"):
            write_example(folder, overwrite=True, model=model)
            if how == "signal":
                os.kill(process.pid, signal.SIGHUP)
            else:
                assert (
                    httpx.post(f"{address}/reload", headers=AUTHORIZED, timeout=180).status_code
                    == 200
                )
            _wait_for(address, model)
            models.add(model)
        load.stop()
        assert load.failures == []
        assert load.n_answers > 10
        assert models == {"MuBraR", "SiBraR"}


def _wait_for(address: str, model: str) -> None:
    """Wait until every worker has the model: new connections come to any of them."""
    agreeing = 0
    end = time.monotonic() + 180
    while agreeing < 10 and time.monotonic() < end:
        agreeing = (
            agreeing + 1
            if httpx.get(f"{address}/model", timeout=180).json()["model"] == model
            else 0
        )
        time.sleep(0.05)
    assert agreeing == 10


def test_workers_share_items_and_metrics(folder: Path, token_file: Path) -> None:
    with serving(folder, "--token-file", str(token_file), "--workers", "2") as (process, address):
        for number in range(10):
            item = {"item_id": f"film{number}", "year": 1990}
            assert (
                httpx.put(
                    f"{address}/items", json={"items": [item]}, headers=AUTHORIZED
                ).status_code
                == 200
            )
            answer = httpx.post(f"{address}/similar", json={"items": [f"film{number}"]})
            assert answer.status_code == 200  # by whichever worker
        metrics = httpx.get(f"{address}/metrics").text
        assert 'sibrar_requests_total{endpoint="/items",status="200"} 10.0' in metrics
        assert "sibrar_items 15.0" in metrics
        process.terminate()
        assert process.wait(60) == 0


def test_log_holds_counts_and_times(folder: Path) -> None:
    with serving(folder) as (process, address):
        httpx.post(f"{address}/recommend", json={"users": ["ann", "nobody"]})
        httpx.get(f"{address}/nothing")
        process.terminate()
        process.wait(60)
    log = folder.with_name("log").read_text("utf-8")
    assert "3 users, 5 items" in log
    assert not [
        name for name in ("ann", "nobody", "nothing", "/recommend", "Traceback") if name in log
    ]


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (["--port", "70000"], "--port: found '70000'"),
        (["--workers", "0"], "--workers: found '0'"),
        (["--max-k", "x"], "--max-k: found 'x'"),
        (["--token-file", "nowhere"], "--token-file: cannot read"),
        (["--host", "203.0.113.9"], "--host, --port: cannot listen"),
        (["--store", "/nowhere/at/all"], "--store: cannot use"),
    ],
)
def test_wrong_options(
    folder: Path,
    token_file: Path,
    capsys: pytest.CaptureFixture[str],
    options: list[str],
    named: str,
) -> None:
    given = ["serve", str(folder), "--token-file", str(token_file), "--port", "0", *options]
    assert cli.main(given) == cli.WRONG_INPUT
    lines = [line for line in capsys.readouterr().err.splitlines() if " INFO " not in line]
    assert len(lines) == 1
    assert named in lines[0]


def test_answers_do_not_wait() -> None:
    import uvicorn

    with launch._bound(uvicorn.Config("", host="127.0.0.1", port=0)) as opened:
        assert opened.proto == socket.IPPROTO_TCP  # else asyncio leaves Nagle's algorithm on


def test_wrong_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["serve", str(tmp_path / "nothing.sibrar")]) == cli.WRONG_INPUT
    assert "there is no such folder" in capsys.readouterr().err


def test_missing_package(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    assert cli.main(["serve", str(folder)]) == cli.WRONG_INPUT
    assert launch.INSTALL in capsys.readouterr().err


def test_broken_model_starts_no_worker(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "weights.safetensors").write_bytes(b"broken")
    monkeypatch.setattr(launch, "_supervise", lambda config: pytest.fail("workers were started"))
    assert cli.main(["serve", str(folder), "--port", "0", "--workers", "2"]) == cli.WRONG_INPUT
    assert (
        "weights.safetensors: the file is not the one that was written" in capsys.readouterr().err
    )
