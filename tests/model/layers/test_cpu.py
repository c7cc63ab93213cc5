"""Properties of the CPU, known and unknown."""

from __future__ import annotations

import pytest
import torch

from recbole_sibrar.model.layers import cpu


def test_cache_is_known_or_assumed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        torch.cpu, "get_capabilities", lambda: {"l2_cache_size": 5 << 20}, raising=False
    )
    cpu.second_cache.cache_clear()
    assert cpu.second_cache() == 5 << 20

    monkeypatch.delattr(torch.cpu, "get_capabilities")
    cpu.second_cache.cache_clear()
    assert cpu.second_cache() == 1 << 20
    cpu.second_cache.cache_clear()


@pytest.mark.parametrize(
    ("known", "expected"),
    [
        ({"cpu_name": "AMD EPYC 9755", "avx512_f": True, "amx_tile": False}, True),
        ({"cpu_name": "AMD EPYC 9755", "avx512_f": True, "amx_tile": True}, False),
        ({"cpu_name": "AMD EPYC 7763", "avx512_f": False, "amx_tile": False}, False),
        ({"cpu_name": "Intel(R) Xeon(R)", "avx512_f": True, "amx_tile": False}, False),
        ({}, False),
    ],
)
def test_which_cpu_has_faster_products(known: dict[str, object], expected: bool) -> None:
    assert cpu.has_faster_products(known) is expected
