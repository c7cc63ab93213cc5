"""Warning about ``enable_amp`` on a CPU that computes slower in bfloat16 than in float32."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from recbole.trainer import Trainer
from torch import nn

from recbole_sibrar.model.layers.cpu import capabilities
from recbole_sibrar.model.multimodal import MultimodalRecommender
from recbole_sibrar.plugin.state import training_state

__all__ = ["fit", "slower_in_bfloat16"]


_WIDE = 128
"""Width of the widest layer from which on steps are faster in bfloat16 on a CPU with AMX."""


def slower_in_bfloat16(capabilities: Mapping[str, object], width: int) -> str:
    """Tell how much slower training steps are in bfloat16 on an x86 CPU; empty where they are not.

    The figures are those of benchmarks/results.md. Matrix products are more than half of the steps of a wide network.
    Without AMX they take longer in bfloat16, and the conversions come on top. In a narrow network the conversions
    outweigh the faster products of AMX.

    Args:
        capabilities: Names of instruction sets, each with True if the CPU has it, and its ``architecture``.
        width: Size of the output of the widest linear layer.

    Example:
        >>> slower_in_bfloat16({"architecture": "x86_64", "amx_bf16": False, "avx512_bf16": True}, 512)
        '1.3 times'
        >>> with_amx = {"architecture": "x86_64", "amx_bf16": True, "avx512_bf16": True}
        >>> slower_in_bfloat16(with_amx, 512), slower_in_bfloat16(with_amx, 64)
        ('', '1.2 times')
    """
    if capabilities.get("architecture") != "x86_64":
        return ""
    if capabilities.get("amx_bf16"):
        return "" if width >= _WIDE else "1.2 times"
    return "1.3 times" if capabilities.get("avx512_bf16") else "2.9 times"


def fit(original: Callable[..., Any], trainer: Trainer, *args: Any, **kwargs: Any) -> Any:
    """Train, after one warning where ``enable_amp`` makes the steps of our models slower."""
    is_ours = isinstance(trainer.model, MultimodalRecommender)
    if is_ours and trainer.enable_amp and trainer.device.type == "cpu":
        _warn(trainer)
    return original(trainer, *args, **kwargs)


def _warn(trainer: Trainer) -> None:
    known = capabilities()
    layers = [layer for layer in trainer.model.modules() if isinstance(layer, nn.Linear)]
    slower = slower_in_bfloat16(known, max((layer.out_features for layer in layers), default=0))

    said = training_state(trainer).warnings
    if slower and "enable_amp" not in said:
        said.add("enable_amp")
        reason = "with layers as narrow as these" if known.get("amx_bf16") else "without AMX"
        trainer.logger.warning(
            f"enable_amp: found True on a CPU {reason}, where steps in bfloat16 take about {slower} as long as in "
            "float32; leave it out"
        )
