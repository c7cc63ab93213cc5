"""Fields of vectors of texts, encoded while a data set is prepared, as ``encode-text`` does."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from recbole_sibrar.errors import DataError, nearest
from recbole_sibrar.names import SIDES

from ..encoding import blocks, environment
from .encode_option import Encoding, of_side
from .raw import RawData, RawField, Values

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

_NOT_IN_FILES = r"[^\w.-]"

_TEXT_TYPES = ("token", "token_seq")

KEYS = blocks.Keys(batch_size="--encode_batch_size", model="--encode", output="--output_path")
"""Options of ``prepare`` for messages about an encoding."""


@dataclass
class Encoder:
    """Encoder of texts into vectors. It keeps finished blocks until :meth:`forget`."""

    folder: Path
    """Folder of the data set. Blocks are kept beside it."""
    device: str
    """auto, cpu or cuda."""
    batch_size: int
    """Texts at a time."""
    note: Callable[[str], None]
    """Prints a line for the user."""
    models: dict[str, SentenceTransformer] = field(default_factory=dict)
    """Name -> loaded model."""
    tasks: list[blocks.Task] = field(default_factory=list)
    """Finished tasks."""

    def load(self, encodings: Iterable[Encoding]) -> None:
        """Load the models before any data are read: a wrong name fails early.

        Raises:
            DataError: A package, a model or a device is missing.
        """
        from ..encoding import texts

        for one in encodings:
            environment.require(texts.PACKAGES, texts.EXTRA)
            self.device = environment.choose_device(self.device, "--encode_device")
            if one.model not in self.models:
                self.models[one.model] = texts.load_model(one.model, self.device, "--encode")

    def vectors(self, one: Encoding, ids: pd.Index, texts: Sequence[str]) -> NDArray[Any]:
        """Encode the texts of entities: float32 ``[n, d]``, a row of NaN for an empty text."""
        # An empty text is a missing value: a model would make a vector even of nothing.
        filled = np.flatnonzero(np.array(texts, dtype=object) != "")
        if not len(filled):
            raise DataError(
                f"--encode: none of the {len(ids)} {one.side}s has a text in "
                f"{', '.join(one.columns)}"
            )

        names = ids[filled].astype(str).tolist()
        contents = [texts[row] for row in filled]
        found = self._encode(one, names, contents)

        matrix = np.full((len(ids), found.shape[1]), np.nan, dtype=np.float32)
        matrix[filled] = found
        return matrix

    def _encode(self, one: Encoding, ids: list[str], contents: list[str]) -> NDArray[Any]:
        from ..encoding.texts import encode_texts, model_fingerprint

        model = self.models[one.model]
        name = re.sub(_NOT_IN_FILES, "_", one.name)
        task = blocks.Task(
            ids=ids,
            output=self.folder.with_name(f".{self.folder.name}.{name}.npz"),
            batch_size=self.batch_size,
            origin={
                "input": environment.fingerprint(*ids, *contents),
                "model": model_fingerprint(model),
                "options": f"{self.batch_size} {environment.device_name(self.device)}",
            },
            noun="texts",
            keys=KEYS,
        )
        # Its blocks are kept until the data set is written: a later step may still fail.
        self.tasks.append(task)

        def vectors_from(start: int, progressed: Callable[[int], object]) -> Iterator[NDArray[Any]]:
            return encode_texts(model, contents[start:], task, False, progressed)

        return blocks.encode(task, vectors_from, self.note)

    def forget(self) -> None:
        """Remove the blocks after the data set is written."""
        for task in self.tasks:
            shutil.rmtree(task.partial, ignore_errors=True)


def encode_fields(raw: RawData, encodings: Sequence[Encoding], encoder: Encoder) -> None:
    """Replace fields of texts by fields of their vectors. Reading such a field encodes the texts.

    Args:
        raw: The raw data set. Its fields are changed.
        encodings: Values of ``--encode``.
        encoder: Encodes the texts.

    Raises:
        DataError: There is no such field, or it holds no text.
    """
    for side in SIDES:
        own = of_side(encodings, side)
        extra = list(raw.texts.get(side, ()))
        if side == "user":
            raw.user_fields = _with_vectors(raw.user_fields, extra, own, encoder)
        else:
            raw.item_fields = _with_vectors(raw.item_fields, extra, own, encoder)


def _with_vectors(
    fields: Sequence[RawField],
    extra: Sequence[RawField],
    encodings: Sequence[Encoding],
    encoder: Encoder,
) -> list[RawField]:
    """Replace encoded fields of one side.

    Args:
        fields: Fields of the side.
        extra: Further fields of texts, only there to be encoded.
        encodings: Encodings of the side.
        encoder: Encodes the texts.
    """
    known = {field.name: field for field in (*fields, *extra)}
    used: set[str] = set()
    added = []
    for one in encodings:
        sources = [_source(one, column, known) for column in one.columns]
        added.append(_field(one, sources, encoder))

        # A text for encoding alone can share its name with a field, which stays.
        used.update(source.name for source in sources if source not in extra)

    unused = [field for field in fields if field.name not in used]
    return [*unused, *added]


def _source(one: Encoding, column: str, known: Mapping[str, RawField]) -> RawField:
    """Find the field of a column of texts."""
    name = _field_name(column)

    # Names common to both sides have the side in front.
    found = known.get(name) or known.get(f"{one.side}_{name}")
    if found is None:
        texts = [field.name for field in known.values() if field.type in _TEXT_TYPES]
        raise DataError(
            f"--encode: found '{column}', allowed are the texts of the {one.side}s: "
            f"{', '.join(texts) or 'none'}{nearest(column, texts)}"
        )
    if found.type not in _TEXT_TYPES:
        raise DataError(f"--encode: found '{column}', which is {found.type}; allowed are texts")
    return found


def _field(one: Encoding, sources: Sequence[RawField], encoder: Encoder) -> RawField:
    notes: list[str] = []

    def read(ids: pd.Index) -> NDArray[Any]:
        columns = [_texts(source.read(ids)) for source in sources]
        for source in sources:
            notes.extend(source.notes)

        # One text for each entity; a missing part leaves no gap of two spaces.
        texts = [" ".join(filter(None, row)) for row in zip(*columns, strict=True)]
        return encoder.vectors(one, ids, texts)

    origin = f"{', '.join(one.columns)} of {sources[0].source} by {one.model}"
    return RawField(_field_name(one.name), "float_seq", read, origin, notes, sources[0].file)


def _field_name(column: str) -> str:
    """Make the name of a field, without colons and spaces."""
    return "_".join(column.replace(":", " ").split())


def _texts(values: Values) -> list[str]:
    """Write the values of a ``token`` or ``token_seq`` field as texts, empty for a missing one."""
    texts = []
    for value in values:
        text = " ".join(value) if isinstance(value, list) else str(value or "").strip()
        texts.append(text)
    return texts
