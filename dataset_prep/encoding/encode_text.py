"""The command ``recbole-sibrar encode-text``: vectors of texts, by sentence-transformers."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from recbole_sibrar.config.values import size_value
from recbole_sibrar.data.atomic import DataError

from ..pipeline.locks import locked
from ..readers.content import read_content
from . import blocks as encoding
from . import encoder_options as options
from .model_lookup import offline_unless_reachable, packaged_sentence_transformer, packages_with_sentence_transformers
from .torchvision_build import import_torchvision

MODEL_HELP = "folder of a model, an installed package that carries one, or its name on Hugging Face"
"""What names a model."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.add_argument(
        "--input",
        metavar="FILE",
        required=True,
        type=Path,
        help="CSV, TSV, JSONL, JSON (an object of id -> text), each also .gz; Parquet; an atomic .item or .user file",
    )
    parser.add_argument("--id_column", metavar="NAME", help="column of the ids (default: id, item_id or user_id)")
    parser.add_argument(
        "--text_columns",
        metavar="A,B",
        help="columns of the text, joined by spaces in this order (default: the only one beside the ids)",
    )
    parser.add_argument("--model", metavar="NAME", required=True, help=MODEL_HELP)
    parser.add_argument("--normalize", action="store_true", help="scale each vector to length 1")
    options.add_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Encode the texts of a table and write their vectors.

    Args:
        args: The options of :func:`add_arguments`, and the ``command``.

    Returns:
        Exit status.

    Raises:
        DataError: The input, the model, the device or the output cannot be used.
        ConfigError: An option has a value that is not allowed.
    """
    note = options.notes_of(args.command)
    options.require(["sentence_transformers"], "text")
    size_value("--batch_size", args.batch_size)
    options.check_output(args.output)
    with locked(args.output, "--output"):
        return _encode(args, note)


def _encode(args: argparse.Namespace, note: Callable[[str], None]) -> int:
    device = options.choose_device(args.device)
    listed = args.text_columns
    columns = None if listed is None else [name.strip() for name in listed.split(",")]
    texts = read_texts(args.input, args.id_column, columns)
    filled = texts[texts != ""]
    if filled.empty:
        raise DataError(f"{args.input}: none of the {len(texts)} rows has a text")
    model = load_model(args.model, device)
    task = _task(args, filled, model, device)
    contents = list(filled)
    vectors = encoding.encode(
        task, lambda start, progressed: encode_texts(model, contents[start:], task, args.normalize, progressed), note
    )
    encoding.finish(task, vectors)
    if len(filled) < len(texts):
        missing = texts.index[texts == ""].tolist()
        note(f"{options.some(missing)} of {len(texts)} rows have no text and are left out as missing values")
    note(f"written: {args.output}, {len(task.ids)} vectors of {vectors.shape[1]} numbers")
    return 0


def _task(args: argparse.Namespace, texts: pd.Series, model: Any, device: str) -> encoding.Task:
    return encoding.Task(
        ids=list(texts.index),
        output=args.output,
        batch_size=args.batch_size,
        origin={
            "input": options.fingerprint(*texts.index, *texts),
            "model": model_fingerprint(model),
            "options": f"{args.batch_size} {args.normalize} {options.device_name(device)}",
        },
        noun="texts",
    )


def read_texts(path: Path, id_column: str | None = None, columns: Sequence[str] | None = None) -> pd.Series:
    """Read the text of each entity.

    Args:
        path: A file that :func:`~.content.read_content` reads.
        id_column: The column of the ids; None for the usual names.
        columns: The columns of the text, joined by a space; None for the only one.

    Returns:
        Texts (str, empty where missing), their ids (str) as index, in the order of the file.

    Raises:
        DataError: The file does not hold these columns, or an id is missing or occurs twice.
    """
    frame = read_content(path, id_column, columns, "--text_columns")
    return frame.apply(lambda row: " ".join(filter(None, row)), axis=1).astype(object)


def load_model(name: str, device: str, key: str = "--model") -> Any:
    """Load a ``SentenceTransformer`` from a folder, an installed package, or by its name on Hugging Face.

    Args:
        name: A folder; else the name of an installed package that carries a model; else a name on Hugging Face.
        device: cpu or cuda.
        key: The option that names the model, for messages.

    Raises:
        DataError: There is no such folder, it holds no model, or a model that is not here cannot be downloaded.
    """
    folder = _model_folder(name, key)
    import_torchvision()
    import transformers
    from sentence_transformers import SentenceTransformer

    transformers.utils.logging.disable_progress_bar()
    if folder is not None:
        try:
            return SentenceTransformer(str(folder), device=device)
        except Exception as error:  # of many kinds: whatever a file of the model makes its reader raise
            reason = options.one_line(error)
            raise DataError(f"{key}: {folder} is not a model that sentence-transformers loads: {reason}") from None

    with offline_unless_reachable() as refusal:
        try:
            return SentenceTransformer(name, device=device)
        except Exception as error:  # likewise, and whatever a download makes the hub's client raise
            reason = refusal or options.one_line(error)
    raise DataError(options.no_download(key, name, "a folder that holds the model", reason, _installed()))


def _model_folder(name: str, key: str) -> Path | None:
    """The folder of a model that is on this machine; None for a name on Hugging Face."""
    try:
        folder = Path(name).expanduser()
    except RuntimeError:  # the home of a user who is not there
        folder = Path(name)
    if name and folder.is_dir():
        return folder
    if not name or folder.exists() or name.startswith((".", "/", "~")) or name.count("/") > 1:
        raise DataError(
            f"{key}: there is no folder {name!r}; allowed is a folder, an installed package with a model, or a name on "
            "Hugging Face"
        )
    return packaged_sentence_transformer(name)


def _installed() -> str:
    packages = packages_with_sentence_transformers()
    return f"; installed packages with a model: {', '.join(packages)}" if packages else ""


def encode_texts(
    model: Any, texts: Sequence[str], task: encoding.Task, normalize: bool, progressed: Callable[[int], Any]
) -> Iterator[np.ndarray]:
    """The vectors of texts, float32 ``[block, d]``, a block of ``task`` at a time.

    Batches are of texts of similar lengths, because a model computes as much for each text as for the longest.
    """
    for start in range(0, len(texts), task.block_size):
        block = texts[start : start + task.block_size]
        by_length = np.argsort([-len(text) for text in block], kind="stable")
        vectors = []
        for batch in np.split(by_length, range(task.batch_size, len(block), task.batch_size)):
            vectors.append(
                model.encode(
                    [block[position] for position in batch],
                    batch_size=task.batch_size,
                    show_progress_bar=False,
                    convert_to_numpy=True,
                    normalize_embeddings=normalize,
                )
            )
            progressed(len(batch))
        yield np.concatenate(vectors)[np.argsort(by_length)]


def model_fingerprint(model: Any) -> str:
    """A hash of all that decides which vector a text gets from a ``SentenceTransformer``."""
    tokenizer = getattr(model.tokenizer, "backend_tokenizer", None)
    return options.fingerprint(
        options.network_fingerprint(model),
        tokenizer.to_str() if tokenizer else repr(model.tokenizer),
        repr((model.max_seq_length, model.prompts, model.default_prompt_name)),
        *(version(package) for package in ("torch", "transformers", "sentence-transformers")),
    )
