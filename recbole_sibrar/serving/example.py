"""A small model with random weights: examples use it without a training and without files."""

from __future__ import annotations

from dataclasses import replace
from importlib.resources import files
from typing import Any

import numpy as np
import pyarrow as pa
import torch
import yaml
from scipy.sparse import csr_matrix

from recbole_sibrar.config import encoder_config
from recbole_sibrar.data.modality import ModalityKind, bag_table
from recbole_sibrar.names import INTERACTIONS, SIDES, Side
from recbole_sibrar.serving.bundle.content import Content, Histories, SideContent
from recbole_sibrar.serving.bundle.manifest import FORMAT, FieldSpec, Manifest, SideSpec
from recbole_sibrar.serving.encoding.cells import FieldReader, Vocabulary
from recbole_sibrar.serving.encoding.encoder import make_encoder
from recbole_sibrar.serving.encoding.entities import Entities
from recbole_sibrar.serving.encoding.frames import Frame
from recbole_sibrar.serving.encoding.loading import plain_config
from recbole_sibrar.serving.recommender import Recommender

__all__ = ["example_content", "example_model"]

_SIZE = 4

_TOKENS: dict[Side, tuple[str, ...]] = {
    "user": ("ann", "bob", "cem"),
    "item": ("alien", "brazil", "casablanca", "dune", "eraserhead"),
}
_HISTORIES = ((0, 1), (2,), (3, 4, 0))

_FIELDS: dict[Side, tuple[FieldSpec, ...]] = {
    "user": (FieldSpec("country", "token", 3),),
    "item": (
        FieldSpec("genre", "token_seq", 3),
        FieldSpec("year", "float", 1, range=(1940.0, 2000.0)),
    ),
}
_VOCABULARIES: dict[Side, tuple[str, Vocabulary]] = {
    "user": ("country", (pa.array(["AT", "TR"]), np.array([1, 2]))),
    "item": ("genre", (pa.array(["drama", "scifi"]), np.array([1, 2]))),
}
_CELLS: dict[Side, dict[str, list[Any]]] = {
    "user": {"country": ["AT", None, "TR"]},
    "item": {
        "genre": ["scifi", "scifi drama", "drama", None, "drama"],
        "year": [1979.0, 1985.0, 1942.0, 1984.0, None],
    },
}


class _Keys(dict[str, Any]):
    """Configuration keys; one that is not set is None."""

    def __missing__(self, key: str) -> None:
        return None


def example_model() -> Recommender:
    """Make a recommender with three users and five films that have a genre and a year.

    Example:
        >>> model = example_model()
        >>> known = model.recommend(["ann"], k=9)["item"].tolist()
        >>> new = model.recommend_for(["alien", "brazil"], {"country": "AT"}, k=9)
        >>> known == new["item"].tolist()
        True
    """
    return Recommender(example_content())


def example_content() -> Content:
    """Make the portable model of :func:`example_model`."""
    specs: dict[Side, SideSpec] = {}
    weights: dict[str, torch.Tensor] = {}
    # The caller's random numbers stay as they are.
    with torch.random.fork_rng():
        torch.manual_seed(0)
        for side in SIDES:
            specs[side], state = _network(side)
            weights |= {f"{side}_encoder.{key}": value for key, value in state.items()}
            weights[f"{side}_stand_in"] = torch.zeros(_SIZE)

    offsets = np.cumsum([0, *map(len, _HISTORIES)], dtype=np.int64)
    histories = Histories(np.concatenate(_HISTORIES).astype(np.int32), offsets)
    manifest = Manifest(FORMAT, "SiBraR", _SIZE, specs["user"], specs["item"], has_modalities=True)
    content = Content(manifest, _side("user"), _side("item"), histories, weights)
    return _with_embeddings(content)


def _side(side: Side) -> SideContent:
    """Make the content of a side, without embeddings."""
    tokens = _TOKENS[side]
    display = pa.table({})
    counts = np.array(list(map(len, _HISTORIES)))
    if side == "item":
        display = pa.table({"year": [1979, 1985, 1942, 1984, 1977]})
        counts = np.bincount(np.concatenate(_HISTORIES))

    name, vocabulary = _VOCABULARIES[side]
    return SideContent(
        pa.array(tokens),
        np.asarray(counts, dtype=np.int64),
        display,
        torch.zeros(len(tokens), _SIZE),
        vocabularies={name: vocabulary},
    )


def _network(side: Side) -> tuple[SideSpec, dict[str, torch.Tensor]]:
    """Describe a side, and make the weights of its encoder."""
    file = files("recbole_sibrar.properties") / "model" / "SiBraR.yaml"
    defaults = yaml.safe_load(file.read_text("utf-8"))
    keys = _Keys({**defaults, "embedding_size": _SIZE, "modality_size": _SIZE})
    config = encoder_config(keys, side)

    n_other = len(_TOKENS["item" if side == "user" else "user"])
    _, vocabulary = _VOCABULARIES[side]
    interactions = bag_table(INTERACTIONS, ModalityKind.INTERACTIONS, csr_matrix((1, n_other + 1)))
    fields = [FieldReader(field, vocabulary, " ").table(pa.nulls(0)) for field in _FIELDS[side]]
    encoder = make_encoder("single_branch", config, [interactions, *fields])

    spec = SideSpec(
        f"{side}_id",
        len(_TOKENS[side]),
        len(_TOKENS[side]),
        "single_branch",
        encoder.modalities,
        _FIELDS[side],
        display=("year",) if side == "item" else (),
        config=plain_config(config, encoder.modalities),
    )
    return spec, encoder.state_dict()


def _with_embeddings(content: Content) -> Content:
    """Encode the users and items of a portable model."""
    entities = Entities(content)
    encoded: dict[Side, SideContent] = {}
    for side in SIDES:
        held = content.side(side)
        columns = {name: pa.array(cells) for name, cells in _CELLS[side].items()}
        frame = Frame(_TOKENS[side], columns, len(held.tokens))
        one = entities.encode(side, frame, parts=True)
        encoded[side] = replace(
            held, embeddings=one.embeddings, parts=one.parts, available=one.available
        )
    return replace(content, users=encoded["user"], items=encoded["item"])
