"""Files that a run can be continued from: RecBole's checkpoint of the best epoch, and the latest state beside it.

Beside ``NAME.pth``, which RecBole writes whenever the validation improves, ``NAME-last.pth`` is the latest state and
``NAME-previous.pth`` the one before, so that at every instant a complete one is there.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch

from recbole_sibrar.data.atomic import DataError
from recbole_sibrar.parallel import processes

_LAST, _PREVIOUS, _PARTIAL = "-last.pth", "-previous.pth", ".part"


def best_file(file: Path) -> Path:
    """RecBole's checkpoint that belongs to a file, which can be that checkpoint itself."""
    for suffix in (_LAST, _PREVIOUS):
        if file.name.endswith(suffix):
            return file.with_name(f"{file.name.removesuffix(suffix)}.pth")
    return file


def last_file(best: Path) -> Path:
    """The latest state beside RecBole's checkpoint."""
    return best.with_name(f"{best.stem}{_LAST}")


def previous_file(best: Path) -> Path:
    """The state before the latest."""
    return best.with_name(f"{best.stem}{_PREVIOUS}")


def unfinished(folder: Path) -> list[Path]:
    """RecBole's checkpoints, written or not, of the runs in a folder that have not ended; the latest first."""
    changed: dict[Path, int] = {}
    for file in (*folder.glob(f"*{_LAST}"), *folder.glob(f"*{_PREVIOUS}")):
        with suppress(FileNotFoundError):  # the run is ending now
            changed[best_file(file)] = max(changed.get(best_file(file), 0), file.stat().st_mtime_ns)
    return sorted(changed, key=lambda file: changed[file], reverse=True)


def write(config: Any, file: Path, state: dict[str, Any], keep: Path | None = None) -> None:
    """Write a checkpoint in the first of the processes that train the model; all of them wait for it, and fail with it.

    It is written to a temporary name, which becomes the file's when it is complete and on the disk.

    Args:
        config: RecBole's ``Config``.
        file: The checkpoint.
        state: Its content.
        keep: What the file that is there becomes; None to replace it.

    Raises:
        DataError: It cannot be written; what was there is left as it was.
    """
    failure = None
    if processes.is_main(config):
        try:
            _write(file, state, keep)
        except DataError as error:
            failure = str(error)
    failure = processes.broadcast(config, failure)
    if failure:
        raise DataError(failure)


def _write(file: Path, state: dict[str, Any], keep: Path | None) -> None:
    partial = file.with_name(f"{file.name}{_PARTIAL}")
    try:
        with open(partial, "wb") as stream:
            torch.save(state, stream, pickle_protocol=4)
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
    """What the system said, which torch reports as an error in its own file format that follows from it."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, OSError):
        cause = cause.__context__
    return (cause.strerror if isinstance(cause, OSError) else None) or " ".join(str(error).split())


def newest(best: Path) -> Path | None:
    """The file that a run is best continued from; None if there is none yet.

    Args:
        best: RecBole's checkpoint of the run, written or not.
    """
    return next((file for file in (last_file(best), previous_file(best), best) if file.is_file()), None)


def _intact(file: Path) -> str:
    """What is left after a failure."""
    found = newest(best_file(file))
    return f"{found} is intact, and --resume={found} continues this run" if found else "nothing was saved before"


def _sync_folder(folder: Path) -> None:
    """Let the new names survive a power cut, where the file system can do that."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def remove_states(best: Path) -> None:
    """Remove what nobody continues from any more: all but RecBole's checkpoint."""
    for file in (previous_file(best), last_file(best)):
        for name in (file, file.with_name(f"{file.name}{_PARTIAL}")):
            with suppress(OSError):
                name.unlink(missing_ok=True)
