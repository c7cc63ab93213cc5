"""Runs of a comparison that are planned only, or whose process is a shell script."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from recbole_sibrar.quick_start.group import execution, planning
from recbole_sibrar.quick_start.group.runs import Run
from recbole_sibrar.quick_start.group.variants import Variant

Plan = Callable[..., tuple[list[Run], list[str]]]


@pytest.fixture
def plan(
    tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., tuple[list[Run], list[str]]]:
    """The runs of a comparison and what is noted: ``plan([Variant("a", "BPR")], [1, 2], epochs=3)``."""
    monkeypatch.setattr(sys, "argv", ["run_recbole_group"])
    monkeypatch.chdir(tmp_path)

    def build(
        variants: Sequence[Variant] = (Variant("BPR", "BPR"),),
        seeds: Sequence[int] = (1,),
        files: Sequence[str] = (),
        dataset: str = "tiny",
        **keys: Any,
    ) -> tuple[list[Run], list[str]]:
        notes: list[str] = []
        keys = {"data_path": str(tiny_folder), "load_col": "None", **keys}
        runs = planning.plan(
            variants, dataset, files, keys, lambda first: list(seeds), Path("out"), notes.append
        )
        return runs, notes

    return build


@pytest.fixture
def fake(
    plan: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[str], None]]:
    """Replaces the process of a run by a shell script, which has the folder of the run in ``$3``."""

    def install(script: str) -> None:
        file = tmp_path / "fake"
        file.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
        file.chmod(0o755)
        monkeypatch.setattr(execution.sys, "executable", str(file))

    return install
