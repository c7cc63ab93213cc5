"""Memory kept from step to step: what the setting changes, and where it is left alone."""

from __future__ import annotations

import ctypes
import resource
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np
import pytest
import torch

from recbole_sibrar.model import SiBraR
from recbole_sibrar.model.example import ExampleData
from recbole_sibrar.plugin.training import memory


@pytest.fixture(autouse=True)
def _forget() -> None:
    memory.keep_freed_memory.cache_clear()


def faults() -> int:
    """Pages that this process took from the system so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt


def test_freed_tensors_are_taken_again() -> None:
    if not memory.keep_freed_memory():
        pytest.skip("not the GNU C library")

    taken = []
    for _ in range(8):
        before = faults()
        held = [torch.ones(5_000_000) for _ in range(2)]
        del held
        taken.append(faults() - before)
    assert min(taken) < 1000  # two of 20 MB are 10,000 pages


def resident_megabytes() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 1e6


def trainer_of(model: torch.nn.Module) -> Any:
    """A trainer after a step: each parameter has a gradient."""
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter)
    return SimpleNamespace(model=model)


def test_evaluation_has_the_memory_of_steps() -> None:
    if not Path("/proc/self/statm").exists() or not memory.keep_freed_memory():
        pytest.skip("not the GNU C library of Linux")

    data = ExampleData()
    trainer = trainer_of(SiBraR(data.config("SiBraR"), data))
    # 100 MB, of pieces that the library keeps; torch's own may come from elsewhere
    held = [np.ones(250_000, dtype=np.float32) for _ in range(100)]
    del held
    before = resident_megabytes()

    def evaluated(*given: object) -> object:
        assert before - resident_megabytes() > 50
        assert all(parameter.grad is None for parameter in trainer.model.parameters())
        return given

    assert memory.evaluate(evaluated, trainer, "data", False) == (trainer, "data", False)


def test_other_models_keep_their_gradients() -> None:
    trainer = trainer_of(torch.nn.Linear(2, 1))
    memory.evaluate(lambda *_: None, trainer)
    assert all(parameter.grad is not None for parameter in trainer.model.parameters())


@pytest.mark.parametrize("name", ["MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_"])
def test_own_setting_is_left_alone(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "131072")
    assert not memory.keep_freed_memory()


def test_values_for_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    class Library:
        given: ClassVar[list[tuple[int, int]]] = []

        def mallopt(self, *given: int) -> int:
            self.given.append(given)
            return 1

    monkeypatch.setattr(ctypes, "CDLL", lambda _: Library())
    assert memory.keep_freed_memory()
    assert memory.keep_freed_memory()  # once for a process
    assert Library.given == [(-3, 33554432), (-1, 2147483647)]


def test_other_libraries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda _: object())
    assert not memory.keep_freed_memory()
