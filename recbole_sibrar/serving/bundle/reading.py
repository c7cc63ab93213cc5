"""Reading of a portable model: every file is checked, none is trusted."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from torch import Tensor

from recbole_sibrar.errors import PortableModelError, one_line
from recbole_sibrar.names import SIDES, Side
from recbole_sibrar.serving import index
from recbole_sibrar.serving.bundle.content import (
    EMBEDDINGS,
    INDEX,
    TABLES,
    VOCABULARIES,
    WEIGHTS,
    Content,
    SideContent,
)
from recbole_sibrar.serving.bundle.manifest import MANIFEST, Manifest
from recbole_sibrar.serving.bundle.places import own_file
from recbole_sibrar.serving.bundle.tables import column_of, read_histories, read_parquet
from recbole_sibrar.serving.bundle.writing import sha256
from recbole_sibrar.serving.tokens import alphabetical_order, has_twice

__all__ = ["read"]

ResultT = TypeVar("ResultT")

_TYPES = {"float32": torch.float32, "float16": torch.float16}


def read(folder: Path, verify: bool = True) -> Content:
    """Read a portable model.

    Args:
        folder: The folder.
        verify: Compare all files with their checksums; reading a gigabyte for that takes about a
            second.

    Raises:
        PortableModelError: The folder is no portable model, is incomplete or altered, or of a newer
            format.
    """
    with _memory_given_back():
        return _read(folder, verify)


@contextmanager
def _memory_given_back() -> Iterator[None]:
    """Let Arrow take memory from the system, and give back what it has freed."""
    # Arrow's own pools keep twice as much as a table needs.
    earlier = pa.default_memory_pool()
    pa.set_memory_pool(pa.system_memory_pool())
    try:
        yield
    finally:
        pa.set_memory_pool(earlier)
        earlier.release_unused()  # files are read through it nevertheless
        if os.name == "posix":
            # glibc keeps freed blocks as well, up to 32 megabytes each, until it is asked to trim
            # them: 20 megabytes for 100,000 users with 50 items each.
            trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # of glibc alone
            if trim is not None:
                trim(0)


def _read(folder: Path, verify: bool) -> Content:
    """Read a portable model, with the present memory pool."""
    manifest = Manifest.read(folder)
    if manifest.dtype not in _TYPES:
        raise PortableModelError(
            f"{folder / MANIFEST}: dtype: found {manifest.dtype!r}, allowed is float32 or float16"
        )
    _check_files(folder, manifest, verify)

    tensors = _read_file(folder / EMBEDDINGS, _tensors)
    vocabularies = _vocabularies(folder / VOCABULARIES, manifest)
    tables: dict[Side, pa.Table] = {}
    sides: dict[Side, SideContent] = {}
    for side in SIDES:
        tables[side] = _read_file(folder / TABLES[side], read_parquet)
    for side in SIDES:
        sides[side] = _side(folder, manifest, side, tables[side], tensors, vocabularies[side])

    items = sides["item"]
    of_items = partial(read_histories, n_items=len(items.tokens))
    histories = _read_file(folder / TABLES["user"], of_items)
    weights = _read_file(folder / WEIGHTS, _tensors)
    item_index = None
    if manifest.index:
        item_index = index.load(folder / INDEX, manifest.items.n, manifest.embedding_size)
    return Content(manifest, sides["user"], items, histories, weights, item_index)


def _check_files(folder: Path, manifest: Manifest, verify: bool) -> None:
    """Check that all files are there and unaltered."""
    needed = [WEIGHTS, EMBEDDINGS, VOCABULARIES, *TABLES.values()]
    if manifest.index:
        needed.append(INDEX)

    for name in needed:
        if name not in manifest.files:
            raise PortableModelError(f"{folder / MANIFEST}: files: '{name}' is missing")
        path = own_file(folder, name)
        if verify and _read_file(path, sha256) != manifest.files[name]:
            raise PortableModelError(
                f"{path}: the file is not the one that was written (its SHA-256 differs from "
                f"{MANIFEST}); export the model again"
            )


def _read_file(path: Path, read: Callable[[Path], ResultT]) -> ResultT:
    """Read a file; say in one line which one is damaged."""
    try:
        return read(path)
    except PortableModelError:  # its message names the file
        raise
    except OSError as error:
        raise PortableModelError(f"{path}: cannot be read ({one_line(error, 200)})") from None
    except (SafetensorError, pa.ArrowException, ValueError, MemoryError) as error:
        raise PortableModelError(f"{path}: damaged ({one_line(error, 200)})") from None


def _tensors(path: Path) -> dict[str, Tensor]:
    """Map the tensors of a file; none may hold NaN or infinite numbers."""
    with safe_open(path, framework="pt") as stream:
        for name in stream.keys():  # noqa: SIM118  # it is no dictionary
            _check_numbers(path, name, stream.get_tensor(name))

    # Mapped anew: the check has read every page of its own mapping, and those would stay in memory.
    # A server reads the embeddings of the users who ask, not of all.
    with safe_open(path, framework="pt") as stream:
        return {name: stream.get_tensor(name) for name in stream.keys()}  # noqa: SIM118


def _check_numbers(path: Path, name: str, tensor: Tensor) -> None:
    """Check that all numbers of a tensor are finite."""
    if not tensor.is_floating_point() or not tensor.numel():
        return
    # Smallest and largest are NaN if any number is; a mask of all numbers would need memory.
    if not torch.stack(tensor.aminmax()).isfinite().all():
        raise PortableModelError(f"{path}: tensor '{name}': found numbers that are not finite")


def _side(
    folder: Path,
    manifest: Manifest,
    side: Side,
    table: pa.Table,
    tensors: dict[str, Tensor],
    vocabularies: dict[str, tuple[pa.Array, NDArray[np.int64]]],
) -> SideContent:
    """Put the content of one side together."""
    spec = manifest.side(side)
    path = folder / TABLES[side]
    tokens = column_of(path, table, "token", pa.string())
    if len(tokens) != spec.n or not 0 <= spec.n_trained <= spec.n:
        found = f"{len(tokens)} {side}s in {path.name}, and n {spec.n}, n_trained {spec.n_trained}"
        raise PortableModelError(f"{folder / MANIFEST}: found {found}, which contradict each other")
    order = alphabetical_order(tokens)
    if has_twice(tokens, order):
        raise PortableModelError(f"{path}: column 'token': found the same token twice")

    embeddings = folder / EMBEDDINGS
    shape = (spec.n, manifest.embedding_size)
    parts: dict[str, Tensor] = {}
    available = None
    if manifest.has_modalities:
        for name in spec.modalities:
            parts[name] = _tensor(embeddings, tensors, f"{side}.{name}", shape, manifest.dtype)
        mask_shape = (spec.n, len(spec.modalities))
        available = _tensor(embeddings, tensors, f"{side}_available", mask_shape, "bool")

    return SideContent(
        tokens,
        column_of(path, table, "popularity", pa.int64()).to_numpy(),
        _display(path, table, spec.display),
        _tensor(embeddings, tensors, side, shape, manifest.dtype),
        parts,
        available,
        vocabularies,
        order,
    )


def _display(path: Path, table: pa.Table, names: tuple[str, ...]) -> pa.Table:
    """Return the columns for display, without their prefix."""
    for name in names:
        if f"display.{name}" not in table.column_names:
            raise PortableModelError(f"{path}: the column 'display.{name}' is missing")
    return pa.table({name: table.column(f"display.{name}") for name in names})


def _tensor(
    path: Path, tensors: dict[str, Tensor], name: str, shape: tuple[int, ...], dtype: str
) -> Tensor:
    """Return a tensor of a known shape and type."""
    if name not in tensors:
        raise PortableModelError(f"{path}: the tensor '{name}' is missing")
    tensor = tensors[name]
    wanted = torch.bool if dtype == "bool" else _TYPES[dtype]
    if tuple(tensor.shape) != shape or tensor.dtype != wanted:
        found = f"{tensor.dtype} {list(tensor.shape)}"
        raise PortableModelError(
            f"{path}: tensor '{name}': found {found}, allowed is {wanted} {list(shape)}"
        )
    return tensor


def _vocabularies(
    path: Path, manifest: Manifest
) -> dict[Side, dict[str, tuple[pa.Array, NDArray[np.int64]]]]:
    """Read the labels of all fields that have some."""
    table = _read_file(path, read_parquet)
    sides = column_of(path, table, "side", pa.string())
    names = column_of(path, table, "field", pa.string())
    tokens = column_of(path, table, "token", pa.string())
    numbers = column_of(path, table, "number", pa.int64())

    found: dict[Side, dict[str, tuple[pa.Array, NDArray[np.int64]]]] = {"user": {}, "item": {}}
    for side in SIDES:
        for spec in manifest.side(side).fields:
            if not spec.type.startswith("token") and spec.buckets is None:
                continue
            rows = pc.and_(pc.equal(sides, side), pc.equal(names, spec.name))
            their_numbers = numbers.filter(rows).to_numpy()
            # They are rows of an embedding: others would fail at the first request.
            in_range = (their_numbers >= 0) & (their_numbers < spec.size)
            if not in_range.all():
                allowed = f"0 to {spec.size - 1}"
                raise PortableModelError(
                    f"{path}: {side} field '{spec.name}': found numbers beyond {allowed}"
                )
            found[side][spec.name] = tokens.filter(rows), their_numbers
    return found
