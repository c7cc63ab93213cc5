"""Encoding in blocks that survive an interruption, and the file of vectors."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from tqdm import tqdm

from recbole_sibrar.errors import DataError
from recbole_sibrar.files import replacing

BATCHES_PER_BLOCK = 8
"""Batches in a block. An interruption loses one block at most."""


@dataclass(frozen=True)
class Keys:
    """Options of a task, for messages."""

    batch_size: str = "--batch_size"
    """Option for the entities at a time."""
    model: str = "--model"
    """Option for the model."""
    output: str = "--output"
    """Option for the file of vectors."""


@dataclass(frozen=True)
class Task:
    """Entities to encode, and the origin of their vectors."""

    ids: Sequence[str]
    """Ids of the entities, each once."""
    output: Path
    """File of the vectors.

    The finished blocks are kept in a folder of this name with ``.partial`` behind it.
    """
    batch_size: int
    """Entities in one pass through the model."""
    origin: Mapping[str, str]
    """Fingerprints of ``model``, ``input`` and ``options``.

    A block is used again only if all are the same.
    """
    noun: str
    """Kind of content, in the plural, for messages."""
    keys: Keys = Keys()
    """Options of the task, for messages."""

    @property
    def block_size(self) -> int:
        """Number of entities in a block."""
        return self.batch_size * BATCHES_PER_BLOCK

    @property
    def partial(self) -> Path:
        """The folder of the finished blocks."""
        return self.output.with_name(f"{self.output.name}.partial")


VectorsFrom = Callable[[int, Callable[[int], object]], Iterable[NDArray[Any]]]
"""Function to yield the vectors of the entities from a position on.

