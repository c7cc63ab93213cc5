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
    # The wider the rows, the fewer of them are in memory as text.
    block = max(1, NUMBERS_PER_BLOCK // sum(column.width for column in columns))
    header = "\t".join(column.field.header for column in columns)
    with (
        open(path, "wb") as file,
        tqdm(total=n_rows, desc=path.name, unit="line", disable=None) as bar,
    ):
        file.write(f"{header}\n".encode())
        for start in range(0, n_rows, block):
            stop = min(start + block, n_rows)
            file.write(_bytes_of(_lines(columns, start, stop)))
            bar.update(stop - start)


def _lines(columns: Sequence[Column], start: int, stop: int) -> pa.Array:
    """Write rows ``start`` to below ``stop`` as lines with their ends."""
    nothing = pa.scalar("")
    texts = []
    for column in columns:
        # A join with a missing value would be missing as a whole.
        present = pc.fill_null(column.text(start, stop), nothing)
        texts.append(cells.quoted(present))

    lines = pc.binary_join_element_wise(*texts, pa.scalar("\t"))
    return pc.binary_join_element_wise(lines, pa.scalar("\n"), nothing)


def _bytes_of(texts: pa.Array) -> memoryview:
    """Join all texts, without a copy."""
    # Arrow keeps all texts of an array in one buffer, and their ends in another.
    _, offsets, characters = texts.buffers()
    ends = np.frombuffer(offsets, dtype=np.int32)[texts.offset : texts.offset + len(texts) + 1]
    return memoryview(characters)[int(ends[0]) : int(ends[-1])]


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
        # The folder is replaced as a whole: nothing of the user's own may be in it.
        foreign = _foreign_names(folder)
        if foreign:
            raise DataError(
                f"--output_path: {folder} holds {min(foreign)}, which is no file of a data "
                "set; move it"
            )
        if not overwrite:
            raise DataError(
                f"--output_path: {folder} exists; replace it with --overwrite, or name another "
                "--dataset"
            )

    # Only a try tells: permissions, full disks and read-only mounts look alike before.
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=folder.parent, prefix="."):
            pass
    except OSError as error:
        raise DataError(
            f"--output_path: cannot write to {folder.parent}: {error.strerror}"
        ) from None


def _foreign_names(folder: Path) -> list[str]:
    """Find what is no part of a data set: entries of the folder, or a file in its place."""
    if not folder.is_dir():
        return [folder.name]
    return [entry.name for entry in folder.iterdir() if not _is_ours(entry)]


def _is_ours(entry: Path) -> bool:
    name = entry.parent.name

    # Trainings leave folders of read data there, made anew from the new files.
    if entry.is_dir():
        return entry.name.startswith(f"{name}.") and entry.suffix == ".cache"
    return entry.name.startswith((f"{name}.", f".{name}.")) or entry.name in RESULTS


@contextmanager
def replacing_folder(folder: Path) -> Iterator[tuple[Path, Path]]:
    """Write a folder under a temporary name beside it.

    The new folder takes its place after a ``with`` block without an exception.

    Args:
        folder: The folder. The caller holds its lock, so a folder of the temporary name is left of
            a killed process and is removed.

    Yields:
        The folder to write to, and one for intermediate files. After an exception both are removed,
        and the old folder stays as it was.
    """
    temporary = folder.with_name(f".{folder.name}.writing")
    new = temporary / "new"
    scratch = temporary / "scratch"
    old = temporary / "old"

    # A process killed between the two renames below has left no folder but the old one.
    _restore(old, folder)
    shutil.rmtree(temporary, ignore_errors=True)

    try:
        new.mkdir(parents=True)
        scratch.mkdir()
        yield new, scratch

        # No system renames a folder onto one with files: the old one goes aside first.
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
