"""Files of studies."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from recbole_sibrar.files import replacing

__all__ = ["write_table"]


def write_table(frame: pd.DataFrame, path: Path) -> None:
    """Write a table as CSV; an existing file is replaced when all is written.

    Args:
        frame: The table; its index is left out.
        path: Path of the file.

    Raises:
        OSError: The file cannot be written.
    """
    with replacing(path) as temporary:
        frame.to_csv(temporary, index=False)
