"""Ray's processes that fail: the command ends in one line, however Ray takes it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest
import ray

from recbole_sibrar.config import ConfigError
from recbole_sibrar.errors import ProcessError
from recbole_sibrar.quick_start.cluster import session, watch

PROGRAM = """
import os, sys, time
from types import SimpleNamespace
import ray
from recbole_sibrar.quick_start.cluster import session, watch
from recbole_sibrar.cli.reporting import reporting

watch._SECONDS_TO_END = 1.0
node = SimpleNamespace(dead_processes=lambda: [(sys.argv[2], None)])

def start(**options):
    if sys.argv[1] == "ends the process":
        os._exit(1)
    ray._private.worker._global_node = node

def work():
    with session.connected("local", "prog", "try again"):
        if sys.argv[1] == "all is well":
            return 0
        try:
            time.sleep(60)
        except KeyboardInterrupt:
            if sys.argv[1] == "lets it wait":
                raise
            time.sleep(60)
    return 0

def stop():
    ray._private.worker._global_node = None

ray.init, ray.shutdown = start, stop
sys.exit(reporting("prog", work, debug=False))
"""
"""Stands for a command whose Ray fails in one of its ways."""


def run_program(way: str, process: str = "raylet") -> tuple[int, list[str]]:
    """Exit status and lines on standard error."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", PROGRAM, way, process],
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )
    return done.returncode, done.stderr.splitlines()


@pytest.mark.slow
@pytest.mark.processes
@pytest.mark.parametrize("way", ["ends the process", "lets it wait", "ignores the interrupt"])
def test_a_failure_is_one_line(way: str) -> None:
    status, lines = run_program(way)
    assert status == 1
    (line,) = lines
    assert line.startswith(
        "prog: error: Ray has failed: one of its processes has ended or did not start"
    )
    assert line.endswith("; try again")


@pytest.mark.slow
@pytest.mark.processes
def test_other_processes_of_ray_may_end() -> None:
    assert run_program("all is well", "dashboard") == (0, [])


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (Exception("The current node timed out\nduring startup."), ProcessError),
        (ConnectionError("nobody there"), ConfigError),
    ],
)
def test_a_start_that_fails_is_one_line(
    monkeypatch: pytest.MonkeyPatch, error: Exception, expected: type[Exception]
) -> None:
    def fail(**options: object) -> None:
        raise error

    monkeypatch.setattr(ray, "init", fail)
    with pytest.raises(expected) as caught, session.connected("local", "prog", "try again"):
        raise AssertionError
    assert "\n" not in str(caught.value)
    assert " ".join(str(error).split()) in str(caught.value)


def test_a_slow_start_is_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[subprocess.Popen[bytes]] = []

    def start(**options: object) -> None:
        started.append(subprocess.Popen(["sleep", "60"]))
        if len(started) == 1:
            raise Exception("The current node timed out during startup.")

    monkeypatch.setattr(ray, "init", start)
    monkeypatch.setattr(ray, "shutdown", lambda: None)
    with session.connected("local", "prog", "try again"):
        assert not psutil.pid_exists(started[0].pid)
        assert started[1].poll() is None
    started[1].kill()
    started[1].wait()


def test_a_slow_end_is_no_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    node = SimpleNamespace(dead_processes=lambda: [("raylet", None)] if is_ending else [])
    is_ending = False

    def shutdown() -> None:
        nonlocal is_ending
        is_ending = True
        time.sleep(0.2)

    monkeypatch.setattr(watch, "_POLL_SECONDS", 0.02)
    monkeypatch.setattr(ray._private.worker, "_global_node", node)
    monkeypatch.setattr(ray, "init", lambda **options: None)
    monkeypatch.setattr(ray, "shutdown", shutdown)
    with session.connected("local", "prog", "try again"):
        pass
    assert is_ending


def test_ctrl_c_stays_ctrl_c(monkeypatch: pytest.MonkeyPatch) -> None:
    node = SimpleNamespace(dead_processes=list)
    monkeypatch.setattr(
        ray,
        "init",
        lambda **options: monkeypatch.setattr(ray._private.worker, "_global_node", node),
    )
    monkeypatch.setattr(
        ray, "shutdown", lambda: monkeypatch.setattr(ray._private.worker, "_global_node", None)
    )
    with pytest.raises(KeyboardInterrupt), session.connected("local", "prog", "try again"):
        raise KeyboardInterrupt


def wait_for(found: Callable[[], object], seconds: float = 600) -> None:
    end = time.monotonic() + seconds
    while not found():
        assert time.monotonic() < end
        time.sleep(0.1)


@pytest.mark.slow
@pytest.mark.processes
def test_a_search_ends_when_ray_is_killed(shared_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "a.hyper").write_text("learning_rate loguniform -9.2,-2.3\n")
    keys = [
        f"--data_path={shared_folder}",
        "--load_col={'inter': ['user_id', 'item_id']}",
        "--tensorboard=none",
    ]
    options = [
        "--params_file=a.hyper",
        "--tool=Ray",
        "--algo=random",
        "--num_samples=1",
        "--resources_per_trial=cpu=1",
    ]
    arguments = [
        "-m",
        "BPR",
        "-d",
        "tiny",
        "--epochs=2000",
        "--stopping_step=2000",
        *options,
        *keys,
    ]
    code = "import sys; from recbole_sibrar.cli import run_hyper; sys.exit(run_hyper(sys.argv[1:]))"
    environment = {**os.environ, "RAY_TMPDIR": "/tmp/ray"}
    process = subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        cwd=tmp_path,
        env=environment,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        wait_for(
            lambda: list(tmp_path.glob("hyper/trials/*/log.txt")) or process.poll() is not None
        )
        (raylet,) = [
            child for child in psutil.Process(process.pid).children() if child.name() == "raylet"
        ]
        raylet.kill()
        _, errors = process.communicate(timeout=400)
    finally:
        process.kill()
    assert process.returncode == 1
    last = errors.splitlines()[-1]
    assert last.startswith("run_hyper: error: Ray has failed: ")
    assert "--resume" in last
    assert "Traceback" not in errors
    assert "failed" not in "".join(file.read_text() for file in tmp_path.glob("hyper/trials.csv"))
