"""Every general, context-aware and sequential model of RecBole has the same results with and without the plugin."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

SCRIPT = Path(__file__).with_name("all_models.py")


@pytest.fixture(scope="module")
def outcomes(
    tmp_path_factory: pytest.TempPathFactory, toy: Path
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Result or error of each model, without the plugin and with it. Both processes run at the same time."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    folders = [tmp_path_factory.mktemp(name) for name in ("without", "with")]
    processes = []
    for folder in folders:
        (folder / "dataset").symlink_to(toy)
        command = [
            sys.executable,
            str(SCRIPT),
            folder.name.rstrip("0123456789"),
            str(folder / "outcomes.json"),
        ]
        processes.append(
            subprocess.Popen(command, cwd=folder, env=environment, stderr=subprocess.DEVNULL)
        )
    assert [process.wait() for process in processes] == [0, 0]
    without, with_plugin = (
        json.loads((folder / "outcomes.json").read_text(encoding="utf-8")) for folder in folders
    )
    return without, with_plugin


@pytest.mark.processes
@pytest.mark.slow
def test_models_give_what_they_give_alone(outcomes: tuple[dict[str, Any], dict[str, Any]]) -> None:
    alone, with_plugin = outcomes
    ran = {name: result for name, result in alone.items() if isinstance(result, dict)}
    assert len(ran) > 70
    assert {name: with_plugin[name] for name in ran} == ran


@pytest.mark.processes
@pytest.mark.slow
def test_models_that_fail_alone_fail(outcomes: tuple[dict[str, Any], dict[str, Any]]) -> None:
    alone, with_plugin = outcomes
    failed = {name for name, result in alone.items() if isinstance(result, str)}
    assert {name for name, result in with_plugin.items() if isinstance(result, str)} == failed
