"""Files larger than memory, plain or compressed, in blocks of whole lines."""

from __future__ import annotations

import bz2
import gzip
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

from tqdm import tqdm

from recbole_sibrar.errors import DataError

BLOCK_BYTES = 1 << 25
"""Size of a block after decompression: large enough for parsing at full speed."""

COMPRESSIONS: dict[str, Callable[[BinaryIO], Any]] = {
    "": lambda raw: raw,
    ".bz2": bz2.BZ2File,
    ".gz": lambda raw: gzip.GzipFile(fileobj=raw),
}
"""End of a file's name -> function to open it as a stream of bytes."""


@dataclass(frozen=True)
class Block:
    """Whole lines of a file."""

    first_line: int
    """Number of the first line, from 1."""
    data: bytes
    """The lines with their ends."""

    def lines(self) -> Iterator[tuple[int, bytes]]:
        """Yield each line that is not empty with its number in the file, without its end."""
        for number, line in enumerate(self.data.split(b"\n"), self.first_line):
            # Lines of Windows end in two characters.
            line = line.rstrip(b"\r")
            if line:
                yield number, line


def find_file(folder: Path, *names: str) -> Path | None:
    """Find the first existing file of a folder; None if there is none.

    Args:
        folder: The folder.
        names: Names without the ending of a compression.
    """
    for name in names:
        # The plain file comes first: it needs no decompression.
        for suffix in COMPRESSIONS:
            path = folder / f"{name}{suffix}"
            if path.is_file():
                return path
    return None


def read_blocks(path: Path, size: int | None = None) -> Iterator[Block]:
    """Read a file block by block, with a progress bar of the bytes read from the disk.

    Args:
        path: The file; it is decompressed if its name ends in ``.bz2`` or ``.gz``.
        size: Bytes of a block after decompression (default: :data:`BLOCK_BYTES`); a longer line
            makes it longer.

    Yields:
        The blocks, from the first line to the last.

    Raises:
        DataError: The file cannot be read, ends early, or is not compressed as its name says.
    """
    line = 1
    rest = b""
    opener = COMPRESSIONS.get(path.suffix, COMPRESSIONS[""])

    with _open(path) as raw, opener(raw) as stream, _progress(path) as bar:
        while chunk := _decompress(stream, size or BLOCK_BYTES, path, line):
            # Bytes of the disk, since the size after decompression is not known beforehand.
            bar.update(raw.tell() - bar.n)
            rest += chunk

            # A block ends with a whole line; the rest waits for the next chunk.
            end = rest.rfind(b"\n") + 1
            if end:
                yield Block(line, rest[:end])
                line += rest.count(b"\n", 0, end)
                rest = rest[end:]
        if rest:
            yield Block(line, rest)


def _open(path: Path) -> BinaryIO:
    try:
        return path.open("rb")
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or error}") from None


def _progress(path: Path) -> tqdm[NoReturn]:
    return tqdm(
        total=path.stat().st_size,
        desc=path.name,
        unit="B",
        unit_scale=True,
        leave=False,
        disable=None,
    )


def _decompress(stream: BinaryIO, size: int, path: Path, line: int) -> bytes:
    try:
        return stream.read(size)
    except EOFError:
        found = (
            f"the compressed file ends early, somewhere after line {line}; download or compress "
            "it again"
        )
    except (OSError, zlib.error) as error:
        found = (
            f"cannot be decompressed after line {line}: {error}; allowed is a file as its name says"
        )
    raise DataError(f"{path}: {found}")
