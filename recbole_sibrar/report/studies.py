"""Studies of the checkpoints of a comparison, read from its folder or made for the report."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from tqdm import tqdm

from recbole_sibrar.config import ConfigError
from recbole_sibrar.config.choices import RATES
from recbole_sibrar.files import check_writable
from recbole_sibrar.names import MODELS
from recbole_sibrar.plotting.style import line_names
from recbole_sibrar.quick_start.group.folder import ComparisonFolder, read_table
from recbole_sibrar.studies.files import write_table
from recbole_sibrar.studies.gap import measures as modality_gap
from recbole_sibrar.studies.missing import measures as missing_modality
from recbole_sibrar.studies.missing import study as missing
from recbole_sibrar.studies.missing.options import read_plan

MISSING = ("missing/missing.csv", "missing.csv")
"""Paths of the table of ``recbole-sibrar missing``; a new one gets the first path."""

GAP = ("gap/gap.csv", "gap.csv")
"""Paths of the table of ``recbole-sibrar gap``; a new one gets the first path."""

POINTS = "projection.csv"
"""Table of projections, beside that of the gap."""

_POINT_COLUMNS = ("checkpoint", "model", "modality", "x", "y", "about")


def missing_study(
    data: ComparisonFolder, compute: bool, data_path: str | None = None
) -> pd.DataFrame | None:
    """Read the study of missing item modalities, or make it on request.

    Args:
        data: The comparison.
        compute: True to evaluate its checkpoints if there is no study.
        data_path: Folder of their data, if they have moved since training.

    Returns:
        The rows of the study with the column ``name``, the model in the comparison; None if there
        is none.

    Raises:
        ConfigError: The file is no such study, or no checkpoint can be studied.
    """
    path = _find(data, MISSING)
    if path is None and compute:
        checkpoints = _checkpoints(data, "--missing")
        # Before the evaluation, which takes long, and would be lost without a place.
        path = _new(data, MISSING, "--missing")
        plan = read_plan("item", None, RATES, "5")
        frame, _ = missing.run(checkpoints, plan, None, tqdm.write, data_path)
        write_table(frame, path)
    return None if path is None else _read(path, data, missing_modality.COLUMNS)


def gap_study(
    data: ComparisonFolder, compute: bool, data_path: str | None = None
) -> tuple[pd.DataFrame | None, pd.DataFrame | None]:
    """Read the measures of the items' modality gap and projections, or make them on request.

    Args:
        data: The comparison.
        compute: True to measure it in its checkpoints if there are no measures.
        data_path: Folder of their data, if they have moved since training.

    Returns:
        ``name``, ``first``, ``second``, ``measure``, ``value``, ``low``, ``high`` and more; then
        the points of the projections. None for a table that is not there.

    Raises:
        ConfigError: A file is no such table, or no checkpoint has a gap.
    """
    path = _find(data, GAP)
    if path is None and compute:
        checkpoints = _checkpoints(data, "--gap")
        path = _new(data, GAP, "--gap")
        frame, points = _measure(checkpoints, data_path)
        # The table of the gap last: its presence ends the search for a study.
        write_table(points, path.with_name(POINTS))
        write_table(frame, path)
    if path is None:
        return None, None

    frame = _read(path, data, ("checkpoint", "model", *modality_gap.COLUMNS))
    projection = path.with_name(POINTS)
    # Not among the tables of `recbole-sibrar gap` itself.
    if not projection.is_file():
        return frame, None
    return frame, _read(projection, data, _POINT_COLUMNS)


def _measure(
    checkpoints: Sequence[str], data_path: str | None
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Measure the gap of every checkpoint with one, and name the others.

    Returns:
        Measures and projections.
    """
    # A second to load, for this option alone.
    from recbole_sibrar.studies.gap.points import projected_points
    from recbole_sibrar.studies.gap.study import measure

    frames = []
    points = []
    for checkpoint in tqdm(checkpoints, desc="modality gap", unit="checkpoint"):
        try:
            found = measure(checkpoint, data_path=data_path)
        except ConfigError as error:
            tqdm.write(f"left out: {error}")
            continue
        frames.append(found.frame)
        about = (found.name, found.frame["model"].iloc[0], checkpoint)
        points.append(projected_points(found.sample, about))

    if not frames:
        raise ConfigError("--gap: no checkpoint has a modality gap that can be measured")
    return pd.concat(frames, ignore_index=True), pd.concat(points, ignore_index=True)


def _find(data: ComparisonFolder, names: Sequence[str]) -> Path | None:
    for name in names:
        path = data.folder / name
        if path.is_file():
            return path
    return None


def _new(data: ComparisonFolder, names: Sequence[str], option: str) -> Path:
    path = data.folder / names[0]
    check_writable(path, option)
    return path


def _read(path: Path, data: ComparisonFolder, columns: Sequence[str]) -> pd.DataFrame:
    frame = read_table(path)
    lacking = [column for column in columns if column not in frame]
    if lacking or frame.empty:
        found = f"no column {', '.join(lacking)}" if lacking else "no row"
        raise ConfigError(f"{path}: {found}, expected is a table with {', '.join(columns)}")
    return _named(frame, data)


def _named(frame: pd.DataFrame, data: ComparisonFolder) -> pd.DataFrame:
    """Add the column ``name``: the model of the row's checkpoint in the comparison.

    A checkpoint of no run is named as in the figures of ``recbole-sibrar missing``.
    """
    # The name of the run's folder identifies a checkpoint: the comparison may move as a whole.
    runs = {run.folder.name: run.name for run in data.runs}
    names = {}
    for checkpoint, other in line_names(frame).items():
        # The study may come from Windows.
        parts = str(checkpoint).replace("\\", "/").split("/")
        folders = [part for part in parts if part in runs]
        names[checkpoint] = runs[folders[-1]] if folders else other
    return frame.assign(name=frame["checkpoint"].map(names))


def _checkpoints(data: ComparisonFolder, option: str) -> list[str]:
    """Find the checkpoints of models with modalities."""
    found = []
    for run in data.runs:
        if run.model in MODELS and run.checkpoint is not None:
            found.append(str(run.checkpoint))

    if not found:
        allowed = f"a model that encodes modalities: {', '.join(MODELS)}"
        raise ConfigError(f"{option}: {data.folder} has no checkpoint of {allowed}")
    return found
