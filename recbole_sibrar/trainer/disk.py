"""Files beside the checkpoints that a training writes, on a disk that can become full: each failure names its file."""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import MethodType
from typing import Any


@contextmanager
def named(path: str | Path) -> Iterator[None]:
    """Add the name of a file to a failure to write it within a ``with`` block, where the system says none.

    Args:
        path: The file.

    Raises:
        OSError: The failure, with a name.
    """
    try:
        yield
    except OSError as error:
        if error.filename is None:
            error.filename = str(path)
        raise


@contextmanager
def writing_events(writer: Any) -> Iterator[None]:
    """Let the thread that writes TensorBoard's file fail without a traceback within a ``with`` block.

    Whoever writes next gets the exception, with the name of the file.

    Args:
        writer: The ``SummaryWriter`` of RecBole's trainer, or what stands for one and has no thread.
    """
    events: Any = getattr(getattr(writer, "file_writer", None), "event_writer", None)
    thread = getattr(getattr(events, "_async_writer", None), "_worker", None)
    if not isinstance(thread, threading.Thread):
        yield
        return
    before = threading.excepthook

    def report(failure: Any) -> None:
        if failure.thread is not thread:
            before(failure)

    threading.excepthook = report
    try:
        yield
    except OSError as error:
        if error is getattr(thread, "exception", None):
            thread.join()  # it still has to report what it has failed with
            error.filename = error.filename or events._file_name
        raise
    finally:
        threading.excepthook = before


def watch_logs() -> None:
    """Let a run fail whose log cannot be written; ``logging`` would print a traceback for each line."""
    for handler in logging.getLogger().handlers:
        if isinstance(handler, logging.FileHandler):
            handler.handleError = MethodType(_fail, handler)  # type: ignore[method-assign]


def _fail(handler: logging.FileHandler, record: logging.LogRecord) -> None:
    error = sys.exc_info()[1]
    if not isinstance(error, OSError):
        logging.FileHandler.handleError(handler, record)
        return
    with named(handler.baseFilename):
        raise error
