"""Failures to write files beside the checkpoints, as on a full disk: each names its file."""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import MethodType

__all__ = ["named", "watch_logs", "writing_events"]


@contextmanager
def named(path: str | Path) -> Iterator[None]:
    """Add the name of a file to a failure to write it within a ``with`` block.

    Args:
        path: The file.

    Raises:
        OSError: The failure, with a name.
    """
    try:
        yield
    except OSError as error:
        # the system gives no name for an open file
        if error.filename is None:
            error.filename = str(path)
        raise


# TensorBoard writes its file in a thread of its own. When the disk is full, Python prints the
# traceback of that thread, and the next use of the writer raises the thread's exception, without
# the name of the file. Threads are recognised by the module of their class and the file by the
# writer's public log_dir; no private attribute is read.


@contextmanager
def writing_events(writer: object) -> Iterator[None]:
    """Close TensorBoard's writer after a ``with`` block, and let its thread fail in silence.

    The next use of the writer raises the failure, with the name of the file. A closed writer begins
    a new file when it is used again.

    Args:
        writer: ``SummaryWriter`` of RecBole's trainer, or a replacement without a thread.
    """
    threads = []
    for thread in threading.enumerate():
        if type(thread).__module__.startswith("tensorboard."):
            threads.append(thread)
    print_traceback = threading.excepthook

    def report(failure: threading.ExceptHookArgs) -> None:
        if failure.thread not in threads:
            print_traceback(failure)

    threading.excepthook = report
    try:
        yield
        # RecBole never closes its writers: each would keep a thread and an open file for as long as
        # the process lives
        _close(writer)
    except OSError as error:
        for thread in threads:
            if getattr(thread, "exception", None) is error:
                # It has to reach the hook before the hook is put back.
                thread.join()
                error.filename = error.filename or _events_file(writer)
        raise
    finally:
        threading.excepthook = print_traceback
        with suppress(OSError):
            _close(writer)


def _close(writer: object) -> None:
    close = getattr(writer, "close", None)
    if close is not None:
        close()


def _events_file(writer: object) -> str | None:
    """Find the file of a writer: the newest one in its folder."""
    folder = Path(str(getattr(writer, "log_dir", "")))
    files = sorted(folder.glob("events.out.tfevents.*"), key=lambda file: file.stat().st_mtime_ns)
    return str(files[-1]) if files else None


def watch_logs() -> None:
    """Let a run fail if its log cannot be written."""
    # logging would print a traceback for each line, and go on
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
