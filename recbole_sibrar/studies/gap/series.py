"""Files of ``gap_every``: the modality gap during training."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from recbole_sibrar.config import ConfigError, refuse
from recbole_sibrar.studies.gap.options import split_name

__all__ = ["SERIES_COLUMNS", "read_series"]

SERIES_COLUMNS = ("epochs", "side", "first", "second", "measure", "value", "low", "high")
"""Columns of the file of ``gap_every``."""


def read_series(arguments: Sequence[str]) -> dict[str, pd.DataFrame]:
    """Read the files of ``gap_every``: measures of the gap during training.

    Args:
        arguments: Files, or ``NAME=FILE``.

    Returns:
        Name -> rows with the columns :data:`SERIES_COLUMNS`.

    Raises:
        ConfigError: A file cannot be read, or is no such file; a name occurs twice.
    """
    series: dict[str, pd.DataFrame] = {}
    for argument in arguments:
        name, file = split_name(argument)
        frame = _read_file(file)
        label = name or Path(file).stem
        if label in series:
            refuse("--series", label, "names that differ, as in first=a.csv second=b.csv")
        # Rows about all modalities together have empty names, which read_csv makes NaN.
        series[label] = frame.fillna({"first": "", "second": ""})
    return series


def _read_file(file: str) -> pd.DataFrame:
    try:
        # A modality may be named like a missing value of pandas, such as "null".
        frame = pd.read_csv(
            file, keep_default_na=False, na_values=[""], dtype={"first": str, "second": str}
        )
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ConfigError(f"--series: cannot read {file}: {reason}") from None

    for column in SERIES_COLUMNS:
        if column not in frame.columns:
            allowed = f"a file of gap_every, with the column {column}"
            refuse(f"--series: {file}", ", ".join(frame.columns), allowed)
    return frame
