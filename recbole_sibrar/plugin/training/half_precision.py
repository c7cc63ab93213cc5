"""Warning about ``enable_amp`` on a CPU that computes slower in bfloat16 than in float32."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from recbole.trainer import Trainer

from recbole_sibrar.model.multimodal import MultimodalRecommender
from recbole_sibrar.plugin.state import training_state

__all__ = ["fit", "slower_in_bfloat16"]


def slower_in_bfloat16(capabilities: Mapping[str, object]) -> str:
    """Tell how much slower training steps are in bfloat16 on an x86 CPU without AMX; empty for any other CPU.

    The figures are those of benchmarks/results.md. Matrix products are more than half of these steps. Without AMX
    they take longer in bfloat16, and the conversions come on top.

    Args:
        capabilities: Names of instruction sets, each with True if the CPU has it, and its ``architecture``.

    Example:
        >>> slower_in_bfloat16({"architecture": "x86_64", "amx_bf16": False, "avx512_bf16": True})
        '1.3 times'
        >>> slower_in_bfloat16({"architecture": "x86_64", "amx_bf16": True, "avx512_bf16": True})
        ''
    """
    if capabilities.get("architecture") != "x86_64" or capabilities.get("amx_bf16", True):
        return ""
    return "1.3 times" if capabilities.get("avx512_bf16") else "2.9 times"


def fit(original: Callable[..., Any], trainer: Trainer, *args: Any, **kwargs: Any) -> Any:
    """Train, after one warning where ``enable_amp`` makes the steps of our models slower."""
    is_ours = isinstance(trainer.model, MultimodalRecommender)
    if is_ours and trainer.enable_amp and trainer.device.type == "cpu":
        _warn(trainer)
    return original(trainer, *args, **kwargs)


def _warn(trainer: Trainer) -> None:
    # Only newer versions of torch tell what the CPU can do.
    capabilities: dict[str, object] = getattr(torch.cpu, "get_capabilities", dict)()
    slower = slower_in_bfloat16(capabilities)
    said = training_state(trainer).warnings
    if slower and "enable_amp" not in said:
        said.add("enable_amp")
        trainer.logger.warning(
            f"enable_amp: found True on a CPU without AMX, where steps in bfloat16 take about {slower} as long as in "
            "float32; leave it out"
        )
