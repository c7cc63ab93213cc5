"""Endings of file names: the kind of a table, its packing and its separator."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from recbole_sibrar.errors import DataError

COMPRESSIONS = (".gz", ".bz2", ".zst")
"""Endings of compressed files. They are read without unpacking them."""

# The .dat files of MovieLens have two colons.
SEPARATORS = {".csv": ",", ".tsv": "\t", ".txt": "\t", ".dat": "::"}
"""Ending of a text file -> separator of its columns."""

JSON_ENDINGS = (".jsonl", ".ndjson", ".json")
"""Endings of JSON files."""


def ending_of(path: Path) -> str:
    """Find the ending of a file's name, without the ending of its packing.

    Example:
        >>> ending_of(Path("items.csv.gz"))
        '.csv'
    """
    return path.with_suffix("").suffix if path.suffix in COMPRESSIONS else path.suffix


def separator_of(path: Path, others: Sequence[str] = ()) -> str:
    r"""Find the separator of the columns of a text file by its ending.

    Args:
        path: The file.
        others: Other allowed endings, for the message.

    Raises:
        DataError: The ending is unknown.

    Example:
        >>> separator_of(Path("items.tsv"))
        '\t'
    """
    ending = ending_of(path)
    if ending not in SEPARATORS:
        endings = ", ".join([*SEPARATORS, *others])
        raise DataError(
            f"{path}: found the ending '{ending}', allowed are .parquet and, packed or not, "
            f"{endings}; name the separator of a text file of another name with --separator"
        )
    return SEPARATORS[ending]
