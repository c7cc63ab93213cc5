"""``enable_amp`` on a CPU: one warning where bfloat16 is slower than float32, and none where it is not."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import pytest
import torch
from recbole.trainer import Trainer

from recbole_sibrar.plugin.training.half_precision import slower_in_bfloat16

MakeModel = Callable[..., tuple[Any, ...]]

X86 = {"architecture": "x86_64"}
AMX = {**X86, "amx_bf16": True, "avx512_bf16": True}
AVX512_BF16 = {**X86, "amx_bf16": False, "avx512_bf16": True}
AVX512 = {**X86, "amx_bf16": False, "avx512_bf16": False}


@pytest.mark.parametrize(
    ("capabilities", "expected"),
    [
        (AMX, ""),
        (AVX512_BF16, "1.3 times"),
        (AVX512, "2.9 times"),
        ({"architecture": "aarch64", "bf16": True}, ""),
        ({}, ""),
    ],
)
def test_slower_processors(capabilities: dict[str, object], expected: str) -> None:
    assert slower_in_bfloat16(capabilities) == expected


@pytest.mark.parametrize(
    ("capabilities", "enabled", "n_warnings"),
    [(AVX512_BF16, True, 1), (AVX512_BF16, False, 0), (AMX, True, 0)],
)
def test_training_warns_once(
    make_model: MakeModel,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capabilities: dict[str, object],
    enabled: bool,
    n_warnings: int,
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities, raising=False)
    config, model, train, *_ = make_model(enable_amp=enabled, epochs=1)
    trainer = Trainer(config, model)

    with caplog.at_level(logging.WARNING):
        trainer.fit(train, saved=False)
        trainer.fit(train, saved=False)

    said = [line for line in caplog.messages if line.startswith("enable_amp: found True on a CPU")]
    assert len(said) == n_warnings
    assert all("1.3 times as long as in float32; leave it out" in line for line in said)


def test_torch_that_tells_nothing(
    make_model: MakeModel, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    config, model, train, *_ = make_model(enable_amp=True, epochs=1)
    with caplog.at_level(logging.WARNING):
        Trainer(config, model).fit(train, saved=False)
    assert not [line for line in caplog.messages if line.startswith("enable_amp")]
