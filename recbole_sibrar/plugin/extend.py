"""Replacement of RecBole's functions by extensions that call the original."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

__all__ = ["Extension", "apply", "is_applied", "rebind"]

_ORIGINAL, _EXTENSION = "_recbole_sibrar_original", "_recbole_sibrar_extension"


@dataclass(frozen=True)
class Extension:
    """Extension of one function of RecBole."""

    owner: Any
    """Class or module of the function."""
    name: str
    """Name of the function."""
    function: Callable[..., Any]
    """Extension, called as ``function(original, *args, **kwargs)``."""
    why: str
    """Purpose, for the list of ``recbole-sibrar doctor``."""
    replaces: bool = False
    """True for a function in the place of the original, called without the original."""

    @property
    def target(self) -> str:
        """Dotted name of the extended function."""
        module = self.owner.__module__ if isinstance(self.owner, type) else None
        owner = f"{module}.{self.owner.__name__}" if module else self.owner.__name__
        return f"{owner}.{self.name}"


def apply(extension: Extension) -> None:
    """Apply an extension once.

    Several extensions of one function lie around each other, the latest outside.

    Args:
        extension: The extension. A function of a module is replaced in all modules that have
            imported it.
    """
    original = getattr(extension.owner, extension.name)
    if extension.replaces:
        rebind(original, extension.function)
        return

    function = extension.function
    own_name = (function.__module__, function.__qualname__)
    if own_name in _applied_to(original):
        return

    @functools.wraps(original)
    def extended(*args: object, **kwargs: object) -> Any:
        return function(original, *args, **kwargs)

    setattr(extended, _ORIGINAL, original)
    setattr(extended, _EXTENSION, own_name)
    if isinstance(extension.owner, type):
        setattr(extension.owner, extension.name, extended)
    else:
        rebind(original, extended)


def is_applied(extension: Extension) -> bool:
    """Tell whether an extension is in place."""
    function = extension.function
    present = getattr(extension.owner, extension.name)
    if extension.replaces:
        return present is function
    return (function.__module__, function.__qualname__) in _applied_to(present)


def _applied_to(function: object) -> list[tuple[str, str]]:
    """List module and name of each extension around a function, from the outside in."""
    found = []
    while hasattr(function, _ORIGINAL):
        found.append(getattr(function, _EXTENSION))
        function = getattr(function, _ORIGINAL)
    return found


def rebind(original: object, replacement: object) -> None:
    """Replace a function in every module with that name for it, in any order of imports.

    Args:
        original: The function.
        replacement: Function in its place.
    """
    # "from recbole.utils import get_model" binds the function itself in further modules
    for module in list(sys.modules.values()):
        for name, value in list(getattr(module, "__dict__", {}).items()):
            if value is original:
                setattr(module, name, replacement)
