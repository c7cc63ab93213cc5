"""The log of a run: a file of its own, also for what was said before there was one."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Any

from recbole.config import Config

from recbole_sibrar.parallel import processes
from recbole_sibrar.trainer.disk import watch_logs

_OF_A_RUN = "_recbole_sibrar_run"
"""Attribute of the handlers that the log of a run has added."""

_BEFORE = "warnings_before_log"
"""Attribute of a ``Config`` with the warnings that its log file does not have yet."""


class QuietHandler(logging.StreamHandler):
    """The terminal of a process that writes no logs."""


def init_logger(original: Any, config: Config) -> None:
    """Start RecBole's log, which one process writes; the others say on the terminal what is wrong.

    RecBole gives the first run of a process a log file and lets all later ones write into it; here each has its own.
    """
    if not processes.is_main(config):
        logging.basicConfig(level=logging.ERROR, handlers=[QuietHandler()])
        return

    root = logging.getLogger()
    for handler in [handler for handler in root.handlers if hasattr(handler, _OF_A_RUN)]:
        root.removeHandler(handler)
        handler.close()

    others = list(root.handlers)
    original(config)
    added = [handler for handler in root.handlers if handler not in others]
    for handler in added:
        setattr(handler, _OF_A_RUN, True)

    watch_logs()
    _repeat(config.__dict__.pop(_BEFORE, []), added)


def warn_before_log(config: Config, warnings: Iterable[str]) -> None:
    """Say what is wrong with a configuration: on the terminal now, and in the log file of its run when it has one.

    Args:
        config: The configuration.
        warnings: A line each.
    """
    root = logging.getLogger()
    setattr(config, _BEFORE, list(warnings))
    earlier = [handler for handler in root.handlers if hasattr(handler, _OF_A_RUN) and _is_file(handler)]

    for handler in earlier:  # the file of the run before
        root.removeHandler(handler)
    try:
        for warning in getattr(config, _BEFORE):
            root.warning(warning)
    finally:
        for handler in earlier:
            root.addHandler(handler)


def _repeat(warnings: Iterable[str], handlers: Iterable[logging.Handler]) -> None:
    """Write warnings to the files among some handlers."""
    files = [handler for handler in handlers if _is_file(handler) and handler.level <= logging.WARNING]
    for warning in warnings:
        record = logging.LogRecord("root", logging.WARNING, __file__, 0, warning, None, None)
        for handler in files:
            handler.handle(record)


def _is_file(handler: logging.Handler) -> bool:
    return isinstance(handler, logging.FileHandler)
