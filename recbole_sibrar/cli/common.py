"""What the commands share: reading options, and ending in one line where they are wrong."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import NamedTemporaryFile

from recbole_sibrar.errors import ConfigError, ProcessError

WRONG_INPUT = 2
"""Exit status after wrong input, as argparse has it."""

FAILED = 1
"""Exit status after a failure that is not about the input."""

INTERRUPTED = 130
"""Exit status after Ctrl-C, as shells have it."""


def parse_overrides(arguments: Sequence[str]) -> dict[str, str]:
    """Read ``--key=value`` arguments.

    Args:
        arguments: What is left of a command line when its own options are taken out.

    Returns:
        Key -> value as it was written.

    Raises:
        ConfigError: An argument has another form, which RecBole would ignore, or a key has two values.
    """
    overrides: dict[str, str] = {}
    for position, argument in enumerate(arguments):
        key, equals, value = argument.removeprefix("--").partition("=")
        if not argument.startswith("--") or not equals or not key:
            following = arguments[position + 1] if position + 1 < len(arguments) else "value"
            key = key or "key"
            hint = f"write --{key}={following}" if argument.startswith("--") else "write --key=value"
            raise ConfigError(f"'{argument}' has no effect in this form; {hint}")
        if overrides.get(key, value) != value:
            raise ConfigError(f"--{key}: found two values, '{overrides[key]}' and '{value}', allowed is one")
        overrides[key] = value
    return overrides


def output_folder(name: str) -> Path:
    """The folder of ``--output``, made if it does not exist.

    Raises:
        ConfigError: It cannot be written to.
    """
    folder = Path(name)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with NamedTemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise ConfigError(f"--output: cannot write to {folder}: {error.strerror}") from None
    return folder


def reporting(program: str, command: Callable[[], int], debug: bool) -> int:
    """Run a command; whatever goes wrong ends in one line on standard error instead of a traceback.

    Args:
        program: Name of the command.
        command: Runs it.
        debug: Whether to show the traceback as well.

    Returns:
        Exit status: that of the command, or of its failure.
    """
    try:
        return command()
    except KeyboardInterrupt as error:
        sys.last_value = error
        print(f"{program}: interrupted", file=sys.stderr)  # noqa: T201
        return INTERRUPTED
    except Exception as error:
        sys.last_value = error  # as the interpreter has it: who runs at the exit can tell that something has failed
        if debug:
            traceback.print_exc()
        shows_more = "" if debug else SHOW_TRACEBACK if program.startswith("run_") else "DEBUG=1 in the environment"
        print(f"{program}: error: {_explained(error, shows_more)}", file=sys.stderr)  # noqa: T201
        return WRONG_INPUT if isinstance(error, _EXPECTED) else FAILED


_EXPECTED = (ValueError, NotImplementedError, OSError, ImportError)
"""Errors that say what is wrong with the input."""


def _explained(error: Exception, shows_more: str) -> str:
    """The message of an error in one line; with its kind, and what shows more, where nobody has expected it."""
    message = " ".join(str(error).split())
    if isinstance(error, (*_EXPECTED, ProcessError)):
        return message
    return f"{type(error).__name__}: {message}" + (f"; {shows_more} shows where" if shows_more else "")


SHOW_TRACEBACK = "--state=DEBUG"
"""Argument with which commands show tracebacks."""


def wants_traceback(arguments: Sequence[str]) -> bool:
    """Tell whether a command line asks for tracebacks."""
    return any(argument.lower() == SHOW_TRACEBACK.lower() for argument in arguments) or bool(os.environ.get("DEBUG"))
