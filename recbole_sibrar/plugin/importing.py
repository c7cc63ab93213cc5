"""Import of RecBole without its deprecation warnings and without Ray.

RecBole imports Ray for a function of searches, which takes half a second.
"""

from __future__ import annotations

import importlib
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

__all__ = ["import_recbole", "ray_later", "silence_deprecations"]

_DEPRECATIONS: tuple[tuple[str, type[Warning], str], ...] = (
    ("pkg_resources is deprecated as an API", UserWarning, r"ray\."),
    (
        "A value is trying to be set on a copy of a DataFrame",
        FutureWarning,
        r"recbole\.data\.dataset",
    ),
    # pandas 3
    ("A value is being set on a copy of a DataFrame", Warning, r"recbole\.data\.dataset"),
    # pandas 3.1
    ("The inplace keyword in", Warning, r"recbole\.data\.dataset"),
    # nor is it written to
    ("The given NumPy array is not writable", UserWarning, r"recbole\.data\."),
    (r"using .* in Series\.agg cannot aggregate", FutureWarning, r"recbole\.data\.dataset"),
    (r"`torch\.cuda\.amp\.GradScaler", FutureWarning, r"recbole\.trainer"),
    # graph models
    (r"torch\.sparse\.SparseTensor\(indices", UserWarning, r"recbole\.model\."),
)
"""Message, category and module of the warnings that RecBole's own code causes and its users can do
nothing about."""


def silence_deprecations() -> None:
    """Hide exactly the warnings that RecBole 1.2.1 causes on today's packages."""
    for message, category, module in _DEPRECATIONS:
        # some messages begin with a line break
        pattern = rf"\s*{message}"
        warnings.filterwarnings("ignore", message=pattern, category=category, module=module)


_RAY = ("ray", "ray.tune")


class _Later(ModuleType):
    """A module that is imported when something of it is asked for."""

    def __getattr__(self, name: str) -> Any:
        # asked for by the import system and by inspection
        if name.startswith("__"):
            raise AttributeError(name)
        if f"{self.__name__}.{name}" in _RAY:
            return _Later(f"{self.__name__}.{name}")
        return getattr(importlib.import_module(self.__name__), name)


@contextmanager
def ray_later() -> Iterator[None]:
    """Let modules that are imported within a ``with`` block import Ray only when they use it.

    Afterwards ``import ray`` imports Ray, for everyone.
    """
    if "ray" in sys.modules:
        yield
        return

    later = _Later("ray")
    sys.modules["ray"] = later
    try:
        yield
    finally:
        if sys.modules.get("ray") is later:
            del sys.modules["ray"]


def import_recbole() -> None:
    """Import RecBole with all its parts."""
    # importing RecBole already warns
    silence_deprecations()
    with ray_later():
        importlib.import_module("recbole.quick_start")
