"""Processes that train one model and do not find each other, and how early several of them stop."""

from __future__ import annotations

import socket
import time
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from recbole_sibrar.config import ConfigError
from recbole_sibrar.parallel import processes
from recbole_sibrar.plugin.training import process_group
from recbole_sibrar.trainer import progress


@pytest.mark.slow
def test_process_without_partners_gives_up(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(process_group, "_MEETING_TIME", timedelta(seconds=2))
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    keys = {
        "ip": "localhost",
        "port": port,
        "world_size": 2,
        "nproc": 1,
        "offset": 0,
        "device": torch.device("cpu"),
    }
    started = time.monotonic()
    with pytest.raises(
        ConfigError, match=f"--ip, --port: 2 processes did not meet at localhost:{port}: "
    ):
        process_group._join(keys, 0)
    assert time.monotonic() - started < 30  # torch alone waits half an hour
    assert capsys.readouterr().err == f"waiting for 2 processes at localhost:{port}\n"


@pytest.mark.parametrize(("n_processes", "reserve"), [(1, 1.0), (2, 1.0 + 16 * 0.5)])
def test_several_processes_stop_earlier(
    monkeypatch: pytest.MonkeyPatch, n_processes: int, reserve: float
) -> None:
    clock, asked = [100.0], list[float]()
    monkeypatch.setattr(processes, "count", lambda config: n_processes)
    monkeypatch.setattr(progress, "common_reason", lambda config, reason: reason)
    monkeypatch.setattr(progress, "reason_to_stop", lambda config, reserve: asked.append(reserve))
    monkeypatch.setattr(progress.time, "monotonic", lambda: clock[0])
    settings = SimpleNamespace(checkpoint_every=1)
    monkeypatch.setattr(progress, "training_config", lambda config: settings)
    trainer: Any = SimpleNamespace(
        config={}, saved_model_file=Path("a.pth"), model=torch.nn.Identity()
    )
    epoch = progress.Progress(trainer, saved=True)
    for seconds in (9.0, *[0.25] * 20, 0.5, *[0.25] * 10):  # the first also starts the epoch
        clock[0] += seconds
        epoch.after_batch(0)
    assert asked[-1] == pytest.approx(reserve)
