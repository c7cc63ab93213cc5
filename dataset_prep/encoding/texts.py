"""Texts to vectors, by sentence-transformers."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from recbole_sibrar.errors import DataError

from ..lists import parts_of
from ..messages import one_line
from ..readers.content import read_content
from .blocks import Task
from .environment import (
    LONGEST_REASON,
    device_name,
    fingerprint,
    network_fingerprint,
    no_download,
    versions,
)
from .model_lookup import (
    offline_unless_reachable,
    packaged_sentence_transformer,
    packages_with_sentence_transformers,
)
from .running import Job, Work
from .torchvision_build import import_torchvision

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

PACKAGES = ["sentence_transformers"]
"""Packages for encoding texts."""

EXTRA = "text"
"""Extra of this package with them."""


def _prepare(args: argparse.Namespace, device: str) -> Work:
    """Read the texts of ``encode-text`` and load its model."""
    columns = None
    if args.text_columns is not None:
        columns = parts_of(args.text_columns)
    texts = read_texts(args.input, args.id_column, columns)

    filled = texts[texts != ""]
    if filled.empty:
        raise DataError(f"{args.input}: none of the {len(texts)} rows has a text")

    model = load_model(args.model, device)
    ids, contents = list(filled.index), list(filled)
    task = Task(
        ids=ids,
        output=args.output,
        batch_size=args.batch_size,
        origin={
            "input": fingerprint(*ids, *contents),
            "model": model_fingerprint(model),
            "options": f"{args.batch_size} {args.normalize} {device_name(device)}",
        },
        noun="texts",
    )

    def vectors_from(start: int, progressed: Callable[[int], object]) -> Iterator[NDArray[Any]]:
        return encode_texts(model, contents[start:], task, args.normalize, progressed)

    return Work(task, vectors_from, texts.index[texts == ""].tolist())


JOB = Job(PACKAGES, EXTRA, _prepare, "rows have no text and are left out as missing values")
"""The content of ``encode-text``."""


def read_texts(
    path: Path, id_column: str | None = None, columns: Sequence[str] | None = None
) -> pd.Series:
    """Read the text of each entity.

    Args:
        path: A file for :func:`~.content.read_content`.
        id_column: The column of the ids; None for the usual names.
        columns: The columns of the text, joined by a space; None for the only one.

    Returns:
        Texts (str, empty if missing), their ids (str) as index, in the order of the file.

    Raises:
        DataError: The file does not hold these columns, or an id is missing or occurs twice.
    """
    frame = read_content(path, id_column, columns, "--text_columns")
    return frame.apply(lambda row: " ".join(filter(None, row)), axis=1).astype(object)


def load_model(name: str, device: str, key: str = "--model") -> SentenceTransformer:
    """Load a ``SentenceTransformer`` from a folder, a package, or by its name on Hugging Face.

    Args:
        name: A folder; else the name of an installed package with a model; else a name on Hugging
            Face.
        device: cpu or cuda.
        key: The option for the model, for messages.

    Raises:
        DataError: There is no such folder, it holds no model, or the model cannot be downloaded.
    """
    folder = _model_folder(name, key)

    # First, since transformers imports torchvision.
    import_torchvision()
    import transformers
    from sentence_transformers import SentenceTransformer

    transformers.utils.logging.disable_progress_bar()
    if folder is not None:
        try:
            return SentenceTransformer(str(folder), device=device)
        except Exception as error:
            # Of many kinds: a damaged file makes its reader raise anything.
            reason = one_line(error, LONGEST_REASON)
            raise DataError(
                f"{key}: {folder} is not a model that sentence-transformers loads: {reason}"
            ) from None

    with offline_unless_reachable() as refusal:
        try:
            return SentenceTransformer(name, device=device)
        except Exception as error:
            # Likewise, and a download makes the hub's client raise anything.
            reason = refusal or one_line(error, LONGEST_REASON)
    raise DataError(no_download(key, name, "a folder that holds the model", reason, _installed()))


def _model_folder(name: str, key: str) -> Path | None:
    """Find the folder of a model on this machine; None for a name on Hugging Face."""
    try:
        folder = Path(name).expanduser()
    except RuntimeError:
        # The home of an unknown user, as in ~nobody/model.
        folder = Path(name)
    if name and folder.is_dir():
        return folder

    is_path = name.startswith((".", "/", "~")) or name.count("/") > 1
    if not name or folder.exists() or is_path:
        raise DataError(
            f"{key}: there is no folder {name!r}; allowed is a folder, an installed package with "
            "a model, or a name on Hugging Face"
        )
    return packaged_sentence_transformer(name)


def _installed() -> str:
    """List the installed packages with a model, as a clause of a message."""
    packages = packages_with_sentence_transformers()
    return f"; installed packages with a model: {', '.join(packages)}" if packages else ""


def encode_texts(
    model: SentenceTransformer,
    texts: Sequence[str],
    task: Task,
    normalize: bool,
    progressed: Callable[[int], object],
) -> Iterator[NDArray[Any]]:
    """Yield the vectors of texts, float32 ``[block, d]``, a block of ``task`` at a time."""
    for start in range(0, len(texts), task.block_size):
        block = texts[start : start + task.block_size]

        # Batches of similar lengths: a model computes as much for each text as for the longest.
        by_length = np.argsort([-len(text) for text in block], kind="stable")
        cuts = range(task.batch_size, len(block), task.batch_size)

        vectors = []
        for positions in np.split(by_length, cuts):
            batch = [block[position] for position in positions]
            encoded = model.encode(
                batch,
                batch_size=task.batch_size,
                show_progress_bar=False,
                convert_to_numpy=True,
                normalize_embeddings=normalize,
            )
            vectors.append(encoded)
            progressed(len(batch))

        # The argsort of an order is its inverse: back to the order of the texts.
        yield np.concatenate(vectors)[np.argsort(by_length)]


def model_fingerprint(model: SentenceTransformer) -> str:
    """Hash a ``SentenceTransformer``: weights, tokenizer, settings and versions."""
    tokenizer = getattr(model.tokenizer, "backend_tokenizer", None)
    settings = (model.max_seq_length, model.prompts, model.default_prompt_name)
    of_packages = versions("torch", "transformers", "sentence-transformers")
    return fingerprint(
        network_fingerprint(model),
        tokenizer.to_str() if tokenizer else repr(model.tokenizer),
        repr(settings),
        *of_packages,
    )
