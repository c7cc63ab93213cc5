"""Reader of a finished comparison's folder, for the report."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from recbole_sibrar.config import ConfigError
from recbole_sibrar.errors import one_line
from recbole_sibrar.names import is_of_group
from recbole_sibrar.quick_start.group.runs import CONFIGURATION, CURVE, ENVIRONMENT
from recbole_sibrar.quick_start.group.single_run import CHECKPOINT, RESULT
from recbole_sibrar.quick_start.group.variants import file_name

__all__ = [
    "ENVIRONMENT",
    "N_HEAD",
    "RESULTS",
    "SIGNIFICANCE",
    "SUMMARY",
    "ComparisonFolder",
    "FinishedRun",
    "read_comparisons",
    "read_table",
]

RESULTS = "results.csv"
"""Results of all runs."""

SIGNIFICANCE = "significance.csv"
"""Comparisons of all pairs of models."""

SUMMARY = "summary.md"
"""Results of all models as a table for people."""

N_HEAD = 5
"""Number of columns of ``results.csv`` before the metrics."""

_HEAD = ["name", "model", "seed", "minutes", "valid_score"]

_NAMES = ("name", "model", "a", "b", "checkpoint", "modalities", "first", "second")
"""Columns with names, read as text even if they look like numbers."""


@dataclass(frozen=True)
class FinishedRun:
    """A model with one seed."""

    name: str
    """Name of the model in the comparison."""
    model: str
    """Name of its class."""
    seed: int
    """RecBole's ``seed``."""
    folder: Path
    """Folder of the run."""
    result: dict[str, Any]
    """Content of ``result.json``."""

    @property
    def checkpoint(self) -> Path | None:
        """The trained model; None if there is no checkpoint."""
        path = self.folder / CHECKPOINT
        return path if path.is_file() else None

    @cached_property
    def configuration(self) -> dict[str, Any]:
        """All keys and values; empty without the file."""
        return _read(self.folder / CONFIGURATION, yaml.safe_load) or {}

    @cached_property
    def environment(self) -> dict[str, Any]:
        """Versions of packages and the state of git; empty without the file."""
        return _read(self.folder / ENVIRONMENT, json.loads) or {}

    @property
    def curve(self) -> pd.DataFrame | None:
        """``epoch``, ``train_loss`` and validation metrics; None without training in epochs."""
        path = self.folder / CURVE
        return read_table(path) if path.is_file() else None


@dataclass(frozen=True)
class ComparisonFolder:
    """Comparison of models on one split."""

    folder: Path
    """Folder of the comparison."""
    title: str
    """Data set and keys."""
    legend: str
    """Explanation of the marks, and runs without a result."""
    results: pd.DataFrame
    """A row for each finished run.

    The columns are ``name``, ``model``, ``seed``, ``minutes``, ``valid_score``, and the metrics.
    """
    significance: pd.DataFrame
    """A row for each pair of models and metric; may be empty."""
    runs: list[FinishedRun]
    """Finished runs with a folder, in the order of ``results``."""
    unfinished: list[str]
    """Folders of runs without a result."""

    @property
    def names(self) -> list[str]:
        """The models, in order."""
        return list(dict.fromkeys(self.results["name"]))

    @property
    def metrics(self) -> list[str]:
        """Metrics over all users and items, also those of views."""
        return [name for name in self.results.columns[N_HEAD:] if not is_of_group(name)]

    @property
    def valid_metric(self) -> str:
        """Validation metric of the runs, else the first metric."""
        metrics = self.metrics
        for run in self.runs:
            # RecBole takes "NDCG@10" too, but names the columns in lower case.
            metric = str(run.configuration.get("valid_metric", "")).lower()
            if metric in metrics:
                return metric
        return metrics[0]


def read_comparisons(folder: Path) -> list[ComparisonFolder]:
    """Read the comparison in a folder, or those in its subfolders (``--splits``).

    Args:
        folder: The ``--output`` folder of ``run_recbole_group``, or a part of it.

    Raises:
        ConfigError: There is no comparison, it has no results, or a file cannot be read.
    """
    if not folder.is_dir():
        raise ConfigError(f"RUN_FOLDER: there is no folder {folder}")
    if folder.name == "runs" and (folder.parent / RESULTS).is_file():
        raise ConfigError(f"RUN_FOLDER: found {folder}, meant is {folder.parent}")

    # With --splits, each split has a comparison in a subfolder.
    parents = [folder, *sorted(folder.iterdir())]
    started = [path for path in parents if (path / "runs").is_dir()]
    finished = [path for path in started if (path / RESULTS).is_file()]
    if finished:
        return [_read_comparison(path) for path in finished]

    if started:
        hint = "start its run_recbole_group command again, which continues and writes it at the end"
        raise ConfigError(f"RUN_FOLDER: {folder} has runs but no {RESULTS}; {hint}")
    found = f"{folder} holds no comparison (no {RESULTS} beside a folder runs)"
    allowed = "the folder that run_recbole_group --output names"
    raise ConfigError(f"RUN_FOLDER: {found}, allowed is {allowed}")


