"""Errors of one line: the file, the key or the process, the value found, the allowed values."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from typing import NoReturn

__all__ = [
    "CheckpointError",
    "ConfigError",
    "DataError",
    "OptionParser",
    "PortableModelError",
    "ProcessError",
    "UnknownEntityError",
    "listed",
    "nearest",
    "refuse",
]


class ConfigError(ValueError):
    """A configuration key or option cannot be used.

    The message names it, its value and the allowed values.
    """


class DataError(ValueError):
    """A data file has a wrong content.

    The message names the file, the content and the allowed content.
    """


class CheckpointError(ValueError):
    """A checkpoint cannot be loaded safely; the message names the file and the reason."""


class PortableModelError(ValueError):
    """A portable model cannot be used; the message names the file and the reason."""


class UnknownEntityError(DataError):
    """A portable model does not know a user or item.

    The message names it, and the nearest known one.
    """

    def __init__(self, side: str, token: str, near: str = "") -> None:
        super().__init__(f"{side} '{token}' is unknown{near}")
        self.side = side
        self.token = token


class ProcessError(RuntimeError):
    """One of several processes has failed; the message names it and the reason."""


class OptionParser(ArgumentParser):
    """Parser of options with errors of one line; argparse would print its usage before them."""

    def parse_args(  # type: ignore[override]  # no namespace of another class is used
        self, args: Sequence[str] | None = None, namespace: Namespace | None = None
    ) -> Namespace:
        """Parse all arguments; an unknown option is answered with the nearest known one."""
        options, unknown = self.parse_known_args(args, namespace)

        # argparse would list all unknown arguments, values among them, without a nearest option.
        if unknown:
            option = unknown[0].partition("=")[0]
            known: list[str] = []
            for action in self._actions:
                known += action.option_strings
            self.error(f"'{option}' is no option{nearest(option, known)}")
        return options

    def error(self, message: str) -> NoReturn:
        """Refuse the command line.

        Raises:
            ConfigError: Always.
        """
        # argparse would print its usage and leave Python.
        raise ConfigError(f"{message}; {self.prog} --help shows the options")


def refuse(key: str, value: object, allowed: str) -> NoReturn:
    """Refuse a wrong value in one line.

    Args:
        key: Key or option.
        value: Its value.
        allowed: Description of the allowed values.

    Raises:
        ConfigError: Always.
    """
    raise ConfigError(f"{key}: found {value!r}, allowed is {allowed}")


def one_line(error: BaseException, limit: int | None = None) -> str:
    r"""Put the message of an error into one line.

    Args:
        error: The error.
        limit: Largest number of characters; None for any.

    Example:
        >>> one_line(ValueError("two\n  lines"))
        'two lines'
    """
    return " ".join(str(error).split())[:limit]


def nearest(name: str, known: Iterable[str], cutoff: float = 0.6) -> str:
    """Return ``; did you mean 'x'?`` for the nearest known name, or nothing if none is near.

    Args:
        name: The unknown name.
        known: Known names.
        cutoff: Smallest similarity of a near name, from 0 to 1, as in
            ``difflib.get_close_matches``.

    Example:
        >>> nearest("Item-Modalites", ["user_modalities", "item_modalities"])
        "; did you mean 'item_modalities'?"
    """
    # Compared in one spelling, and shown as it is written.
    spelled = {_simplified(other): other for other in known}
    close = get_close_matches(_simplified(name), spelled, n=1, cutoff=cutoff)
    return f"; did you mean '{spelled[close[0]]}'?" if close else ""


def listed(known: Iterable[str], found: str) -> str:
    """List known names for a message, with the one that was probably meant.

    Args:
        known: Known names.
        found: What was found in their place.

    Example:
        >>> listed(["user", "item"], "itme")
        "user, item; did you mean 'item'?"
    """
    names = list(known)
    return ", ".join(names) + nearest(found, names)


def _simplified(name: str) -> str:
    """Name in small letters, with underscores for other signs."""
    return name.casefold().replace("-", "_").replace(" ", "_")
