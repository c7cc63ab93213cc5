"""Errors that say in one line what is wrong: the file, the key or the process, what was found, what is allowed."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any, NoReturn


class ConfigError(ValueError):
    """A configuration key or option cannot be used; the message names it, its value and what is allowed."""


class DataError(ValueError):
    """A data file does not hold what it should; the message names the file, what was found and what is allowed."""


class CheckpointError(ValueError):
    """A checkpoint cannot be loaded safely; the message names the file and what it asks for."""


class ProcessError(RuntimeError):
    """One of several processes has failed; the message says which one and why."""


class OptionParser(ArgumentParser):
    """A parser of options whose errors are one line, as all others; argparse prints its usage before them."""

    def parse_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Parse all arguments; an unknown option is answered with the nearest known one."""
        options, unknown = self.parse_known_args(args, namespace)
        if unknown:
            option = unknown[0].partition("=")[0]
            known = [text for action in self._actions for text in action.option_strings]
            self.error(f"'{option}' is no option{nearest(option, known)}")
        return options

    def error(self, message: str) -> NoReturn:
        """Refuse the command line.

        Raises:
            ConfigError: Always.
        """
        raise ConfigError(f"{message}; {self.prog} --help shows the options")


def refuse(key: str, value: Any, allowed: str) -> NoReturn:
    """End with the one line that every wrong value gets.

    Raises:
        ConfigError: Always.
    """
    raise ConfigError(f"{key}: found {value!r}, allowed is {allowed}")


def one_line(error: BaseException, limit: int | None = None) -> str:
    """Put the message of an error into one line.

    Args:
        error: The error.
        limit: Largest number of characters; None for any.

    Example:
        >>> one_line(ValueError("two\\n  lines"))
        'two lines'
    """
    return " ".join(str(error).split())[:limit]


def nearest(name: str, known: Iterable[str], cutoff: float = 0.6) -> str:
    """``; did you mean 'x'?`` for the known name nearest to ``name``, or nothing if none is near.

    Args:
        name: The unknown name.
        known: The names that are known.
        cutoff: Similarity from 0 to 1 from which on a name is near, as in ``difflib.get_close_matches``.

    Example:
        >>> nearest("Item-Modalites", ["user_modalities", "item_modalities"])
        "; did you mean 'item_modalities'?"
    """
    spelled = {_simplified(other): other for other in known}
    close = get_close_matches(_simplified(name), spelled, n=1, cutoff=cutoff)
    return f"; did you mean '{spelled[close[0]]}'?" if close else ""


def _simplified(name: str) -> str:
    """A name without the differences between letters and signs that mean the same."""
    return name.casefold().replace("-", "_").replace(" ", "_")
