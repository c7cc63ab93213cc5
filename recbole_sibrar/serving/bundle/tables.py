"""Reading of the Parquet files of a portable model, with every column checked."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from recbole_sibrar.errors import PortableModelError
from recbole_sibrar.serving.bundle.content import Histories

__all__ = ["HISTORY", "column_of", "read_histories", "read_parquet"]

HISTORY = "history"
"""Column with the training items of each user, as lists of numbers."""

_LIST = pa.large_list(pa.int32())

_ROWS_A_BLOCK = 4096

_BYTES_A_READ = 1 << 20
"""Bytes to read at a time; without a limit Arrow reads all histories before it decodes the first."""


def read_parquet(path: Path) -> pa.Table:
    """Read all columns of a file but the histories."""
    with pq.ParquetFile(path) as file:
        names = [name for name in file.schema_arrow.names if name != HISTORY]
        return file.read(names, use_threads=False).combine_chunks()


def column_of(path: Path, table: pa.Table, name: str, kind: pa.DataType) -> pa.Array:
    """Return a column of a table without missing values.

    Args:
        path: File of the table, for messages.
        table: The table.
        name: Name of the column.
        kind: Its type.

    Raises:
        PortableModelError: The column is missing, of another type, or has missing values.
    """
    if table.column_names.count(name) != 1:
        raise PortableModelError(f"{path}: the column '{name}' is missing, or is there twice")
    column = table.column(name)
    _check_column(path, name, column.type, kind, column.null_count)
    return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column


def _check_column(
    path: Path, name: str, found: pa.DataType, allowed: pa.DataType, n_missing: int
) -> None:
    if found != allowed or n_missing:
        raise PortableModelError(
            f"{path}: column '{name}': found {found} with {n_missing} missing values, "
            f"allowed is {allowed} without any"
        )


def read_histories(path: Path, n_items: int) -> Histories:
    """Read the histories of the users, block by block: they can be larger than the embeddings.

    Args:
        path: File of the users.
        n_items: Number of items.

    Raises:
        PortableModelError: The column is missing or of another type, or names items beyond those of the model.
    """
    with pq.ParquetFile(path, buffer_size=_BYTES_A_READ) as file:
        fields = [field for field in file.schema_arrow if field.name == HISTORY]
        if len(fields) != 1:
            raise PortableModelError(
                f"{path}: the column '{HISTORY}' is missing, or is there twice"
            )
        _check_column(path, HISTORY, fields[0].type, _LIST, 0)

        # filled in place: a list of blocks, and the array joined from it, would be in memory at once
        items = np.empty(_count_values(file), dtype=np.int32)
        lengths = [np.zeros(1, dtype=np.int64)]
        n = 0
        for block in file.iter_batches(_ROWS_A_BLOCK, columns=[HISTORY], use_threads=False):
            column = block.column(0)
            part = column.flatten()
            _check_column(path, HISTORY, _LIST, _LIST, column.null_count + part.null_count)
            lengths.append(pc.list_value_length(column).to_numpy())
            items[n : n + len(part)] = part.to_numpy()
            n += len(part)

    held = items[:n]
    if n and not 0 <= held.min() <= held.max() < n_items:
        raise PortableModelError(
            f"{path}: column '{HISTORY}': found items beyond the {n_items} of the model"
        )
    return Histories(held, np.cumsum(np.concatenate(lengths)))


def _count_values(file: pq.ParquetFile) -> int:
    """Count the items of all histories; an empty history counts as well."""
    groups = (file.metadata.row_group(number) for number in range(file.metadata.num_row_groups))
    columns = (group.column(number) for group in groups for number in range(group.num_columns))
    return sum(
        column.num_values for column in columns if column.path_in_schema.startswith(f"{HISTORY}.")
    )
