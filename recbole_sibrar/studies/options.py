"""Options shared by the commands of studies."""

from __future__ import annotations

from recbole_sibrar.config import listed, refuse
from recbole_sibrar.names import SIDES, Side

__all__ = ["read_names", "read_rate", "read_side", "split_names"]


def read_side(value: str) -> Side:
    """Read ``--side``.

    Raises:
        ConfigError: It is neither ``item`` nor ``user``.
    """
    if value not in SIDES:
        refuse("--side", value, f"one of {listed(SIDES, value)}")
    return value


def split_names(text: str) -> list[str]:
    """Divide a text at its commas; brackets around it are left out."""
    return [name.strip() for name in text.strip().removeprefix("[").removesuffix("]").split(",")]


def read_names(option: str, text: str, example: str) -> tuple[str, ...]:
    """Read names separated by commas.

    Args:
        option: The option, for the message.
        text: Its value.
        example: A value that is allowed.

    Raises:
        ConfigError: A name is empty, or occurs twice.
    """
    names = tuple(split_names(text))
    if not all(names) or len(set(names)) < len(names):
        refuse(option, text, f"names separated by commas, each once, such as {example}")
    return names


def read_rate(text: str, with_one: bool, example: str) -> float:
    """Read a number of ``--rates``.

    Args:
        text: The number.
        with_one: True if 1 is allowed.
        example: A value of the option that is allowed.

    Raises:
        ConfigError: It is no such number.
    """
    try:
        rate = float(text)
    except ValueError:
        rate = -1.0
    if not (0 <= rate < 1 or (with_one and rate == 1)):
        to = "to 1" if with_one else "to below 1"
        refuse("--rates", text, f"numbers from 0 {to}, separated by commas, such as {example}")
    return rate
