"""The configuration keys of our models, read once from RecBole's ``Config`` into typed, frozen dataclasses.

Keys are flat, as everywhere in RecBole. A key with the prefix ``user_`` or ``item_`` holds for that side, a
key without prefix for both. The defaults stand in ``properties/model/<Model>.yaml``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from difflib import get_close_matches
from typing import Any, Literal, NoReturn, Protocol

import yaml

from recbole_sibrar.data.modality import ID, Side

SIDES: tuple[Side, ...] = ("user", "item")
"""The two sides of a recommender; also the prefixes of the keys."""


class ConfigError(ValueError):
    """A configuration key has a value that cannot be used; the message names key, value and what is allowed."""


class ConfigLike(Protocol):
    """What is needed of RecBole's ``Config``: look-up by key, None for a key that is not set."""

    def __getitem__(self, key: str) -> Any: ...


@dataclass(frozen=True)
class EncoderConfig:
    """Everything that shapes and trains the encoder of one side (spec: [A] section 3, [B] section 3)."""

    side: Side
    """Which entities are encoded."""
    modalities: tuple[str, ...] | None
    """Modalities to train with; None (``auto``) for ``interactions`` and every loaded field."""
    eval_modalities: tuple[str, ...] | None
    """Modalities to encode at inference; None for all that the encoder was trained with."""
    embedding_size: int
    """Length k of the embeddings that are scored; the same on both sides."""
    modality_size: int
    """Length d of a projected modality, the input of the branch."""
    projection_hidden_sizes: tuple[int, ...]
    """Sizes of further layers of each projection, before the last one of ``modality_size``."""
    normalize_interactions: bool
    """Whether the multi-hot training vector of an entity is L2-normalised."""
    normalize_branch_input: bool
    """Whether projected modalities are L2-normalised before the branch."""
    branch_hidden_sizes: tuple[int, ...]
    """Sizes of the hidden layers of the branch."""
    batch_norm: Literal["none", "last"] | int
    """Batch norm of the branch: none, after the last layer, or after every n-th layer (an integer)."""
    dropout_prob: float
    """Share of the branch's input that is dropped in training."""
    activation: str
    """Activation of hidden layers, one of :data:`ACTIVATIONS`."""
    output_activation: bool
    """Whether the last layer of the branch has the activation too."""
    aggregation: Literal["mean", "max"]
    """How the embeddings of an entity's modalities become one."""
    modality_sampling: bool
    """Whether training encodes a random choice of modalities instead of all."""
    contrastive: Literal["none", "pairwise", "central"]
    """Contrastive loss between two modalities of an entity."""
    central_modality: str | None
    """With ``central``, the modality that is always one of the pair."""
    contrastive_scope: Literal["sample", "batch"]
    """Which entities are told apart: a positive item and its negatives, or all of the batch."""
    contrastive_weight: float
    """Factor of the contrastive loss in the total loss."""
    temperature: float
    """Divisor of the logits of the contrastive loss."""


@dataclass(frozen=True)
class RecommenderConfig:
    """The recommendation loss and its negatives."""

    loss_type: Literal["BPR", "BCE", "SSM"]
    """Bayesian personalised ranking, binary cross-entropy, or sampled softmax."""
    n_negatives: int
    """Negatives per positive (RecBole's ``train_neg_sample_args: sample_num``)."""


ACTIVATIONS = ("relu", "leakyrelu", "tanh", "sigmoid", "none")
"""Activations by the names that RecBole gives them."""


def refuse(key: str, value: Any, allowed: str) -> NoReturn:
    """End with the one line that every wrong value gets.

    Raises:
        ConfigError: Always.
    """
    raise ConfigError(f"{key}: found {value!r}, allowed is {allowed}")


def nearest(name: str, known: Iterable[str]) -> str:
    """``; did you mean 'x'?`` for the known name nearest to ``name``, or nothing if none is near."""
    close = get_close_matches(name, list(known), n=1)
    return f"; did you mean '{close[0]}'?" if close else ""


def as_list(value: Any) -> Any:
    """A list written on the command line (``[a, b]``, which RecBole leaves a string) as a list."""
    if isinstance(value, str) and value.startswith("["):
        try:
            return yaml.safe_load(value)
        except yaml.YAMLError:
            return value
    return list(value) if isinstance(value, tuple) else value


