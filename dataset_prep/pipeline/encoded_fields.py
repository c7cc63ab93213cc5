"""The option ``--encode`` of ``prepare``: vectors of the texts of columns, by the code of ``encode-text``."""

from __future__ import annotations

import argparse
import os
import re
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from recbole_sibrar.config.values import nearest
from recbole_sibrar.data.atomic import DataError

from ..encoding import blocks as encoding
from ..encoding import encoder_options
from .entities import SIDES
from .raw import RawData, RawField

_NOT_IN_FILES = r"[^\w.-]"

_SHAPE = "COLUMN=MODEL, COLUMN,COLUMN=MODEL or 'SIDE:COLUMN,COLUMN=MODEL NAME'"


@dataclass(frozen=True)
class Encoding:
    """One value of ``--encode``."""

    text: str
    """The value, for messages."""
    side: str
    """``user`` or ``item``."""
    columns: tuple[str, ...]
    """The columns, whose texts are joined by spaces in this order."""
    model: str
    """The model, as for ``encode-text``."""
    name: str
    """Name of the field."""


@dataclass
class Encoder:
    """Encodes texts into fields of vectors; finished blocks are kept until :meth:`forget`."""

    folder: Path
    """The folder of the data set, beside which blocks are kept."""
    device: str
    """auto, cpu or cuda."""
    batch_size: int
    """Texts at a time."""
    note: Callable[[str], None]
    """Receives lines for the user."""
    models: dict[str, Any] = field(default_factory=dict)
    """Name -> a loaded ``SentenceTransformer``."""
    tasks: list[encoding.Task] = field(default_factory=list)
    """What was encoded."""

    def load(self, encodings: Iterable[Encoding]) -> None:
        """Load the models, before any data are read: so a wrong name ends the command at once.

        Raises:
            DataError: A package, a model or a device is not there.
        """
        from ..encoding.encode_text import load_model

        for one in encodings:
            encoder_options.require(["sentence_transformers"], "text")
            self.device = encoder_options.choose_device(self.device, "--encode_device")
            if one.model not in self.models:
                self.models[one.model] = load_model(one.model, self.device, "--encode")

    def vectors(self, one: Encoding, ids: pd.Index, texts: Sequence[str]) -> np.ndarray:
        """The vectors of entities, float32 ``[n, d]``, a row of NaN where there is no text."""
        from ..encoding.encode_text import encode_texts, model_fingerprint

        model = self.models[one.model]
        filled = np.flatnonzero([bool(text) for text in texts])
        if not len(filled):
            raise DataError(f"--encode: none of the {len(ids)} {one.side}s has a text in {', '.join(one.columns)}")
        contents = [texts[row] for row in filled]
        task = encoding.Task(
            ids=[str(ids[row]) for row in filled],
            output=self.folder.with_name(f".{self.folder.name}.{re.sub(_NOT_IN_FILES, '_', one.name)}.npz"),
            batch_size=self.batch_size,
            origin={
                "input": encoder_options.fingerprint(*map(str, ids[filled]), *contents),
                "model": model_fingerprint(model),
                "options": f"{self.batch_size} {encoder_options.device_name(self.device)}",
            },
            noun="texts",
            keys=encoding.Keys("--encode_batch_size", "--encode", "--output_path"),
        )
        self.tasks.append(task)
        found = encoding.encode(
            task, lambda start, progressed: encode_texts(model, contents[start:], task, False, progressed), self.note
        )
        matrix = np.full((len(ids), found.shape[1]), np.nan, dtype=np.float32)
        matrix[filled] = found
        return matrix

    def forget(self) -> None:
        """Remove the blocks, when the data set is written."""
        for task in self.tasks:
            shutil.rmtree(task.partial, ignore_errors=True)


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options for encoding."""
    add = parser.add_argument
    shown = (
        "make vectors of the texts of item columns by a sentence transformer (a folder, an installed package, or a "
        "name on Hugging Face), as encode-text does; the field is named as the column, that of several columns text, "
        "or NAME; repeatable"
    )
    add("--encode", metavar="COLUMN,COLUMN=MODEL", action="append", default=[], help=shown)
    add("--encode_batch_size", metavar="N", type=int, default=32, help="texts at a time (default: %(default)s)")
    add("--encode_device", choices=("auto", "cpu", "cuda"), default="auto", help="default: %(default)s")


def parse_encodings(texts: Sequence[str]) -> list[Encoding]:
    """Read the values of ``--encode``.

    Raises:
        DataError: A value is not as it should be.
    """
    encodings = []
    for text in texts:
        left, equals, right = text.partition("=")
        side, colon, listed = left.partition(":")
        if not colon or side not in SIDES:
            side, listed = "item", left
        columns = tuple(column.strip() for column in listed.split(","))
        model, name = _model_and_name(right.strip())
        if not equals or not model or "" in columns:
            raise DataError(f"--encode: found '{text}', allowed is {_SHAPE}")
        if len(set(columns)) < len(columns):
            raise DataError(f"--encode: found '{text}', allowed is each column once")
        encodings.append(Encoding(text, side, columns, model, name or (columns[0] if len(columns) == 1 else "text")))
    return encodings


def encode_fields(raw: RawData, encodings: Sequence[Encoding], encoder: Encoder) -> None:
    """Replace fields of texts by fields of their vectors, which are made when they are read.

    Args:
        raw: The raw data set, whose fields are changed.
        encodings: What to encode.
        encoder: Encodes it.

    Raises:
        DataError: There is no such field, or it holds no text.
    """
    for side in SIDES:
        fields = list(raw.user_fields if side == "user" else raw.item_fields)
        extra = raw.texts.get(side, ())
        known = {**{field.name: field for field in fields}, **{field.name: field for field in extra}}
        used: set[str] = set()
        added = []
        for one in encodings:
            if one.side == side:
                sources = [_source(one, column, known) for column in one.columns]
                used |= {source.name for source in sources if source not in extra}
                added.append(_field(one, sources, encoder))
        fields = [*(field for field in fields if field.name not in used), *added]
        if side == "user":
            raw.user_fields = fields
        else:
            raw.item_fields = fields


def _source(one: Encoding, column: str, known: Mapping[str, RawField]) -> RawField:
    name = "_".join(column.replace(":", " ").split())
    found = known.get(name) or known.get(f"{one.side}_{name}")
    if found is None:
        texts = [field.name for field in known.values() if field.type in ("token", "token_seq")]
        raise DataError(
            f"--encode: found '{column}', allowed are the texts of the {one.side}s: {', '.join(texts) or 'none'}"
            f"{nearest(column, texts)}"
        )
    if found.type not in ("token", "token_seq"):
        raise DataError(f"--encode: found '{column}', which is {found.type}; allowed are texts")
    return found


def _field(one: Encoding, sources: Sequence[RawField], encoder: Encoder) -> RawField:
    notes: list[str] = []

    def read(ids: pd.Index) -> np.ndarray:
        columns = [_texts(source.read(ids)) for source in sources]
        for source in sources:
            notes.extend(source.notes)
        texts = [" ".join(filter(None, row)) for row in zip(*columns, strict=True)]
        return encoder.vectors(one, ids, texts)

    name = "_".join(one.name.replace(":", " ").split())
    origin = f"{', '.join(one.columns)} of {sources[0].source} by {one.model}"
    return RawField(name, "float_seq", read, origin, notes, sources[0].file)


def _texts(values: Any) -> list[str]:
    """Values of a ``token`` or ``token_seq`` field as texts, empty where one is missing."""
    return [" ".join(value) if isinstance(value, list) else str(value or "").strip() for value in values]


def _model_and_name(text: str) -> tuple[str, str]:
    """A model, and the name behind it if there is one; the path of a folder can have spaces."""
    model, space, name = text.rpartition(" ")
    if not space or os.path.isdir(os.path.expanduser(text)):
        return text, ""
    return model.strip(), name
