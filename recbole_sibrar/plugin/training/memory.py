"""Memory that a training step frees: kept for the next step, given back before an evaluation."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from recbole.trainer import Trainer

from recbole_sibrar.model.multimodal import MultimodalRecommender

__all__ = ["chosen_by_user", "evaluate", "keep_freed_memory"]

# Numbers of parameters in <malloc.h> of the GNU C library.
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3

_LARGEST_MMAP_THRESHOLD = 32 << 20
"""Largest value that the library takes; larger tensors go back to the system as before."""

_LARGEST_INT = (1 << 31) - 1

_SETTINGS = ("MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_", "MALLOC_TOP_PAD_")


def chosen_by_user(environment: Mapping[str, str]) -> bool:
    """Tell if the environment sets how the C library keeps memory.

    Example:
        >>> chosen_by_user({"MALLOC_TRIM_THRESHOLD_": "131072"}), chosen_by_user({"LANG": "C"})
        (True, False)
    """
    tunables = environment.get("GLIBC_TUNABLES", "")
    return "glibc.malloc" in tunables or any(name in environment for name in _SETTINGS)


@cache
def keep_freed_memory() -> bool:
    """Let the C library keep what a step frees, where it is that of GNU.

    By default it gives the largest tensors of a step back to the system. The next step takes them
    anew, and the system fills each of their pages with zeros first: about a tenth of a step of the
    papers' large network.

    Returns:
        True if the library took the setting.
    """
    mallopt = _function("mallopt")
    if mallopt is None or chosen_by_user(os.environ):
        return False
    settings = ((_MMAP_THRESHOLD, _LARGEST_MMAP_THRESHOLD), (_TRIM_THRESHOLD, _LARGEST_INT))
    return all(mallopt(*setting) == 1 for setting in settings)


def evaluate(original: Callable[..., Any], trainer: Trainer, *args: Any, **kwargs: Any) -> Any:
    """Evaluate as RecBole does, without the memory that only steps need.

    The next step computes its gradients anew. What earlier steps freed goes back to the system:
    embeddings and scores of an evaluation need larger pieces than those that steps leave. Where
    torch allocates without the C library, only the gradients go.
    """
    if isinstance(trainer.model, MultimodalRecommender):
        trainer.model.zero_grad()
        trim = _function("malloc_trim")
        if trim is not None and keep_freed_memory():
            trim(0)
    return original(trainer, *args, **kwargs)


def _function(name: str) -> Callable[..., int] | None:
    """Find a function of the C library; None where it has no such."""
    return getattr(ctypes.CDLL(None), name, None) if os.name == "posix" else None
