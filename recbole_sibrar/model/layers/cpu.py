"""Properties of the CPU, for choices that change the time of a step."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import torch

__all__ = ["capabilities", "has_faster_products", "second_cache"]


def capabilities() -> Mapping[str, Any]:
    """Return the capabilities of the CPU; nothing in a version of torch that cannot tell."""
    found: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
    return found


@cache
def second_cache() -> int:
    """Return the bytes of the second cache, 1 MB where torch does not know them."""
    return capabilities().get("l2_cache_size") or 1 << 20


def has_faster_products(known: Mapping[str, Any]) -> bool:
    """Tell if oneDNN computes float32 products faster than torch's default library, MKL.

    MKL leaves the AVX-512 instructions of AMD's CPUs alone, so that oneDNN is about twice as fast
    there. With AMX, torch's setting for oneDNN would round the factors to bfloat16.

    Example:
        >>> amd = {"cpu_name": "AMD EPYC", "avx512_f": True, "avx512_bf16": True}
        >>> has_faster_products(amd), has_faster_products({**amd, "amx_tile": True})
        (True, False)
        >>> has_faster_products({"cpu_name": "Intel(R) Xeon(R)", "avx512_f": True})
        False
    """
    is_amd = str(known.get("cpu_name", "")).startswith("AMD")
    return is_amd and bool(known.get("avx512_f")) and not known.get("amx_tile")
