"""Importing RecBole without Ray, which it imports for a function of searches and which takes half a second."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

_RAY = ("ray", "ray.tune")


class _Later(ModuleType):
    """A module that is imported when something of it is asked for."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # asked for by the import system and by inspection
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
