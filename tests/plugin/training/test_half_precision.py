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
    ("capabilities", "width", "expected"),
    [
        (AMX, 128, ""),
        (AMX, 127, "1.2 times"),
        (AVX512_BF16, 512, "1.3 times"),
        (AVX512, 64, "2.9 times"),
        ({"architecture": "aarch64", "bf16": True}, 64, ""),
        ({}, 64, ""),
    ],
)
def test_slower_processors(capabilities: dict[str, object], width: int, expected: str) -> None:
    assert slower_in_bfloat16(capabilities, width) == expected


@pytest.mark.parametrize(
    ("capabilities", "width", "enabled", "said"),
    [
        (AVX512_BF16, 16, True, ["without AMX, where steps in bfloat16 take about 1.3 times"]),
        (AVX512_BF16, 16, False, []),
        (AMX, 16, True, ["with layers as narrow as these, where steps in bfloat16 take about 1.2"]),
        (AMX, 128, True, []),
    ],
)
def test_training_warns_once(
    make_model: MakeModel,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capabilities: dict[str, object],
    width: int,
    enabled: bool,
    said: list[str],
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities, raising=False)
    config, model, train, *_ = make_model(
        enable_amp=enabled, epochs=1, branch_hidden_sizes=[width], modality_size=16
    )
    trainer = Trainer(config, model)

    with caplog.at_level(logging.WARNING):
        trainer.fit(train, saved=False)
        trainer.fit(train, saved=False)

    start = "enable_amp: found True on a CPU "
    found = [line for line in caplog.messages if line.startswith(start)]
    assert len(found) == len(said)
    assert all(line.startswith(start + one) for line, one in zip(found, said, strict=True))
    assert all(line.endswith("as long as in float32; leave it out") for line in found)


def test_torch_that_tells_nothing(
    make_model: MakeModel, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    config, model, train, *_ = make_model(enable_amp=True, epochs=1)
    with caplog.at_level(logging.WARNING):
        Trainer(config, model).fit(train, saved=False)
    assert not [line for line in caplog.messages if line.startswith("enable_amp")]
