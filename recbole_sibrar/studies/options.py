"""Options shared by the commands of studies."""

from __future__ import annotations

from recbole_sibrar.config import nearest, refuse
from recbole_sibrar.names import SIDES, Side

__all__ = ["read_side"]


def read_side(value: str) -> Side:
    """Read ``--side``.

    Raises:
        ConfigError: It is neither ``item`` nor ``user``.
    """
    if value not in SIDES:
        refuse("--side", value, f"one of {', '.join(SIDES)}{nearest(value, SIDES)}")
    return value
