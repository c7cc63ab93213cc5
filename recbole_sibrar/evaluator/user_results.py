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
            lists = frame[_ITEMS].map(lambda items: json.dumps(list(items), ensure_ascii=False))
            frame.assign(**{_ITEMS: lists}).to_csv(temporary, index=False)
        else:
            lines = [
                json.dumps(_plain(row), ensure_ascii=False) for row in frame.to_dict("records")
            ]
            temporary.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def _plain(row: dict[Any, Any]) -> dict[Any, Any]:
    """Prepare a row for JSON: null instead of NaN."""
    values = {key: list(value) if key == _ITEMS else value for key, value in row.items()}
    # NaN alone differs from itself; JSON has no word for it.
    return {key: None if value != value else value for key, value in values.items()}


def read_users(path: Path) -> pd.DataFrame:
    """Read a file of :func:`write_users`.

    Returns:
        A row for each user: the original id as str, numbers as float64, lists of items.

    Raises:
        ValueError: Its content has another form.
        OSError: It cannot be read.
    """
    if path.suffix == ".csv":
        frame = pd.read_csv(path, dtype=str, keep_default_na=False)
        if _ITEMS in frame:
            frame[_ITEMS] = frame[_ITEMS].map(json.loads)
    elif path.suffix == ".jsonl":
        frame = pd.DataFrame(
            [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        )
    else:
        return pd.read_parquet(path)

    for name in frame.columns[1:].drop(_ITEMS, errors="ignore"):
        # pandas.to_numeric rounds the last digit of some numbers.
        cells = [math.nan if cell in ("", None) else float(cell) for cell in frame[name]]
        frame[name] = np.array(cells, dtype=np.float64)
    return frame
