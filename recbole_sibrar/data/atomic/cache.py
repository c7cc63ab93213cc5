"""Binary cache of the vectors of an atomic file, in the folder ``<file>.cache`` beside it.

The cache holds one folder for the state of the source file. The folder's name is a hash of the
file's size, time of change, header and samples of its content, of the separators and encoding, and
of the cache's own version; a folder with another name is never opened. It holds ``rest.txt``, the
file without its ``float_seq`` columns. For each such column, numbered by its position, it holds the
matrix (``2.float32.npy``) and the rows without a value (``2.float32.missing.npy``). Only files with
vectors have a cache: reading other columns from binary files instead of text saves little, since
pandas has to make a Python object of each cell either way.

Files are written under a temporary name and renamed, so that several processes can build and read a
cache at once. Matrices are mapped into memory (copy on write), so that processes share them. The
folder can be deleted at any time.
"""

from __future__ import annotations

import os
import shutil
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from recbole_sibrar.data.atomic.formats import Field
from recbole_sibrar.data.atomic.vectors import FloatType, Split, Vectors
from recbole_sibrar.files import replacing

if TYPE_CHECKING:
    from recbole_sibrar.data.atomic.file import AtomicFile

SMALLEST = 1 << 22
"""Size in bytes from which on a file gets a cache; a smaller one is read in a fraction of a second
anyway."""

_VERSION = 1
"""To be raised whenever files of the same name would hold something else."""

_SAMPLE = 1 << 16
"""Bytes at the beginning, in the middle and at the end of the source that its hash covers."""

_DAMAGE = (OSError, ValueError, EOFError, SyntaxError)
"""Exceptions of NumPy for files that are missing or damaged."""


class Cache:
    """Cache of an atomic file as the file is now.

    Args:
        file: The file.
        dtype: Type of the numbers; each has matrices of its own.
    """

    def __init__(self, file: AtomicFile, dtype: FloatType) -> None:
        self.file = file
        self.dtype = np.dtype(dtype)
        self.folder = self._folder()

    @classmethod
    def of(cls, file: AtomicFile, dtype: FloatType) -> Cache | None:
        """Cache of a file, or None if the file is too small to gain from one."""
        return cls(file, dtype) if os.path.getsize(file.path) >= SMALLEST else None

    def _folder(self) -> Path:
        """Folder of the cache for the present state of the file."""
        path = self.file.path
        state = os.stat(path)
        described = (_VERSION, state.st_size, state.st_mtime_ns, self.file.text_format)
        found = sha256(repr(described).encode())

        # a file can change without another size or time: samples of its content as well
        with open(path, "rb") as source:
            found.update(source.readline())
            for start in (0, state.st_size // 2, max(state.st_size - _SAMPLE, 0)):
                source.seek(start)
                found.update(source.read(_SAMPLE))
        return Path(f"{os.fspath(path)}.cache") / found.hexdigest()[:16]

    def load(self, fields: list[Field]) -> Split | None:
        """Read the vectors of some fields, and the rest of the file.

        Args:
            fields: The fields to read.

        Returns:
            The parts of the file; None if the cache lacks one, or is damaged.
        """
        vectors: dict[Field, Vectors] = {}
        try:
            rest = (self.folder / "rest.txt").read_bytes()
            # without the header
            n_rows = rest.count(b"\n") - 1
            for position, field in self._vector_fields():
                if field in fields:
                    vectors[field] = self._load_vectors(position, n_rows)
        except _DAMAGE:
            return None
        return Split(rest, vectors) if self._is_rest(rest) else None

    def _vector_fields(self) -> list[tuple[int, Field]]:
        return [(i, field) for i, field in enumerate(self.file.header) if field.type == "float_seq"]

    def _is_rest(self, text: bytes) -> bool:
        """Tell if a text is the file without its vectors, by its header and its last character."""
        text_format = self.file.text_format
        kept = [field.header for field in self.file.header if field.type != "float_seq"]
        header = text_format.separator.join(kept).encode(text_format.codec)
        return text.startswith(header + b"\n") and text.endswith(b"\n")

    def _matrix_file(self, position: int) -> Path:
        return self.folder / f"{position}.{self.dtype}.npy"

    def _missing_file(self, position: int) -> Path:
        return self.folder / f"{position}.{self.dtype}.missing.npy"

    def _load_vectors(self, position: int, n_rows: int) -> Vectors:
        """Read a column of vectors.

        Raises:
            ValueError: The files hold something else.
        """
        matrix = np.load(self._matrix_file(position), mmap_mode="c", allow_pickle=False)
        missing = np.load(self._missing_file(position), allow_pickle=False)

        if matrix.ndim != 2 or matrix.dtype != self.dtype or missing.dtype != bool:
            raise ValueError("arrays of another kind")
        if len(matrix) != n_rows or missing.shape != (n_rows,):
            raise ValueError("another number of rows")
        return Vectors(matrix, missing)

    def store(self, split: Split) -> None:
        """Write the cache if its folder can be written to, and remove those of earlier states.

        Args:
            split: The parts of the file.
        """
        # the file has changed while it was read
        if self.folder != self._folder():
            return

        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            for position, field in self._vector_fields():
                if field in split.vectors:
                    vectors = split.vectors[field]
                    _save(self._missing_file(position), vectors.missing)
                    _save(self._matrix_file(position), vectors.matrix)

            # last, as it marks a complete cache
            with replacing(self.folder / "rest.txt") as temporary:
                temporary.write_bytes(split.rest)
            states = list(self.folder.parent.iterdir())
        except OSError:
            return  # the file is read as text again next time

        for other in states:
            if _is_state(other) and other != self.folder:
                shutil.rmtree(other, ignore_errors=True)


def _is_state(folder: Path) -> bool:
    # nothing else in the folder is removed
    return len(folder.name) == 16


def _save(path: Path, array: NDArray[Any]) -> None:
    with replacing(path) as temporary, temporary.open("wb") as file:
        np.save(file, array, allow_pickle=False)
