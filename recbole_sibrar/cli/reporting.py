"""Exit statuses, notes and one-line errors of the commands."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable, Sequence

from recbole_sibrar.errors import ProcessError, one_line

__all__ = [
    "FAILED",
    "INTERRUPTED",
    "SHOW_TRACEBACK",
    "WRONG_INPUT",
    "notes_of",
    "reporting",
    "wants_traceback",
]

WRONG_INPUT = 2
"""Exit status after wrong input, as in argparse."""

FAILED = 1
"""Exit status after any other failure."""

INTERRUPTED = 130
"""Exit status after Ctrl-C, as in shells."""

SHOW_TRACEBACK = "--state=DEBUG"
"""Argument for a traceback in addition to the one-line error."""

_EXPECTED = (ValueError, NotImplementedError, OSError, ImportError)
"""Errors with a message about the input."""


def reporting(program: str, command: Callable[[], int], debug: bool) -> int:
    """Run a command and report any failure in one line on standard error.

    Args:
        program: Name of the command.
        command: The command.
        debug: Show the traceback as well.

    Returns:
        Exit status of the command or of its failure.
    """
    try:
        return command()
    except KeyboardInterrupt as error:
        sys.last_value = error
        print(f"{program}: interrupted", file=sys.stderr)  # noqa: T201
        return INTERRUPTED
    except Exception as error:
        # Exit handlers look here, as after an uncaught exception, to keep the states of a failed
        # run.
        sys.last_value = error
        if debug:
            traceback.print_exc()

        explained = _explained(error, _traceback_hint(program, debug))
        print(f"{program}: error: {explained}", file=sys.stderr)  # noqa: T201
        return WRONG_INPUT if isinstance(error, _EXPECTED) else FAILED


def _explained(error: Exception, hint: str) -> str:
    """Put an error into one line; an unexpected one with its class and a hint."""
    # A ProcessError has the name of its process and the reason of the failure inside.
    message = one_line(error)
    if isinstance(error, (*_EXPECTED, ProcessError)):
        return message
    return f"{type(error).__name__}: {message}{hint}"


def _traceback_hint(program: str, debug: bool) -> str:
    if debug:
        return ""
    advice = SHOW_TRACEBACK if program.startswith("run_") else "DEBUG=1 in the environment"
    return f"; {advice} shows where"


def wants_traceback(arguments: Sequence[str]) -> bool:
    """Tell if the command line or the environment asks for tracebacks."""
    asked = SHOW_TRACEBACK.lower() in map(str.lower, arguments)
    return asked or bool(os.environ.get("DEBUG"))


def notes_of(program: str) -> Callable[[str], None]:
    """Make a function for notes on standard error.

    Args:
        program: Name of the command, at the start of each line.
    """

    def note(line: str) -> None:
        from tqdm import tqdm

        # print would break the line of a progress bar.
        tqdm.write(f"{program}: {line}", file=sys.stderr)

    return note
