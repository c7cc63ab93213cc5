"""The command ``recbole-sibrar encode-image``: vectors of images, by a network of timm or torchvision."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from recbole_sibrar.config.values import refuse, size_value
from recbole_sibrar.data.atomic import DataError

from ..pipeline.locks import locked
from ..readers.content import read_content
from . import blocks as encoding
from . import encoder_options as options
from .image_networks import ImageNetwork, load_network


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.add_argument(
        "--input",
        metavar="DIR",
        required=True,
        type=Path,
        help="folder of images whose names without suffix are ids, or a table (as for encode-text) of ids and paths",
    )
    parser.add_argument("--id_column", metavar="NAME", help="column of the ids (default: id, item_id or user_id)")
    parser.add_argument("--path_column", metavar="NAME", default="path", help="column of the paths (default: path)")
    parser.add_argument("--model", metavar="NAME", required=True, help="name of a network, such as resnet50")
    parser.add_argument("--library", choices=("timm", "torchvision"), default="timm", help="default: %(default)s")
    parser.add_argument(
        "--weights",
        metavar="FILE",
        default="default",
        help="file of weights (.pth, .safetensors), or default: those that the library downloads",
    )
    parser.add_argument("--workers", type=int, default=0, help="processes that read images (default: 0, this one)")
    options.add_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Encode images and write their vectors.

    Args:
        args: The options of :func:`add_arguments`, and the ``command``.

    Returns:
        Exit status.

    Raises:
        DataError: The input, the model, the device or the output cannot be used.
        ConfigError: An option has a value that is not allowed.
    """
    note = options.notes_of(args.command)
    options.require(["timm", "torchvision"], "image")
    size_value("--batch_size", args.batch_size)
    if args.workers < 0:
        refuse("--workers", args.workers, "0 or a number of processes")
    options.check_output(args.output)
    with locked(args.output, "--output"):
        return _encode(args, note)


def _encode(args: argparse.Namespace, note: Callable[[str], None]) -> int:
    device = options.choose_device(args.device)
    files = find_images(args.input, args.id_column, args.path_column)
    network = load_network(args.library, args.model, args.weights, device)
    task = _task(args, files, network)
    vectors = encoding.encode(
        task,
        lambda start, progressed: encode_images(
            network, list(files)[start:], args.batch_size, args.workers, progressed
        ),
        note,
    )
    missing = encoding.finish(task, vectors)
    if missing:
        note(f"{options.some(missing)} of {len(files)} images are not there or unreadable and are left out")
    note(f"written: {args.output}, {len(files) - len(missing)} vectors of {vectors.shape[1]} numbers")
    return 0


def _task(args: argparse.Namespace, files: pd.Series, network: ImageNetwork) -> encoding.Task:
    versions = (version(package) for package in ("torch", "timm", "torchvision", "pillow"))
    return encoding.Task(
        ids=list(files.index),
        output=args.output,
        batch_size=args.batch_size,
        origin={
            "input": options.fingerprint(*files.index, *map(_state, files)),
            "model": options.fingerprint(
                options.network_fingerprint(network.network), repr(network.transform), *versions
            ),
            "options": f"{args.batch_size} {options.device_name(network.device)}",
        },
        noun="images",
    )


def find_images(source: Path, id_column: str | None = None, path_column: str = "path") -> pd.Series:
    """Find the images of a folder or of a table.

    Args:
        source: A folder, searched with all its folders, or a table that :func:`~.content.read_content` reads, whose
            paths are relative to its folder.
        id_column: The table's column of ids; None for the usual names.
        path_column: The table's column of paths.

    Returns:
        Paths (str, empty where a table has none), with the ids (str) as index: those of a folder sorted by path.

    Raises:
        DataError: There is no image, an id occurs twice, or the table lacks a column.
    """
    if not source.is_dir():
        paths = read_content(source, id_column, [path_column], "--path_column")[path_column]
        return paths.map(lambda path: str(source.parent / path) if path else "")
    from PIL import Image

    suffixes = {suffix for suffix, kind in Image.registered_extensions().items() if kind in Image.OPEN}
    files = [file for file in sorted(source.rglob("*")) if file.suffix.lower() in suffixes and file.name[0] != "."]
    if not files:
        raise DataError(f"--input: found no image in {source} or its folders")
    ids = pd.Index([file.stem for file in files], dtype=object)
    if not ids.is_unique:
        first, second = np.flatnonzero(ids == ids[ids.duplicated()][0])[:2]
        where = f"'{ids[first]}' is that of {files[first]} and {files[second]}"
        raise DataError(f"--input: the ids of images are their names without suffix, each once; {where}")
    return pd.Series([str(file) for file in files], index=ids, dtype=object)


def _state(path: str) -> str:
    """What shows that an image has changed: its path, size and time."""
    try:
        state = Path(path).stat()
    except OSError:
        return path
    return f"{path} {state.st_size} {state.st_mtime_ns}"


def encode_images(
    network: ImageNetwork, paths: Sequence[str], batch_size: int, workers: int, progressed: Callable[[int], Any]
) -> Iterator[np.ndarray]:
    """The vectors of images, float32 ``[batch, d]`` a batch at a time, a row of NaN where an image cannot be read."""
    import torch
    from torch.utils.data import DataLoader

    images = _Images(paths, network)
    loader = DataLoader(images, batch_size=batch_size, num_workers=workers)  # type: ignore[arg-type, var-annotated]
    for batch, readable in loader:
        with torch.inference_mode():
            vectors = network.network(batch.to(network.device)).float().cpu().numpy()
        vectors[~readable.numpy()] = np.nan
        progressed(len(vectors))
        yield vectors


class _Images:
    """What a ``DataLoader`` reads: prepared images, and whether they could be read."""

    def __init__(self, paths: Sequence[str], network: ImageNetwork) -> None:
        self._paths = paths
        self._transform = network.transform

    def __len__(self) -> int:
        return len(self._paths)

    def __getitem__(self, index: int) -> tuple[Any, bool]:
        from PIL import Image

        try:
            with Image.open(self._paths[index]) as image:
                return self._transform(image.convert("RGB")), True
        except Exception:  # of many kinds: whatever a damaged file makes its reader raise
            return self._transform(Image.new("RGB", (64, 64))), False
