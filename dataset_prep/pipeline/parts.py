"""Parts of a published split, each a file of interactions for ``benchmark_filename``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from recbole_sibrar.errors import DataError


def part_rows(inter: pd.DataFrame, parts: Mapping[str, Sequence[str]]) -> dict[str, NDArray[Any]]:
    """Find the interactions of each part: name of the part -> bool ``[n]``.

    Args:
        inter: Interactions after all filters, with a column ``part`` if there are parts.
        parts: As in :class:`~.raw.RawData`.

    Raises:
        DataError: No interaction is left in a part.
    """
    rows = {}
    for name, values in parts.items():
        # The filters can take all of a part; without it the split is another.
        rows[name] = inter["part"].isin(values).to_numpy()
        if not rows[name].any():
            raise DataError(
                f"no interaction is left in the part '{name}' of the split; ask for less by the "
                "filters"
            )
    return rows


def describe_parts(rows: Mapping[str, NDArray[Any]]) -> list[str]:
    """Write the sentence for the report on the parts, if there are some."""
    if not rows:
        return []
    counts = ", ".join(f"{name} {np.count_nonzero(own):,}" for name, own in rows.items())
    return [f"Interactions of the parts of the published split, for benchmark_filename: {counts}."]