def _read_comparison(folder: Path) -> ComparisonFolder:
    results = _read_results(folder / RESULTS)
    title, legend = _read_summary(folder)
    paths = sorted((folder / "runs").iterdir())
    return ComparisonFolder(
        folder=folder,
        title=title,
        legend=legend,
        results=results,
        significance=_read_significance(folder / SIGNIFICANCE),
        runs=_find_runs(folder, results),
        unfinished=[path.name for path in paths if not (path / RESULT).is_file()],
    )


def _read_significance(file: Path) -> pd.DataFrame:
    if file.is_file():
        return read_table(file)
    return pd.DataFrame(columns=["metric", "a", "b"])


def _read_results(file: Path) -> pd.DataFrame:
    results = read_table(file)
    head = list(results.columns[:N_HEAD])
    if head != _HEAD or results.empty:
        found = f"the columns {', '.join(head)} and {len(results)} rows"
        expected = "the results that run_recbole_group writes"
        raise ConfigError(f"{file}: found {found}, expected {expected}")
    if len(results.columns) == N_HEAD:
        raise ConfigError(f"{file}: no column of a metric")
    return results


def _find_runs(folder: Path, results: pd.DataFrame) -> list[FinishedRun]:
    """Find the runs of all rows; a row without a folder is left out."""
    runs = []
    for _, row in results.iterrows():
        run = _find_run(folder, row)
        if run is not None:
            runs.append(run)
    return runs


def _find_run(folder: Path, row: pd.Series[Any]) -> FinishedRun | None:
    """Find the run of a row by name and seed."""
    # The name of a run's folder ends in the fingerprint of its configuration.
    pattern = re.compile(re.escape(f"{file_name(row['name'])}-{row['seed']}-") + "[0-9a-f]{12}")
    candidates: list[tuple[int, Path, dict[str, Any]]] = []
    for path in (folder / "runs").iterdir():
        if pattern.fullmatch(path.name) and (path / RESULT).is_file():
            result = _read(path / RESULT, json.loads)
            candidates.append((_n_differences(row, result.get("test_result", {})), path, result))

    if not candidates:
        return None
    # After a change of the configuration there are several runs of one name and seed.
    _, path, result = min(candidates, key=lambda candidate: candidate[:2])
    return FinishedRun(row["name"], str(row["model"]), int(row["seed"]), path, result)


def _n_differences(row: pd.Series[Any], reported: dict[str, float]) -> int:
    """Count the metrics with another value in the row than in the result; NaN counts as equal."""
    n_different = 0
    for key, value in reported.items():
        is_nan = value != value
        if key in row and not is_nan and row[key] != value:
            n_different += 1
    return n_different


def _read_summary(folder: Path) -> tuple[str, str]:
    """Read title and legend, the first and the last paragraph."""
    path = folder / SUMMARY
    if not path.is_file():
        return folder.absolute().name, ""

    text = path.read_text(encoding="utf-8").strip()
    # The inverse of plain_markdown.
    plain = re.sub(r"\\([\\|*<`])", r"\1", text)

    paragraphs = plain.split("\n\n")
    legend = paragraphs[-1] if len(paragraphs) > 2 else ""
    return paragraphs[0], legend


def read_table(path: Path) -> pd.DataFrame:
    """Read a CSV file.

    Raises:
        ConfigError: It is no CSV file.
    """
    # A model may be called "nan" or "None": only an empty cell is missing.
    options: Any = {
        "keep_default_na": False,
        "na_values": [""],
        "dtype": dict.fromkeys(_NAMES, str),
    }
    try:
        # pandas' default parser of floats may differ from Python's in the last digit.
        table: pd.DataFrame = pd.read_csv(path, float_precision="round_trip", **options)
    except (ValueError, OSError) as error:  # parsing errors of pandas are ValueErrors
        raise ConfigError(f"{path}: cannot be read as CSV ({one_line(error)})") from None
    return table


def _read(path: Path, parse: Callable[[str], Any]) -> Any:
    """Parse a file; None without the file."""
    if not path.is_file():
        return None
    try:
        return parse(path.read_text(encoding="utf-8"))
    except (ValueError, OSError, yaml.YAMLError) as error:
        raise ConfigError(f"{path}: cannot be read ({one_line(error)})") from None
