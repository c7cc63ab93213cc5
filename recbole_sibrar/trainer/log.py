"""Log of a run, in a file of its own; warnings from before the file exists are repeated there."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, TextIO

from recbole.config import Config

from recbole_sibrar.parallel import processes
from recbole_sibrar.trainer.disk import watch_logs

__all__ = ["QuietHandler", "init_logger", "warn_before_log"]

_OF_A_RUN = "_recbole_sibrar_run"
"""Attribute that marks the handlers of a run's log."""

_BEFORE = "warnings_before_log"
"""Attribute of a ``Config`` with the warnings to repeat in its log file."""


if TYPE_CHECKING:
    _TerminalHandler = logging.StreamHandler[TextIO]
else:  # has no parameter before Python 3.11
    _TerminalHandler = logging.StreamHandler


class QuietHandler(_TerminalHandler):
    """Terminal of a process without logs."""


def init_logger(original: Callable[[Config], None], config: Config) -> None:
    """Start RecBole's log in one process; the others only show errors on the terminal.

    RecBole makes a log file for the first run of a process and writes all later runs into it. Here
    each run has its own.

    Args:
        original: RecBole's function.
        config: The configuration of the run.
    """
    if not processes.is_main(config):
        logging.basicConfig(level=logging.ERROR, handlers=[QuietHandler()])
        return

    root = logging.getLogger()
    of_earlier_run = [handler for handler in root.handlers if hasattr(handler, _OF_A_RUN)]
    for handler in of_earlier_run:
        root.removeHandler(handler)
        handler.close()

    # RecBole calls logging.basicConfig, which does nothing if the root logger has handlers: those
    # of the earlier run have been removed.
    others = list(root.handlers)
    original(config)
    added = [handler for handler in root.handlers if handler not in others]
    for handler in added:
        setattr(handler, _OF_A_RUN, True)

    watch_logs()
    _repeat(config.__dict__.pop(_BEFORE, []), added)


def warn_before_log(config: Config, warnings: Iterable[str]) -> None:
    """Show warnings about a configuration on the terminal, and keep them for its log file.

    Args:
        config: The configuration.
        warnings: A line each.
    """
    root = logging.getLogger()
    setattr(config, _BEFORE, list(warnings))

    # the log file of the run before
    of_a_run = [handler for handler in root.handlers if hasattr(handler, _OF_A_RUN)]
    earlier = [handler for handler in of_a_run if _is_file(handler)]
    for handler in earlier:
        root.removeHandler(handler)
    try:
        for warning in getattr(config, _BEFORE):
            root.warning(warning)
    finally:
        for handler in earlier:
            root.addHandler(handler)


def _repeat(warnings: Iterable[str], handlers: Iterable[logging.Handler]) -> None:
    """Write warnings to the log files among the handlers."""
    files = [handler for handler in handlers if _is_file(handler)]
    for warning in warnings:
        record = logging.LogRecord("root", logging.WARNING, __file__, 0, warning, None, None)
        for handler in files:
            # a handler does not look at its own level: loggers do
            if handler.level <= logging.WARNING:
                handler.handle(record)


def _is_file(handler: logging.Handler) -> bool:
    return isinstance(handler, logging.FileHandler)
