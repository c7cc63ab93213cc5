"""Checkpoint files of a run: RecBole's best epoch, and the latest states beside it.

RecBole writes ``NAME.pth`` after each improvement of the validation. ``NAME-last.pth`` is the
latest state and ``NAME-previous.pth`` the one before, so that a complete state exists at every
instant.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch

from recbole_sibrar.data.atomic import DataError
from recbole_sibrar.errors import one_line
from recbole_sibrar.parallel import processes
from recbole_sibrar.protocols import ConfigLike

__all__ = [
    "best_file",
    "last_file",
    "newest",
    "previous_file",
    "remove_states",
    "unfinished",
    "write",
]

_LAST = "-last.pth"
_PREVIOUS = "-previous.pth"
_PARTIAL = ".part"


def best_file(file: Path) -> Path:
    """Return RecBole's checkpoint of a run.

    Args:
        file: Any checkpoint of the run.

    Example:
        >>> best_file(Path("saved/BPR-last.pth")).name
        'BPR.pth'
    """
    for suffix in (_LAST, _PREVIOUS):
        if file.name.endswith(suffix):
            return file.with_name(f"{file.name.removesuffix(suffix)}.pth")
    return file


def last_file(best: Path) -> Path:
    """Return the file of the latest state."""
    return best.with_name(f"{best.stem}{_LAST}")


def previous_file(best: Path) -> Path:
    """Return the file of the state before the latest."""
    return best.with_name(f"{best.stem}{_PREVIOUS}")


def unfinished(folder: Path) -> list[Path]:
    """List RecBole's checkpoints, written or not, of unfinished runs; the latest run first."""
    changed: dict[Path, int] = {}
    for file in (*folder.glob(f"*{_LAST}"), *folder.glob(f"*{_PREVIOUS}")):
        # a run that is ending now removes its states
        with suppress(FileNotFoundError):
            best = best_file(file)
            changed[best] = max(changed.get(best, 0), file.stat().st_mtime_ns)
    return sorted(changed, key=lambda file: changed[file], reverse=True)


def write(config: ConfigLike, file: Path, state: dict[str, Any], keep: Path | None = None) -> None:
    """Write a checkpoint in the first of a run's processes.

    All of them wait for it and share its failure. The file is complete and on the disk before it
    gets its name.

    Args:
        config: RecBole's ``Config``.
        file: The checkpoint.
        state: Its content.
        keep: New name of the present file; None to replace it.

    Raises:
        DataError: The file cannot be written; the present one stays.
    """
    failure: str | None = None
    if processes.is_main(config):
        try:
            _write(file, state, keep)
        except DataError as error:
            failure = str(error)

    # The other processes would wait for the first one for ever if only that one raised the error.
    failure = processes.broadcast(config, failure)
    if failure:
        raise DataError(failure)


def _write(file: Path, state: dict[str, Any], keep: Path | None) -> None:
    partial = file.with_name(f"{file.name}{_PARTIAL}")
    try:
        with open(partial, "wb") as stream:
            # the protocol of RecBole
            torch.save(state, stream, pickle_protocol=4)
            # Without fsync, a power cut after the renaming could leave an empty file under the
            # right name.
            stream.flush()
            os.fsync(stream.fileno())

        if keep is not None:
            with suppress(FileNotFoundError):
                os.replace(file, keep)
        os.replace(partial, file)
    except (OSError, RuntimeError) as error:
        with suppress(OSError):
            partial.unlink(missing_ok=True)
        raise DataError(f"cannot write {file}: {_reason(error)}; {_intact(file)}") from None
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    _sync_folder(file.parent)


def _reason(error: BaseException) -> str:
    """Return the system's reason for a failure."""
    # torch hides it behind a later error about its own file format
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, OSError):
        cause = cause.__context__
    strerror = cause.strerror if isinstance(cause, OSError) else None
    return strerror or one_line(error)


def newest(best: Path) -> Path | None:
    """Find the newest complete checkpoint of a run; None before the first.

    Args:
        best: RecBole's checkpoint of the run, written or not.
    """
    candidates = (last_file(best), previous_file(best), best)
    return next((file for file in candidates if file.is_file()), None)


def _intact(file: Path) -> str:
    found = newest(best_file(file))
    if found is None:
        return "nothing was saved before"
    return f"{found} is intact, and --resume={found} continues this run"


def _sync_folder(folder: Path) -> None:
    """Let the new names survive a power cut, where the file system supports that."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def remove_states(best: Path) -> None:
    """Remove the states of an ended run; only RecBole's checkpoint stays."""
    for file in (previous_file(best), last_file(best)):
        for name in (file, file.with_name(f"{file.name}{_PARTIAL}")):
            with suppress(OSError):
                name.unlink(missing_ok=True)
