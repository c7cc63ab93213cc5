"""Writing of results piece by piece, to a temporary file that gets its name at the end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from recbole_sibrar.errors import DataError
from recbole_sibrar.files import check_writable, replacing

__all__ = ["TABLES", "VECTORS", "table_writer", "vector_writer"]

TABLES = (".parquet", ".csv", ".jsonl")
"""Suffixes of tables of recommendations."""

VECTORS = (".parquet", ".jsonl", ".npy")
"""Suffixes of files of vectors."""

Write = Callable[[pd.DataFrame], None]


def check_output(path: Path, formats: tuple[str, ...]) -> None:
    """Check that an output can be written.

    Raises:
        DataError: Its suffix is unknown, or it cannot be written.
    """
    if path.suffix.lower() not in formats:
        raise DataError(
            f"--output: found {path}, allowed is a file with the suffix {', '.join(formats)}"
        )
    check_writable(path, "--output")


@contextmanager
def table_writer(path: Path) -> Iterator[Write]:
    """Write tables one after the other, within a ``with`` block.

    Args:
        path: The file; its suffix is one of :data:`TABLES`.

    Yields:
        Function that writes a table; all have the same columns.

    Raises:
        DataError: The suffix is unknown, or the file cannot be written.
    """
    check_output(path, TABLES)
    with replacing(path) as temporary, _writer(temporary, path.suffix.lower()) as write:
        yield write


@contextmanager
def _writer(path: Path, suffix: str) -> Iterator[Write]:
    """Write tables in one of the formats."""
    if suffix == ".parquet":
        with _parquet(path) as write:
            yield write
        return

    with path.open("w", encoding="utf-8", newline="") as stream:
        is_first = True

        def write_text(frame: pd.DataFrame) -> None:
            nonlocal is_first
            if suffix == ".csv":
                frame.to_csv(stream, index=False, header=is_first, lineterminator="\n")
            # Of an empty frame pandas writes a blank line.
            elif len(frame):
                frame.to_json(
                    stream, orient="records", lines=True, force_ascii=False, double_precision=8
                )
            is_first = False

        yield write_text


@contextmanager
def _parquet(path: Path) -> Iterator[Write]:
    writer: pq.ParquetWriter | None = None

    def write(frame: pd.DataFrame) -> None:
        nonlocal writer
        table = pa.Table.from_pandas(_with_types(frame), preserve_index=False)
        table = table.replace_schema_metadata()
        if writer is None:
            writer = _open_parquet(path, table.schema)
        writer.write_table(table)

    try:
        yield write
    finally:
        if writer is not None:
            writer.close()


def _open_parquet(path: Path, schema: pa.Schema) -> pq.ParquetWriter:
    """Open a file for tables, with or without vectors."""
    # Numbers of a vector hardly repeat: a dictionary of them costs time, and compression gains
    # nothing.
    names = [name for name in schema.names if name != "embedding"]
    compression: dict[str, str] = {}
    for field in schema:
        # Parquet stores a list by its elements, under a name of their own.
        leaf = f"{field.name}.list.element" if pa.types.is_list(field.type) else field.name
        compression[leaf] = "zstd" if leaf in names else "none"
    return pq.ParquetWriter(path, schema, compression=compression, use_dictionary=names)


def _with_types(frame: pd.DataFrame) -> pd.DataFrame:
    """Give the ranks a type of their own size."""
    if "rank" not in frame:
        return frame
    return frame.assign(rank=frame["rank"].astype(np.int32))


@contextmanager
def vector_writer(path: Path) -> Iterator[Write]:
    """Write tables of ids and vectors one after the other, within a ``with`` block.

    A Parquet file has the vectors as a list column. A ``.npy`` file has a float32 matrix ``[n,
    k]``, and the ids stand one a line in a text file beside it.

    Args:
        path: The file; its suffix is one of :data:`VECTORS`.

    Yields:
        Function that writes a table with the column ``embedding``.

    Raises:
        DataError: The suffix is unknown, or the file cannot be written.
    """
    check_output(path, VECTORS)
    if path.suffix.lower() != ".npy":
        with replacing(path) as temporary, _writer(temporary, path.suffix.lower()) as write:
            yield write
        return

    ids_file = path.with_suffix(".ids.txt")
    with replacing(path) as temporary, replacing(ids_file) as ids, _numpy(temporary, ids) as write:
        yield write


@contextmanager
def _numpy(path: Path, ids: Path) -> Iterator[Write]:
    """Write a matrix whose number of rows is known at the end only."""
    header = 128
    n = 0
    size = 0
    with path.open("wb") as matrix, ids.open("w", encoding="utf-8") as lines:
        matrix.write(b" " * header)

        def write(frame: pd.DataFrame) -> None:
            nonlocal n, size
            if not len(frame):
                return
            vectors = np.stack(frame["embedding"].to_list()).astype("<f4")
            matrix.write(vectors.tobytes())
            n += len(vectors)
            size = vectors.shape[1]
            lines.writelines(f"{token}\n" for token in frame.iloc[:, 0])

        yield write

        # The header has a fixed length, as NumPy pads it, so that it can be written last. Its form
        # is version 1.0 of numpy.lib.format.
        description = f"{{'descr': '<f4', 'fortran_order': False, 'shape': ({n}, {size}), }}"
        matrix.seek(0)
        prefix = b"\x93NUMPY\x01\x00" + (header - 10).to_bytes(2, "little")
        matrix.write(prefix + description.ljust(header - 11).encode() + b"\n")
