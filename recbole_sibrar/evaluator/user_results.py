"""Files of the results of each user: Parquet, CSV or JSON lines."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from recbole_sibrar.files import replacing

__all__ = ["read_users", "write_users"]

_ITEMS = "items"
"""Column of the lists of recommended items; JSON in CSV files."""


def write_users(frame: pd.DataFrame, path: Path) -> None:
    """Write the results of users; an existing file is replaced when all is written.

    Args:
        frame: A row for each user; numbers are not rounded.
        path: The file; its suffix is one of :data:`~recbole_sibrar.config.USER_FORMATS`.

    Raises:
        OSError: The file cannot be written.
    """
    with replacing(path) as temporary:
        if path.suffix == ".parquet":
            frame.to_parquet(temporary, index=False)
        elif path.suffix == ".csv":
            # pandas would write a list in Python's form, which no other program reads.
            lists = [json.dumps(list(items), ensure_ascii=False) for items in frame[_ITEMS]]
            frame.assign(**{_ITEMS: lists}).to_csv(temporary, index=False)
        else:
            temporary.write_text(_json_lines(frame), encoding="utf-8")


def _json_lines(frame: pd.DataFrame) -> str:
    """Write a JSON object a line for each user."""
    # DataFrame.to_json rounds numbers, to at most 15 digits.
    lines = []
    for row in frame.to_dict("records"):
        line = json.dumps(_plain(row), ensure_ascii=False)
        lines.append(f"{line}\n")
    return "".join(lines)


def _plain(row: dict[Any, Any]) -> dict[Any, Any]:
    """Prepare a row for JSON: null instead of NaN."""
    plain = dict(row)
    for key, value in row.items():
        if key == _ITEMS:
            plain[key] = list(value)
        # NaN alone differs from itself; JSON has no word for it.
        elif value != value:
            plain[key] = None
    return plain


def read_users(path: Path) -> pd.DataFrame:
    """Read a file of :func:`write_users`.

    Returns:
        A row for each user: the original id as str, numbers as float64, lists of items.

    Raises:
        ValueError: Its content has another form.
        OSError: It cannot be read.
    """
    if path.suffix == ".csv":
        # pandas takes ids such as "NA" and "null" for missing, and drops the zero of "007".
        frame = pd.read_csv(path, dtype=str, keep_default_na=False)
        if _ITEMS in frame:
            frame[_ITEMS] = frame[_ITEMS].map(json.loads)
    elif path.suffix == ".jsonl":
        lines = path.read_text(encoding="utf-8").splitlines()
        frame = pd.DataFrame([json.loads(line) for line in lines])
    else:
        return pd.read_parquet(path)

    for name in frame.columns[1:].drop(_ITEMS, errors="ignore"):
        # pandas.to_numeric rounds the last digit of some numbers.
        cells = [math.nan if cell in ("", None) else float(cell) for cell in frame[name]]
        frame[name] = np.array(cells, dtype=np.float64)
    return frame
