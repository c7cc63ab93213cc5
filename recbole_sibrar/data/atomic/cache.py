"""A binary cache of the vectors of an atomic file, in the folder ``<file>.cache`` beside it.

The folder holds one folder for the state of the source that it was made from, named by a hash of the file's size,
time of change, header and samples of its content, of the separators and encoding it was read with, and of the cache's
own version. What does not match is never opened. In it are ``rest.txt``, the file without its ``float_seq`` columns,
and for each such column that was read, numbered by its position, the matrix (``2.float32.npy``) and which rows are
missing (``2.float32.missing.npy``). Only files with vectors have a cache: reading other columns from binary files
instead of text saves little, since pandas has to make a Python object of each cell either way.

Files are written under a temporary name and renamed, so that several processes can build and read a cache at once;
matrices are mapped into memory (copy on write), so that they share it. The folder can be deleted at any time.
"""

from __future__ import annotations

import os
import shutil
from hashlib import sha256
from os import PathLike
from pathlib import Path

import numpy as np
import pandas as pd

from recbole_sibrar.data.atomic.columns import Split, TextFormat
from recbole_sibrar.data.atomic.file import Field, make_frame, read_header, read_split
from recbole_sibrar.data.atomic.vectors import Vectors
from recbole_sibrar.files import replacing

SMALLEST = 1 << 22
"""Bytes of a file from which on it gets a cache; a smaller one is read in a fraction of a second anyway."""

_VERSION = 1
"""To be raised whenever files of the same name would hold something else."""

_SAMPLE = 1 << 16
"""Bytes at the beginning, in the middle and at the end of the source that its hash covers."""


def read_frame(
    path: str | PathLike[str],
    fields: list[Field],
    text_format: TextFormat,
    as_recbole: bool = False,
    use_cache: bool = True,
) -> pd.DataFrame:
    """Read columns of an atomic file as :func:`~recbole_sibrar.data.atomic.read_frame` does, from its cache if it can.

    Args:
        path: The file.
        fields: The columns to read, in the order of the file.
        text_format: How the file is written.
        as_recbole: Whether vectors are float64 and exactly RecBole's, else float32; each has matrices of its own.
        use_cache: Whether to read the cache, and to write it if there is none and the file is large enough.

    Raises:
        DataError: The file does not hold what it should, or with ``as_recbole`` what RecBole would read otherwise.
    """
    dtype: type[np.floating] = np.float64 if as_recbole else np.float32
    folder = cache_folder(path, text_format) if use_cache and os.path.getsize(path) >= SMALLEST else None
    header = read_header(path, text_format.separator, text_format.encoding)
    split = _load(folder, header, fields, text_format, dtype) if folder else None
    if split is not None:
        return make_frame(path, fields, text_format, dtype, split, as_recbole)
    split = read_split(path, fields, text_format, dtype, as_recbole)
    frame = make_frame(path, fields, text_format, dtype, split, as_recbole)
    if folder and split and folder == cache_folder(path, text_format):
        _store(folder, header, split)
    return frame


def cache_folder(path: str | PathLike[str], text_format: TextFormat) -> Path:
    """The folder of the cache of a file as the file is now."""
    state = os.stat(path)
    found = sha256(repr((_VERSION, state.st_size, state.st_mtime_ns, text_format)).encode())
    with open(path, "rb") as file:
        found.update(file.readline())
        for start in (0, state.st_size // 2, max(state.st_size - _SAMPLE, 0)):
            file.seek(start)
            found.update(file.read(_SAMPLE))
    return Path(f"{os.fspath(path)}.cache") / found.hexdigest()[:16]


def _load(
    folder: Path, header: list[Field], fields: list[Field], text_format: TextFormat, dtype: type[np.floating]
) -> Split | None:
    """What a cache has of a file; None if it lacks something, or is damaged."""
    try:
        rest = (folder / "rest.txt").read_bytes()
        kept = [field.header for field in header if field.type != "float_seq"]
        first = text_format.separator.join(kept).encode(text_format.encoding or "utf-8")
        n_rows = rest.count(b"\n") - 1
        if not rest.startswith(first + b"\n") or not rest.endswith(b"\n"):
            return None
        vectors = {}
        for i, field in enumerate(header):
            if field.type != "float_seq" or field not in fields:
                continue
            matrix = np.load(folder / f"{i}.{np.dtype(dtype)}.npy", mmap_mode="c", allow_pickle=False)
            missing = np.load(folder / f"{i}.{np.dtype(dtype)}.missing.npy", allow_pickle=False)
            if matrix.ndim != 2 or matrix.dtype != dtype or missing.dtype != bool:
                return None
            if len(matrix) != n_rows or missing.shape != (n_rows,):
                return None
            vectors[field.header] = Vectors(matrix, missing)
    except (OSError, ValueError, EOFError, SyntaxError):  # NumPy raises them for files that are damaged
        return None
    return Split(rest, n_rows, vectors)


def _store(folder: Path, header: list[Field], split: Split) -> None:
    """Write a cache if the folder can be written to, and remove those of earlier states of the file."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for i, field in enumerate(header):
            if field.header in split.vectors:
                vectors = split.vectors[field.header]
                _save(folder / f"{i}.{vectors.matrix.dtype}.missing.npy", vectors.missing)
                _save(folder / f"{i}.{vectors.matrix.dtype}.npy", vectors.matrix)
        with replacing(folder / "rest.txt") as temporary:
            temporary.write_bytes(split.rest)
        earlier = [other for other in folder.parent.iterdir() if other != folder and len(other.name) == 16]
    except OSError:
        return  # the file is read as text again
    for other in earlier:
        shutil.rmtree(other, ignore_errors=True)


def _save(path: Path, array: np.ndarray) -> None:
    with replacing(path) as temporary, temporary.open("wb") as file:
        np.save(file, array, allow_pickle=False)
