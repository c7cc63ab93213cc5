"""``recbole-sibrar significance``: compare models by saved results of users."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from recbole_sibrar.config import ConfigError, nearest, refuse
from recbole_sibrar.evaluator.user_results import read_users
from recbole_sibrar.files import replacing
from recbole_sibrar.studies.significance.measures import compare_all


def run(runs: Sequence[str], metrics: str | None, reference: str | None) -> pd.DataFrame:
    """Compare models.

    Args:
        runs: For each model a file that ``save_per_user`` wrote, or the files of several seeds joined by ``+``.
        metrics: Names separated by commas; None for all that every file has.
        reference: One of ``runs``, to be compared with all others; None for all pairs.

    Returns:
        The table of :func:`~recbole_sibrar.studies.significance.measures.compare_all`.

    Raises:
        ConfigError: A file or name is unknown.
    """
    if reference is not None and reference not in runs:
        refuse("--reference", reference, f"one of {', '.join(runs)}{nearest(reference, runs)}")
    models = {name: [_read(file) for file in _files(name)] for name in dict.fromkeys(runs)}
    frames = [frame for parts in models.values() for frame in parts]
    shared = [name for name in frames[0].columns[1:] if name != "items" and all(name in x.columns for x in frames)]
    names = [name.strip().lower() for name in metrics.split(",")] if metrics else shared
    for name in names:
        if name not in shared:
            refuse("--metrics", name, f"any of {', '.join(shared) or 'none'}{nearest(name, shared)}")
    return compare_all(models, names, reference)


def _files(run: str) -> list[str]:
    """The files of a run; a plus sign may also belong to the name of a single one."""
    return [run] if Path(run).is_file() else run.split("+")


def _read(file: str) -> pd.DataFrame:
    if not Path(file).is_file():
        raise ConfigError(f"RUN: there is no file {file}")
    try:
        frame = read_users(Path(file))
    except (ValueError, OSError) as error:
        kind = {".csv": "CSV", ".jsonl": "JSON lines"}.get(Path(file).suffix, "Parquet")
        raise ConfigError(f"RUN: {file} is no {kind} file ({' '.join(str(error).split())})") from None
    if "items" not in frame.columns or len(frame.columns) < 3:
        raise ConfigError(f"RUN: {file} holds no results of users, as the key save_per_user writes them")
    return frame


def write(frame: pd.DataFrame, path: Path) -> None:
    """Write a table as CSV, to a temporary name first.

    Raises:
        ConfigError: The file cannot be written.
    """
    try:
        with replacing(path) as temporary:
            frame.to_csv(temporary, index=False)
    except OSError as error:
        raise ConfigError(f"--output: cannot write {path}: {error.strerror}") from None
