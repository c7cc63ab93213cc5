"""Images to vectors, by a network of timm or torchvision."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from PIL import Image
from torch.utils.data import DataLoader, Dataset

from recbole_sibrar.errors import DataError

from ..readers.content import read_content
from .blocks import Task
from .environment import device_name, fingerprint, network_fingerprint, versions
from .image_networks import ImageNetwork, load_network
from .running import Job, Work


def _prepare(args: argparse.Namespace, device: str) -> Work:
    """Find the images of ``encode-image`` and load its network."""
    files = find_images(args.input, args.id_column, args.path_column)
    network = load_network(args.library, args.model, args.weights, device)
    task = _task(args, files, network)

    def vectors_from(start: int, progressed: Callable[[int], object]) -> Iterator[NDArray[Any]]:
        return encode_images(
            network, list(files)[start:], args.batch_size, args.workers, progressed
        )

    return Work(task, vectors_from)


JOB = Job(
    ["timm", "torchvision"],
    "image",
    _prepare,
    "images are not there or unreadable and are left out",
)
"""The content of ``encode-image``."""


def _task(args: argparse.Namespace, files: pd.Series, network: ImageNetwork) -> Task:
    of_packages = versions("torch", "timm", "torchvision", "pillow")
    weights = network_fingerprint(network.network)
    return Task(
        ids=list(files.index),
        output=args.output,
        batch_size=args.batch_size,
        origin={
            "input": fingerprint(*files.index, *map(_state, files)),
            "model": fingerprint(weights, repr(network.transform), *of_packages),
            "options": f"{args.batch_size} {device_name(network.device)}",
        },
        noun="images",
    )


def find_images(source: Path, id_column: str | None = None, path_column: str = "path") -> pd.Series:
    """Find the images of a folder or of a table.

    Args:
        source: A folder, searched with all folders in it; or a table for
            :func:`~.content.read_content`, with paths relative to the table's folder.
        id_column: The table's column of ids; None for the usual names.
        path_column: The table's column of paths.

    Returns:
        Paths (str, empty for a missing one), with the ids (str) as index. Those of a folder are
        sorted by path.

    Raises:
        DataError: There is no image, an id occurs twice, or the table lacks a column.
    """
    if source.is_dir():
        return _images_of_folder(source)
    paths = read_content(source, id_column, [path_column], "--path_column")[path_column]
    return paths.map(lambda path: str(source.parent / path) if path else "")


def _images_of_folder(folder: Path) -> pd.Series:
    # Pillow writes some kinds that it cannot read, such as PDF.
    kinds = Image.registered_extensions()
    suffixes = {suffix for suffix, kind in kinds.items() if kind in Image.OPEN}

    files = []
    for file in sorted(folder.rglob("*")):
        # macOS leaves hidden files of the same ending beside each image on other disks.
        is_hidden = file.name.startswith(".")
        if file.suffix.lower() in suffixes and not is_hidden:
            files.append(file)
    if not files:
        raise DataError(f"--input: found no image in {folder} or its folders")

    ids = pd.Index([file.stem for file in files], dtype=object)
    if not ids.is_unique:
        first, second = np.flatnonzero(ids == ids[ids.duplicated()][0])[:2]
        where = f"'{ids[first]}' is that of {files[first]} and {files[second]}"
        raise DataError(
            f"--input: the ids of images are their names without suffix, each once; {where}"
        )
    return pd.Series([str(file) for file in files], index=ids, dtype=object)


def _state(path: str) -> str:
    """Describe the state of an image by path, size and time."""
    # Not by content: every image would be read twice.
    try:
        state = Path(path).stat()
    except OSError:
        return path
    return f"{path} {state.st_size} {state.st_mtime_ns}"


def encode_images(
    network: ImageNetwork,
    paths: Sequence[str],
    batch_size: int,
    workers: int,
    progressed: Callable[[int], object],
) -> Iterator[NDArray[Any]]:
    """Yield the vectors of images, float32 ``[batch, d]``, a batch at a time.

    An unreadable image has a row of NaN.
    """
    loader = DataLoader(_Images(paths, network), batch_size=batch_size, num_workers=workers)
    for batch, readable in loader:
        # Otherwise torch keeps all activations for gradients.
        with torch.inference_mode():
            vectors: NDArray[Any] = network.network(batch.to(network.device)).float().cpu().numpy()
        vectors[~readable.numpy()] = np.nan
        progressed(len(vectors))
        yield vectors


class _Images(Dataset[tuple[torch.Tensor, bool]]):
    """Prepared images for a ``DataLoader``, each with True if it was readable."""

    def __init__(self, paths: Sequence[str], network: ImageNetwork) -> None:
        self._paths = paths
        self._transform = network.transform

    def __len__(self) -> int:
        return len(self._paths)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, bool]:
        try:
            with Image.open(self._paths[index]) as image:
                return self._transform(image.convert("RGB")), True
        except Exception:
            # Of many kinds: a damaged file makes its reader raise anything. The grey image keeps
            # the batch whole; its vector is replaced by NaN.
            return self._transform(Image.new("RGB", (64, 64))), False
