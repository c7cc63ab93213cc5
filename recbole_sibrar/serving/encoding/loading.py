"""Encoders of the portable models, made from what was read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields as fields_of
from itertools import chain

from torch import Tensor

from recbole_sibrar.config import EncoderConfig
from recbole_sibrar.config.keys import ENCODER_READERS
from recbole_sibrar.config.values import ByField
from recbole_sibrar.errors import ConfigError, PortableModelError, one_line
from recbole_sibrar.names import RESERVED_NAMES, Side
from recbole_sibrar.serving.bundle.content import WEIGHTS, Content
from recbole_sibrar.serving.bundle.manifest import MANIFEST, SideSpec
from recbole_sibrar.serving.encoding.cells import FieldReader
from recbole_sibrar.serving.encoding.encoder import SideEncoder

__all__ = ["ENCODERS", "load_encoder", "plain_config"]

ENCODERS = ("single_branch", "multi_branch", "concatenation", "collaborative")
"""Kinds of encoders."""

_LATER: Mapping[str, object] = {"matmul_precision": "highest"}
"""Keys that earlier versions did not have, each with the value for what they did."""

_TYPES = ("token", "token_seq", "float", "float_seq")


def load_encoder(content: Content, side: Side) -> SideEncoder | None:
    """Make the encoder of a side; None for a model of embeddings alone.

    Raises:
        PortableModelError: Its weights do not fit its description.
    """
    spec = content.manifest.side(side)
    if spec.encoder == "none":
        return None

    # The folder may come from anybody: sizes are checked before layers of them are made.
    _check_spec(content, spec, side)
    other = content.manifest.side("item" if side == "user" else "user")
    try:
        return SideEncoder(
            spec,
            _config(spec, side, content.manifest.embedding_size),
            _readers(content, spec, side),
            _state(content, side),
            _vector(content, f"{side}_stand_in"),
            other.n_trained,
            _preferences(content, side) if spec.preferences else None,
        )
    except ConfigError as error:
        raise PortableModelError(f"{MANIFEST}: {side}s: {error}") from None
    except KeyError as error:
        raise PortableModelError(f"{WEIGHTS}: the tensor {error} is missing") from None
    except (
        RuntimeError,
        ValueError,
        TypeError,
        LookupError,
        ArithmeticError,
        MemoryError,
    ) as error:
        raise PortableModelError(
            f"{WEIGHTS}: does not fit {MANIFEST}: {side}s: {one_line(error, 300)}"
        ) from None


def _check_spec(content: Content, spec: SideSpec, side: Side) -> None:
    """Check the description of a side before anything of its sizes is made."""
    place = f"{MANIFEST}: {side}s"
    if spec.encoder not in ENCODERS:
        raise PortableModelError(
            f"{place}.encoder: found {spec.encoder!r}, allowed is none, {', '.join(ENCODERS)}"
        )

    fields = {field.name: field for field in spec.fields}
    for name in spec.modalities:
        if name not in fields and name not in RESERVED_NAMES:
            raise PortableModelError(f"{place}.modalities: '{name}' is no field of the model")
    if len(set(spec.modalities)) < len(spec.modalities) or not spec.modalities:
        raise PortableModelError(
            f"{place}.modalities: found {list(spec.modalities)}, allowed are names, each once"
        )

    # Every size is a dimension of some weight: a larger one would only take memory.
    sizes = chain.from_iterable(tensor.shape for tensor in content.weights.values())
    largest = max(sizes, default=0)
    for size_place, size in _sizes(spec):
        if not 0 < size <= largest:
            raise PortableModelError(
                f"{place}.{size_place}: found {size}, allowed is 1 to {largest}, as in {WEIGHTS}"
            )
    for name, field in fields.items():
        if field.type not in _TYPES:
            raise PortableModelError(
                f"{place}.fields: {name}: found type {field.type!r}, allowed is {', '.join(_TYPES)}"
            )


def _sizes(spec: SideSpec) -> Iterator[tuple[str, int]]:
    """List the sizes in a description."""
    for field in spec.fields:
        yield f"fields: {field.name}: size", field.size
    for key in ("modality_size", "branch_hidden_sizes", "projection_hidden_sizes"):
        value = spec.config.get(key)
        for size in value if isinstance(value, list) else [value]:
            if isinstance(size, int):
                yield f"config.{key}", size


def _config(spec: SideSpec, side: Side, embedding_size: int) -> EncoderConfig:
    """Read the configuration of an encoder with the readers of its keys."""
    given = {**_LATER, **spec.config}
    values = {}
    for name, read in ENCODER_READERS.items():
        if name not in given:
            raise ConfigError(f"config: '{name}' is missing")
        values[name] = read(f"config: {name}", given[name])
    return EncoderConfig(side=side, embedding_size=embedding_size, **values)  # type: ignore[arg-type]


def plain_config(config: EncoderConfig, modalities: Sequence[str]) -> dict[str, object]:
    """Write the configuration of an encoder as plain values.

    Args:
        config: The configuration.
        modalities: Modalities of the encoder.
    """
    values: dict[str, object] = {}
    # Side and size stand elsewhere in the manifest.
    for held in fields_of(config):
        if held.name not in ("side", "embedding_size"):
            values[held.name] = _plain(getattr(config, held.name))
    return {**values, "modalities": list(modalities)}


def _plain(value: object) -> object:
    if isinstance(value, ByField):
        return dict(value.fields) if value.fields else value.default
    return list(value) if isinstance(value, tuple) else value


def _readers(content: Content, spec: SideSpec, side: Side) -> dict[str, FieldReader]:
    vocabularies = content.side(side).vocabularies
    separator = content.manifest.separator
    readers: dict[str, FieldReader] = {}
    for field in spec.fields:
        readers[field.name] = FieldReader(field, vocabularies.get(field.name), separator)
    return readers


def _state(content: Content, side: Side) -> dict[str, Tensor]:
    """State of an encoder, without the prefix of its side."""
    prefix = f"{side}_encoder."
    state: dict[str, Tensor] = {}
    for name, tensor in content.weights.items():
        if name.startswith(prefix):
            state[name.removeprefix(prefix)] = tensor
    return state


def _preferences(content: Content, side: Side) -> tuple[Tensor, Tensor]:
    """Latent vectors of a side and of the other one."""
    users = content.weights["user_preferences"]
    items = content.weights["item_preferences"]
    for tensor, spec in ((users, content.manifest.users), (items, content.manifest.items)):
        shape = (spec.n_trained + 1, spec.preferences)
        if tuple(tensor.shape) != shape:
            raise RuntimeError(f"preferences: found {list(tensor.shape)}, allowed is {list(shape)}")
    return (users, items) if side == "user" else (items, users)


def _vector(content: Content, name: str) -> Tensor:
    """Return a vector as long as an embedding."""
    size = content.manifest.embedding_size
    tensor = content.weights[name]
    if tuple(tensor.shape) != (size,):
        raise RuntimeError(f"{name}: found {list(tensor.shape)}, allowed is [{size}]")
    return tensor.float()
