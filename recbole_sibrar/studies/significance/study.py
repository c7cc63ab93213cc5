"""``recbole-sibrar significance``: compare models by saved results of users."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from pathlib import Path

import pandas as pd

from recbole_sibrar.config import ConfigError, listed, nearest, refuse
from recbole_sibrar.evaluator.user_results import read_users
from recbole_sibrar.studies.files import write_table
from recbole_sibrar.studies.significance.measures import compare_all

__all__ = ["run", "write"]


def run(runs: Sequence[str], metrics: str | None, reference: str | None) -> pd.DataFrame:
    """Compare models.

    Args:
        runs: For each model a file of ``save_per_user``, or the files of several seeds joined by
            ``+``.
        metrics: Names separated by commas; None for all metrics in every file.
        reference: One of ``runs``, to be compared with all others; None for all pairs.

    Returns:
        The table of :func:`~recbole_sibrar.studies.significance.measures.compare_all`.

    Raises:
        ConfigError: A file or name is unknown.
    """
    if reference is not None and reference not in runs:
        refuse("--reference", reference, f"one of {listed(runs, reference)}")

    models = {name: list(map(_read, _files(name))) for name in dict.fromkeys(runs)}
    shared = _shared_metrics(list(chain.from_iterable(models.values())))

    names = [name.strip().lower() for name in metrics.split(",")] if metrics else shared
    for name in names:
        if name not in shared:
            known = ", ".join(shared) or "none"
            refuse("--metrics", name, f"any of {known}{nearest(name, shared)}")
    return compare_all(models, names, reference)


def _shared_metrics(frames: Sequence[pd.DataFrame]) -> list[str]:
    """Names of the metrics in every frame; the first column holds the users."""
    # The recommended items are no metric.
    shared = frames[0].columns[1:].drop("items", errors="ignore")
    for frame in frames[1:]:
        shared = shared[shared.isin(frame.columns)]
    return list(shared)


def _files(run: str) -> list[str]:
    """Files of a run; a plus sign may also belong to the name of a single one."""
    return [run] if Path(run).is_file() else run.split("+")


def _read(file: str) -> pd.DataFrame:
    if not Path(file).is_file():
        raise ConfigError(f"RUN: there is no file {file}")
    try:
        frame = read_users(Path(file))
    except (ValueError, OSError) as error:
        kind = {".csv": "CSV", ".jsonl": "JSON lines"}.get(Path(file).suffix, "Parquet")
        # Messages of Arrow have several lines.
        reason = " ".join(str(error).split())
        raise ConfigError(f"RUN: {file} is no {kind} file ({reason})") from None

    # The user, the recommended items, and one metric at least.
    if "items" not in frame.columns or len(frame.columns) < 3:
        expected = "results of users, as the key save_per_user writes them"
        raise ConfigError(f"RUN: {file} holds no {expected}")
    return frame


def write(frame: pd.DataFrame, path: Path) -> None:
    """Write the comparisons as CSV.

    Raises:
        ConfigError: The file cannot be written.
    """
    try:
        write_table(frame, path)
    except OSError as error:
        raise ConfigError(f"--output: cannot write {path}: {error.strerror}") from None