It yields matrices float32 ``[any, d]`` in the order of the entities, with a row of NaN for an
entity without a vector. The end of a block must be the end of a matrix. After each batch it calls
its second argument with the number of entities.
"""


def encode(task: Task, vectors_from: VectorsFrom, note: Callable[[str], None]) -> NDArray[Any]:
    """Encode all entities of a task.

    The finished blocks of an earlier run of the same task are used again.

    Args:
        task: The entities.
        vectors_from: Encodes them.
        note: Prints a line for the user.

    Returns:
        The vectors, float32 ``[n, d]``.

    Raises:
        DataError: A vector has a number that is not finite, or a block cannot be written.
    """
    n = len(task.ids)
    try:
        done = _resume(task, note)
        with tqdm(
            total=n, initial=done, desc="encode", unit=f" {task.noun}", dynamic_ncols=True
        ) as progress:
            matrices = vectors_from(done, progress.update) if done < n else ()
            for start, block in _blocks(task, done, matrices):
                _check_finite(task.ids[start : start + len(block)], block, task.keys.model)
                _save_block(task, start, block)
                done = start + len(block)

        # From the files in any case: the result does not depend on interruptions.
        return _load_blocks(task)
    except KeyboardInterrupt:
        note(f"{done} of {n} {task.noun} are finished; the same command goes on with the others")
        raise
    except RuntimeError as error:
        # torch has no class of its own for the memory of a CPU.
        if "out of memory" not in str(error):
            raise
        raise DataError(
            f"{task.keys.batch_size}: {task.batch_size} {task.noun} at a time are too many for "
            "the memory"
        ) from None
    except OSError as error:
        where = error.filename or task.partial
        raise DataError(
            f"{task.keys.output}: cannot write {where}: {error.strerror or error}"
        ) from None


def _blocks(
    task: Task, start: int, matrices: Iterable[NDArray[Any]]
) -> Iterator[tuple[int, NDArray[Any]]]:
    """Join matrices to blocks, and yield the position and the vectors of each."""
    parts: list[NDArray[Any]] = []
    size = 0
    for matrix in matrices:
        parts.append(matrix)
        size += len(matrix)

        # The last block is shorter.
        if size == min(task.block_size, len(task.ids) - start):
            yield start, np.concatenate(parts).astype(np.float32, copy=False)
            start += size
            parts = []
            size = 0


def _save_block(task: Task, start: int, block: NDArray[Any]) -> None:
    with replacing(_block_file(task, start)) as file, file.open("wb") as stream:
        np.save(stream, block)


def _load_blocks(task: Task) -> NDArray[Any]:
    # [n, d], in the order of the entities
    starts = range(0, len(task.ids), task.block_size)
    return np.concatenate([np.load(_block_file(task, start)) for start in starts])


def _block_file(task: Task, start: int) -> Path:
    return task.partial / f"{start // task.block_size:06d}.npy"


def _resume(task: Task, note: Callable[[str], None]) -> int:
    """Find the finished blocks, or make the folder for them.

    Returns:
        Number of finished entities.
    """
    record = task.partial / "origin.json"
    origin = dict(task.origin)
    if task.partial.exists():
        found = _read_origin(record)
        if found != origin:
            changed = ", ".join(name for name in origin if found.get(name) != origin[name])
            note(f"starts afresh: since the interrupted run this has changed: {changed}")
            shutil.rmtree(task.partial)

    # Written again in any case: a killed run may have left an unfinished record.
    task.partial.mkdir(exist_ok=True)
    with replacing(record) as file:
        file.write_text(json.dumps(origin), encoding="utf-8")

    done = len(task.ids)
    for start in range(0, len(task.ids), task.block_size):
        if not _block_file(task, start).exists():
            done = start
            break

    if done:
        note(f"goes on after {done} of {len(task.ids)} {task.noun}")
    return done


def _read_origin(record: Path) -> dict[str, str]:
    """Read the fingerprints of an interrupted run; none if it has left no whole file."""
    try:
        found: dict[str, str] = json.loads(record.read_text(encoding="utf-8"))
    except (FileNotFoundError, json.JSONDecodeError):
        return {}
    return found


def _check_finite(ids: Sequence[str], block: NDArray[Any], key: str) -> None:
    # NaN as a whole stands for an entity without a vector, such as an unreadable image.
    wrong = ~np.isfinite(block).all(axis=1) & ~np.isnan(block).all(axis=1)
    if wrong.any():
        raise DataError(
            f"{key}: the model's vector of '{ids[int(np.argmax(wrong))]}' has numbers that are "
            "not finite"
        )


def finish(task: Task, vectors: NDArray[Any]) -> list[str]:
    """Write the vectors of a task and remove its blocks.

    Args:
        task: The encoded entities.
        vectors: float32 ``[n, d]`` of :func:`encode`, a row of NaN for an entity without one.

    Returns:
        Ids of the entities without a vector. They are not in the file.

    Raises:
        DataError: No entity has a vector, or the file cannot be written.
    """
    available = ~np.isnan(vectors).all(axis=1)
    if not available.any():
        raise DataError(f"--input: none of the {len(task.ids)} {task.noun} can be read")

    ids = np.array(task.ids, dtype=str)
    write_vectors(task.output, ids[available], vectors[available])
    shutil.rmtree(task.partial)
    left_out: list[str] = ids[~available].tolist()
    return left_out


def write_vectors(path: Path, ids: NDArray[Any], vectors: NDArray[Any]) -> None:
    """Write vectors for ``--item_feature NAME=FILE``.

    Args:
        path: A file of type .npz (``ids`` and ``embedding``), .npy (the matrix; the ids are in the
            file of this name with .ids.npy for .npy) or .parquet (columns ``id`` and
            ``embedding``).
        ids: The original ids, str ``[n]``.
        vectors: float32 ``[n, d]``.

    Raises:
        DataError: The file cannot be written.
    """
    # The ids first: a matrix without its ids would look like a finished file.
    try:
        if path.suffix == ".npy":
            with replacing(path.with_suffix(".ids.npy")) as file, file.open("wb") as stream:
                np.save(stream, ids)

        with replacing(path) as file, file.open("wb") as stream:
            if path.suffix == ".npz":
                np.savez(stream, ids=ids, embedding=vectors)
            elif path.suffix == ".npy":
                np.save(stream, vectors)
            else:
                frame = pd.DataFrame({"id": ids, "embedding": list(vectors)})
                frame.to_parquet(stream, index=False)
    except OSError as error:
        raise DataError(f"--output: cannot write {path}: {error.strerror or error}") from None
