"""Writing of a portable model: all files beside its place, then one renaming."""

from __future__ import annotations

import hashlib
import os
import shutil
from dataclasses import replace
from errno import EEXIST, ENOTEMPTY
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import torch
from safetensors.torch import save_file
from torch import Tensor

from recbole_sibrar.errors import PortableModelError
from recbole_sibrar.names import SIDES
from recbole_sibrar.serving import index
from recbole_sibrar.serving.bundle.content import (
    EMBEDDINGS,
    INDEX,
    TABLES,
    VOCABULARIES,
    WEIGHTS,
    Content,
)
from recbole_sibrar.serving.bundle.manifest import MANIFEST

__all__ = ["check_place", "sha256", "write"]

_BLOCK = 1 << 20
"""Bytes to read at a time."""

_DTYPES = {"float32": torch.float32, "float16": torch.float16}


def check_place(folder: Path, overwrite: bool = False) -> None:
    """Check that a portable model can be written to a place.

    Args:
        folder: The place.
        overwrite: Replace an earlier portable model there; nothing else is ever replaced.

    Raises:
        PortableModelError: It cannot.
    """
    if folder.exists() and not (folder / MANIFEST).is_file():
        raise PortableModelError(
            f"{folder}: exists and is no portable model, which is not replaced; name another folder"
        )
    if folder.exists() and not overwrite:
        raise PortableModelError(
            f"{folder}: there is a portable model already; --overwrite replaces it"
        )
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        probe = folder.with_name(f".{folder.name}.{os.getpid()}.probe")
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise PortableModelError(
            f"{folder}: cannot be written ({error.strerror or error})"
        ) from None


def write(content: Content, folder: Path, overwrite: bool = False) -> None:
    """Write a portable model as a whole or not at all.

    Args:
        content: The model; ``files`` of its manifest are made here.
        folder: Its place.
        overwrite: Replace an earlier portable model there.

    Raises:
        PortableModelError: The place cannot be written to.
    """
    check_place(folder, overwrite)
    temporary = folder.with_name(f".{folder.name}.{os.getpid()}.writing")
    try:
        temporary.mkdir()
        _write_files(content, temporary)
        _put_in_place(temporary, folder)
    except OSError as error:
        raise PortableModelError(
            f"{folder}: cannot be written ({error.strerror or error})"
        ) from None
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _write_files(content: Content, folder: Path) -> None:
    """Write all files, the manifest with their checksums last."""
    weights: dict[str, Tensor] = {}
    for name, tensor in content.weights.items():
        weights[name] = _plain(tensor)
    save_file(weights, folder / WEIGHTS)

    dtype = _DTYPES[content.manifest.dtype]
    embeddings: dict[str, Tensor] = {}
    for name, tensor in content.embedding_tensors().items():
        embeddings[name] = _stored(tensor, dtype)
    save_file(embeddings, folder / EMBEDDINGS)

    for side in SIDES:
        pq.write_table(_table(content, side), folder / TABLES[side], compression="zstd")
    pq.write_table(_vocabularies(content), folder / VOCABULARIES, compression="zstd")

    if content.manifest.index is not None:
        built = index.build(
            content.manifest.index, content.items.embeddings, content.users.embeddings
        )
        index.save(built, folder / INDEX)

    checksums = {file.name: sha256(file) for file in sorted(folder.iterdir())}
    manifest = replace(content.manifest, files=checksums)
    (folder / MANIFEST).write_text(manifest.to_json(), encoding="utf-8")
    mode = (folder / MANIFEST).stat().st_mode
    for file in folder.iterdir():
        file.chmod(mode)  # safetensors writes files that their owner alone can read
        _to_disk(file)


def _plain(tensor: Tensor) -> Tensor:
    # safetensors refuses tensors that share memory or are not contiguous.
    return tensor.detach().cpu().contiguous().clone()


def _stored(tensor: Tensor, dtype: torch.dtype) -> Tensor:
    return _plain(tensor.to(dtype) if tensor.is_floating_point() else tensor)


def _table(content: Content, side: str) -> pa.Table:
    """Make the table of users or items."""
    held = content.users if side == "user" else content.items
    columns: dict[str, pa.Array] = {"token": held.tokens, "popularity": pa.array(held.popularity)}
    if side == "user":
        histories = content.histories
        # Large lists: their offsets have 64 bits, and there may be more interactions than 2 ** 31.
        columns["history"] = pa.LargeListArray.from_arrays(
            pa.array(histories.offsets), pa.array(histories.items)
        )
    shown = {f"display.{name}": held.display.column(name) for name in held.display.column_names}
    return pa.table({**columns, **shown})


def _vocabularies(content: Content) -> pa.Table:
    """Make the table of the labels of all fields."""
    sides: list[str] = []
    names: list[str] = []
    tokens: list[str] = []
    numbers: list[int] = []
    for side in SIDES:
        for name, (labels, their_numbers) in content.side(side).vocabularies.items():
            sides += [side] * len(labels)
            names += [name] * len(labels)
            tokens += labels.to_pylist()
            numbers += their_numbers.tolist()
    return pa.table(
        {
            "side": pa.array(sides, pa.string()),
            "field": pa.array(names, pa.string()),
            "token": pa.array(tokens, pa.string()),
            "number": pa.array(numbers, pa.int64()),
        }
    )


def sha256(file: Path) -> str:
    """Compute the SHA-256 of a file."""
    digest = hashlib.sha256()
    with file.open("rb") as stream:
        while block := stream.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def _to_disk(file: Path) -> None:
    """Make sure that a file is on the disk before the folder gets its name."""
    descriptor = os.open(file, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _put_in_place(temporary: Path, folder: Path) -> None:
    """Rename the finished folder; an earlier one steps aside first."""
    if not folder.exists():
        os.rename(temporary, folder)
        return

    # A folder cannot be renamed over one that is not empty.
    aside = folder.with_name(f".{folder.name}.{os.getpid()}.old")
    os.rename(folder, aside)
    try:
        os.rename(temporary, folder)
    except OSError as error:
        os.rename(aside, folder)
        if error.errno in (EEXIST, ENOTEMPTY):
            raise PortableModelError(
                f"{folder}: another command has written it at this moment"
            ) from None
        raise
    shutil.rmtree(aside, ignore_errors=True)
