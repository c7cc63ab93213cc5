"""Writing atomic files block by block, and whole data sets at once or not at all."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from tqdm import tqdm

from recbole_sibrar.errors import DataError

from . import cells
from .columns import NUMBERS_PER_BLOCK, Column

RESULTS = ("report.json", "report.md")
"""Files beside the atomic files. The names of all others begin with the name of the data set."""


def write_atomic(path: Path, n_rows: int, columns: Sequence[Column]) -> None:
    """Write an atomic file.

    Args:
        path: The file.
        n_rows: Number of its lines after the header.
        columns: Its columns.
    """
    block = max(1, NUMBERS_PER_BLOCK // sum(column.width for column in columns))
    tab, line_end, nothing = pa.scalar("\t"), pa.scalar("\n"), pa.scalar("")
    with (
        open(path, "wb") as file,
        tqdm(total=n_rows, desc=path.name, unit="line", disable=None) as bar,
    ):
        file.write(("\t".join(column.field.header for column in columns) + "\n").encode())
        for start in range(0, n_rows, block):
            stop = min(start + block, n_rows)
            texts = [
                cells.quoted(pc.fill_null(column.text(start, stop), nothing)) for column in columns
            ]
            lines = pc.binary_join_element_wise(*texts, tab)
            file.write(_bytes_of(pc.binary_join_element_wise(lines, line_end, nothing)))
            bar.update(stop - start)


def _bytes_of(texts: pa.Array) -> memoryview:
    """Join all texts, without a copy."""
    ends = np.frombuffer(texts.buffers()[1], dtype=np.int32)[
        texts.offset : texts.offset + len(texts) + 1
    ]
    return memoryview(texts.buffers()[2])[int(ends[0]) : int(ends[-1])]


def check_target(folder: Path, source: Path, overwrite: bool) -> None:
    """Refuse a target before the work begins.

    Args:
        folder: Its folder.
        source: The folder with the raw data.
        overwrite: True to replace an existing data set.

    Raises:
        DataError: There is one and it may not be, the folder holds something else, or it cannot be
            written to.
    """
    if folder.resolve() in (source.resolve(), *source.resolve().parents):
        raise DataError(
            f"--output_path: {folder} would replace the raw data in --input_path {source}"
        )

    if folder.exists():
        foreign = (
            [entry.name for entry in folder.iterdir() if not _is_ours(entry)]
            if folder.is_dir()
            else [folder.name]
        )
        if foreign:
            raise DataError(
                f"--output_path: {folder} holds {sorted(foreign)[0]}, which is no file of a data "
                "set; move it"
            )
        if not overwrite:
            raise DataError(
                f"--output_path: {folder} exists; replace it with --overwrite, or name another "
                "--dataset"
            )

    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=folder.parent, prefix="."):
            pass
    except OSError as error:
        raise DataError(
            f"--output_path: cannot write to {folder.parent}: {error.strerror}"
        ) from None


def _is_ours(entry: Path) -> bool:
    name = entry.parent.name
    if entry.is_dir():
        return entry.name.startswith(f"{name}.") and entry.suffix == ".cache"
    return entry.name.startswith((f"{name}.", f".{name}.")) or entry.name in RESULTS


@contextmanager
def replacing_folder(folder: Path) -> Iterator[tuple[Path, Path]]:
    """Write a folder under a temporary name beside it. It takes its place after a ``with`` block without an exception.

    Args:
        folder: The folder. The caller holds its lock, so a folder of the temporary name is left of
            a killed process and is removed.

    Yields:
        The folder to write to, and one for intermediate files. After an exception both are removed,
        and the old folder stays as it was.
    """
    temporary = folder.with_name(f".{folder.name}.writing")
    new, scratch, old = (temporary / name for name in ("new", "scratch", "old"))
    _restore(old, folder)
    shutil.rmtree(temporary, ignore_errors=True)

    try:
        new.mkdir(parents=True)
        scratch.mkdir()
        yield new, scratch
        if folder.exists():
            os.rename(folder, old)
        os.rename(new, folder)
    finally:
        _restore(old, folder)
        shutil.rmtree(temporary, ignore_errors=True)


def _restore(old: Path, folder: Path) -> None:
    """Put the old folder back if nothing has taken its place."""
    if old.exists() and not folder.exists():
        os.rename(old, folder)