def _names(key: str, value: Any) -> tuple[str, ...]:
    value = as_list(value)
    if isinstance(value, str) and value:
        value = [name.strip() for name in value.split(",")]
    if not isinstance(value, list) or not value or not all(isinstance(name, str) and name for name in value):
        refuse(key, value, "a list of modality names such as [interactions, class]")
    twice = [name for name in value if value.count(name) > 1]
    if twice:
        refuse(key, value, f"each modality once, '{twice[0]}' occurs {value.count(twice[0])} times")
    return tuple(value)


def _modalities(key: str, value: Any) -> tuple[str, ...] | None:
    return None if value == "auto" else _names(key, value)


def _optional_names(key: str, value: Any) -> tuple[str, ...] | None:
    return None if value in (None, "None", "auto") else _names(key, value)


def _optional_name(key: str, value: Any) -> str | None:
    if value in (None, "None"):
        return None
    return value if isinstance(value, str) else refuse(key, value, "the name of a modality")


def _size(key: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        refuse(key, value, "a positive integer")
    return value


def _sizes(key: str, value: Any) -> tuple[int, ...]:
    value = as_list(value)
    if not isinstance(value, list):
        refuse(key, value, "a list of layer sizes such as [512, 256], or []")
    return tuple(_size(key, size) for size in value)


def _flag(key: str, value: Any) -> bool:
    return value if isinstance(value, bool) else refuse(key, value, "True or False")


def _number(key: str, value: Any, allowed: str, holds: Callable[[float], bool]) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not holds(value):
        refuse(key, value, allowed)
    return float(value)


def _probability(key: str, value: Any) -> float:
    return _number(key, value, "a number from 0 to below 1", lambda number: 0 <= number < 1)


def _positive(key: str, value: Any) -> float:
    return _number(key, value, "a number above 0", lambda number: 0 < number < float("inf"))


def _weight(key: str, value: Any) -> float:
    return _number(key, value, "a number of at least 0", lambda number: 0 <= number < float("inf"))


def _choice(*options: str) -> Callable[[str, Any], str]:
    def parse(key: str, value: Any) -> str:
        value = "none" if value is None and "none" in options else value
        if value not in options:
            refuse(key, value, f"one of {', '.join(options)}{nearest(str(value), options)}")
        return value

    return parse


def _batch_norm(key: str, value: Any) -> str | int:
    if value in (None, "none", "last"):
        return value or "none"
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        refuse(key, value, "none, last, or a positive integer n for after every n-th layer")
    return value


_PARSERS: dict[str, Callable[[str, Any], Any]] = {
    "modalities": _modalities,
    "eval_modalities": _optional_names,
    "modality_size": _size,
    "projection_hidden_sizes": _sizes,
    "normalize_interactions": _flag,
    "normalize_branch_input": _flag,
    "branch_hidden_sizes": _sizes,
    "batch_norm": _batch_norm,
    "dropout_prob": _probability,
    "activation": _choice(*ACTIVATIONS),
    "output_activation": _flag,
    "aggregation": _choice("mean", "max"),
    "modality_sampling": _flag,
    "contrastive": _choice("none", "pairwise", "central"),
    "central_modality": _optional_name,
    "contrastive_scope": _choice("sample", "batch"),
    "contrastive_weight": _weight,
    "temperature": _positive,
}
"""How each key of :class:`EncoderConfig` that may carry a side's prefix is read."""


def encoder_config(config: ConfigLike, side: Side) -> EncoderConfig:
    """Read the keys of one side.

    Args:
        config: RecBole's ``Config``.
        side: ``user`` or ``item``; a key with that prefix goes before the key without.

    Raises:
        ConfigError: A value is not allowed.
    """
    values: dict[str, Any] = {}
    for name, parse in _PARSERS.items():
        own = f"{side}_{name}"
        key = own if config[own] is not None else name
        values[name] = parse(key, config[key])
    return EncoderConfig(side=side, embedding_size=_size("embedding_size", config["embedding_size"]), **values)


def recommender_config(config: ConfigLike) -> RecommenderConfig:
    """Read the recommendation loss and the number of negatives.

    Raises:
        ConfigError: A value is not allowed, or training would have no negatives.
    """
    loss_type = _choice("BPR", "BCE", "SSM")("loss_type", config["loss_type"])
    sampling = config["train_neg_sample_args"] or {}
    negatives = sampling.get("sample_num")
    if isinstance(negatives, bool) or not isinstance(negatives, int) or negatives < 1:
        refuse("train_neg_sample_args", sampling, "a sample_num of at least 1")
    if loss_type == "SSM" and sampling.get("distribution") != "uniform":
        refuse("train_neg_sample_args", sampling, "distribution: uniform, which loss_type SSM corrects for")
    return RecommenderConfig(loss_type=loss_type, n_negatives=negatives)  # type: ignore[arg-type]


MODALITY_KEYS = tuple(
    f"{prefix}{name}" for prefix in ("", "user_", "item_") for name in ("modalities", "eval_modalities")
)
"""Keys whose values are names of modalities."""


def has_key(config: ConfigLike, side: str, name: str) -> bool:
    """Whether a key is set for one side in particular, so that the user means this side."""
    return config[f"{side}_{name}"] is not None


def resolve_modalities(encoder: EncoderConfig, available: Sequence[str], source: str) -> tuple[str, ...]:
    """The modalities that an encoder is trained with.

    Args:
        encoder: The side's configuration.
        available: Names of all modalities of the data, as ``MultimodalDataset.modality_tables`` orders them.
        source: The atomic file that the side's fields come from, and whether it exists, for messages.

    Raises:
        ConfigError: A name is unknown, or an evaluation or central modality is not one of the list.
    """
    key = f"{encoder.side}_modalities"
    chosen = encoder.modalities or tuple(name for name in available if name != ID)
    for name in chosen:
        if name not in available:
            refuse(key, name, f"any of {', '.join(available)} ({source}){nearest(name, available)}")
    for name in encoder.eval_modalities or ():
        if name not in chosen:
            refuse(f"{encoder.side}_eval_modalities", name, f"any of {key}, which are {', '.join(chosen)}")
    if encoder.contrastive == "central" and len(chosen) > 1 and encoder.central_modality not in chosen:
        refuse(
            f"central_modality ({encoder.side} side)",
            encoder.central_modality,
            f"any of {key}, which are {', '.join(chosen)}",
        )
    return chosen


def check_contrastive(
    config: ConfigLike,
    encoders: Mapping[Side, EncoderConfig],
    modalities: Mapping[Side, tuple[str, ...]],
    sources: Mapping[Side, str],
) -> None:
    """A contrastive loss needs a side with two modalities: the side that asks for it, or any.

    Args:
        config: RecBole's ``Config``.
        encoders: The configuration of each side.
        modalities: What :func:`resolve_modalities` found for each side.
        sources: The atomic file of each side, for messages.

    Raises:
        ConfigError: There is no such side.
    """
    asked = [side for side in encoders if encoders[side].contrastive != "none"]
    able = [side for side in asked if len(modalities[side]) > 1]
    named = [side for side in asked if has_key(config, side, "contrastive") and side not in able]
    if not asked or (able and not named):
        return
    side = (named or asked)[-1]
    key = f"{side}_contrastive" if named else "contrastive"
    found = " and ".join(f"{x}_modalities [{', '.join(modalities[x])}] ({sources[x]})" for x in named or asked)
    raise ConfigError(
        f"{key}: found {encoders[side].contrastive!r} with a single modality in {found}, "
        "allowed is none, or a side with at least two modalities"
    )


def own_keys() -> tuple[str, ...]:
    """Every key that our models read, with and without prefix."""
    shared = [field.name for field in fields(EncoderConfig) if field.name in _PARSERS]
    return (*(f"{prefix}{name}" for prefix in ("", "user_", "item_") for name in shared), "embedding_size", "loss_type")


def check_keys(given: Iterable[str], known: Iterable[str], strict: bool = True) -> list[str]:
    """Check the names of the keys that a user gave.

    Args:
        given: The keys.
        known: The keys that RecBole and its model read.
        strict: Whether the model is ours, so that our keys have an effect and a misspelt one is an error.

    Returns:
        A warning for each key that nobody reads.

    Raises:
        ConfigError: A key is unknown and looks like a misspelt one of ours.
    """
    own = own_keys() if strict else ()
    all_known = {*own, *known}
    warnings = []
    for key in given:
        if key in all_known:
            continue
        if nearest(key, own):
            raise ConfigError(f"{key}: unknown key{nearest(key, own)}")
        warnings.append(
            f"the key '{key}' has no effect: neither RecBole nor the model reads it{nearest(key, all_known)}"
        )
    return warnings
