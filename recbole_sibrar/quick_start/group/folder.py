"""Reading what ``run_recbole_group`` has left in a folder."""

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
from recbole_sibrar.quick_start.group.runs import CONFIGURATION, CURVE
from recbole_sibrar.quick_start.group.single_run import CHECKPOINT, RESULT
from recbole_sibrar.quick_start.group.variants import file_name

RESULTS, SIGNIFICANCE, SUMMARY, ENVIRONMENT = "results.csv", "significance.csv", "summary.md", "environment.json"

N_HEAD = 5
"""``results.csv`` has so many columns before the metrics."""

_NAMES = ("name", "model", "a", "b", "checkpoint", "modalities", "first", "second")
"""Columns of names, which stay what they are even if they look like numbers."""


@dataclass(frozen=True)
class FinishedRun:
    """A model with one seed."""

    name: str
    """What the comparison calls the model."""
    model: str
    """Name of its class."""
    seed: int
    """RecBole's ``seed``."""
    folder: Path
    """Where its files are."""
    result: dict[str, Any]
    """What the run reported."""

    @property
    def checkpoint(self) -> Path | None:
        """The trained model; None if it is gone, or the model has none."""
        path = self.folder / CHECKPOINT
        return path if path.is_file() else None

    @cached_property
    def configuration(self) -> dict[str, Any]:
        """Every key and its value; empty if the file is gone."""
        return _read(self.folder / CONFIGURATION, yaml.safe_load) or {}

    @cached_property
    def environment(self) -> dict[str, Any]:
        """Versions of packages and the state of git; empty if the file is gone."""
        return _read(self.folder / ENVIRONMENT, json.loads) or {}

    @property
    def curve(self) -> pd.DataFrame | None:
        """``epoch``, ``train_loss`` and the validation's metrics; None for a model that is not trained in epochs."""
        path = self.folder / CURVE
        return read_table(path) if path.is_file() else None


@dataclass(frozen=True)
class ComparisonFolder:
    """The comparison of some models on one split."""

    folder: Path
    """Where it is."""
    title: str
    """What was compared, in words."""
    legend: str
    """What the marks of the results mean, and which runs have no result."""
    results: pd.DataFrame
    """A row for each finished run: ``name``, ``model``, ``seed``, ``minutes``, ``valid_score``, and the metrics."""
    significance: pd.DataFrame
    """A row for each pair of models and metric; may be empty."""
    runs: list[FinishedRun]
    """The finished runs whose folders are there, in the order of ``results``."""
    unfinished: list[str]
    """Folders of runs without a result."""

    @property
    def names(self) -> list[str]:
        """The models, in order."""
        return list(dict.fromkeys(self.results["name"]))

    @property
    def metrics(self) -> list[str]:
        """The metrics of all users and items."""
        return [name for name in self.results.columns[N_HEAD:] if "[" not in name]

    @property
    def valid_metric(self) -> str:
        """The metric by which the epoch was chosen, or else the first one."""
        found = [str(run.configuration.get("valid_metric", "")).lower() for run in self.runs]
        return next((metric for metric in found if metric in self.metrics), self.metrics[0])


def read_comparisons(folder: Path) -> list[ComparisonFolder]:
    """Read the comparison in a folder, or those in its subfolders, as ``--splits`` makes them.

    Args:
        folder: The ``--output`` of ``run_recbole_group``, or a part of it.

    Raises:
        ConfigError: There is none, or none with results, or a file cannot be read.
    """
    if not folder.is_dir():
        raise ConfigError(f"RUN_FOLDER: there is no folder {folder}")
    if folder.name == "runs" and (folder.parent / RESULTS).is_file():
        raise ConfigError(f"RUN_FOLDER: found {folder}, meant is {folder.parent}")
    parents = [folder, *sorted(path for path in folder.iterdir() if path.is_dir())]
    found = [path for path in parents if (path / RESULTS).is_file() and (path / "runs").is_dir()]
    if found:
        return [_read_comparison(path) for path in found]
    started = [path for path in parents if (path / "runs").is_dir()]
    if started:
        hint = "start its run_recbole_group command again, which goes on and writes it at the end"
        raise ConfigError(f"RUN_FOLDER: {folder} has runs but no {RESULTS}; {hint}")
    allowed = "the folder that run_recbole_group --output names"
    raise ConfigError(
        f"RUN_FOLDER: {folder} holds no comparison (no {RESULTS} beside a folder runs), allowed is {allowed}"
    )


def _read_comparison(folder: Path) -> ComparisonFolder:
    results = read_table(folder / RESULTS)
    if list(results.columns[:N_HEAD]) != ["name", "model", "seed", "minutes", "valid_score"] or results.empty:
        raise ConfigError(f"{folder / RESULTS}: found the columns {', '.join(results.columns[:N_HEAD])} and "
                          f"{len(results)} rows, expected the results that run_recbole_group writes")  # fmt: skip
    if len(results.columns) == N_HEAD:
        raise ConfigError(f"{folder / RESULTS}: no column of a metric")
    runs = [run for _, row in results.iterrows() if (run := _find_run(folder, row)) is not None]
    path = folder / SIGNIFICANCE
    title, legend = _read_summary(folder)
    unfinished = [path.name for path in sorted((folder / "runs").iterdir()) if not (path / RESULT).is_file()]
    significance = read_table(path) if path.is_file() else pd.DataFrame(columns=["metric", "a", "b"])
    return ComparisonFolder(folder, title, legend, results, significance, runs, unfinished)


def _find_run(folder: Path, row: pd.Series) -> FinishedRun | None:
    """The run of a row: by its name and seed and, where the configuration was changed later, by its results."""
    begin = f"{file_name(row['name'])}-{row['seed']}-"
    candidates = []
    for path in (folder / "runs").iterdir():
        if re.fullmatch(re.escape(begin) + "[0-9a-f]{12}", path.name) and (path / RESULT).is_file():
            result = _read(path / RESULT, json.loads)
            reported = result.get("test_result", {})
            differing = sum(row[key] != value for key, value in reported.items() if key in row and value == value)
            candidates.append((differing, path, result))
    if not candidates:
        return None
    _, path, result = min(candidates, key=lambda candidate: candidate[:2])
    return FinishedRun(row["name"], str(row["model"]), int(row["seed"]), path, result)


def _read_summary(folder: Path) -> tuple[str, str]:
    """Title and legend, which are the first and the last paragraph."""
    path = folder / SUMMARY
    if not path.is_file():
        return folder.absolute().name, ""
    paragraphs = path.read_text(encoding="utf-8").strip().split("\n\n")
    plain = [re.sub(r"\\([\\|*<`])", r"\1", paragraph) for paragraph in paragraphs]
    return plain[0], plain[-1] if len(plain) > 2 else ""


def read_table(path: Path) -> pd.DataFrame:
    """Read a CSV file.

    Raises:
        ConfigError: It is none.
    """
    try:
        options: Any = {"keep_default_na": False, "na_values": [""], "dtype": dict.fromkeys(_NAMES, str)}
        return pd.read_csv(path, float_precision="round_trip", **options)
    except (ValueError, OSError) as error:  # pandas' errors of parsing are values too
        raise ConfigError(f"{path}: cannot be read as CSV ({' '.join(str(error).split())})") from None


def _read(path: Path, parse: Callable[[str], Any]) -> Any:
    """Parse a file; None if there is none."""
    if not path.is_file():
        return None
    try:
        return parse(path.read_text(encoding="utf-8"))
    except (ValueError, OSError, yaml.YAMLError) as error:
        raise ConfigError(f"{path}: cannot be read ({' '.join(str(error).split())})") from None
