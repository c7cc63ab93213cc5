"""The keys that shape and train our models, read once into typed, frozen dataclasses.

Keys are flat, as everywhere in RecBole. A key with the prefix ``user_`` or ``item_`` holds for that side, a
key without prefix for both. The defaults stand in ``properties/model/<Model>.yaml``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from logging import getLogger
from typing import Any, Literal

from recbole_sibrar.config.values import (
    ByField,
    ConfigError,
    ConfigLike,
    by_field_value,
    choice_value,
    flag_value,
    is_given,
    modalities_value,
    nearest,
    optional_name_value,
    optional_names_value,
    positive_value,
    probability_value,
    refuse,
    size_value,
    sizes_value,
    weight_value,
)
from recbole_sibrar.names import ID, Side


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
    normalize_numbers: ByField
    """How ``float`` fields are scaled: ``standard`` (mean 0, standard deviation 1 in training) or ``none``."""
    normalize_vectors: ByField
    """How ``float_seq`` fields are scaled: ``none``, ``l2`` (length 1) or ``standard`` (each dimension)."""
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
    branch_budget: Literal["per_modality", "total"]
    """Of models with a branch for each modality: whether each is as large as configured, or all together are."""
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

    loss_type: str
    """Bayesian personalised ranking (BPR), binary cross-entropy (BCE), sampled softmax (SSM), or the model's own."""
    n_negatives: int
    """Negatives per positive (RecBole's ``train_neg_sample_args: sample_num``)."""


ACTIVATIONS = ("relu", "leakyrelu", "tanh", "sigmoid", "none")
"""Activations by the names that RecBole gives them."""


def _batch_norm(key: str, value: Any) -> str | int:
    if value in (None, "none", "last"):
        return value or "none"
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        refuse(key, value, "none, last, or a positive integer n for after every n-th layer")
    return value


def _branch_budget(key: str, value: Any) -> str:
    return choice_value("per_modality", "total")(key, "per_modality" if value is None else value)


PARSERS: dict[str, Callable[[str, Any], Any]] = {
    "modalities": modalities_value,
    "eval_modalities": optional_names_value,
    "modality_size": size_value,
    "normalize_numbers": by_field_value("standard", "standard", "none"),
    "normalize_vectors": by_field_value("none", "none", "l2", "standard"),
    "projection_hidden_sizes": sizes_value,
    "normalize_interactions": flag_value,
    "normalize_branch_input": flag_value,
    "branch_hidden_sizes": sizes_value,
    "batch_norm": _batch_norm,
    "dropout_prob": probability_value,
    "activation": choice_value(*ACTIVATIONS),
    "output_activation": flag_value,
    "branch_budget": _branch_budget,
    "aggregation": choice_value("mean", "max"),
    "modality_sampling": flag_value,
    "contrastive": choice_value("none", "pairwise", "central"),
    "central_modality": optional_name_value,
    "contrastive_scope": choice_value("sample", "batch"),
    "contrastive_weight": weight_value,
    "temperature": positive_value,
}
"""How each key of :class:`EncoderConfig` that may carry a side's prefix is read."""


def encoder_config(config: ConfigLike, side: Side, fixed: Mapping[str, Any] | None = None) -> EncoderConfig:
    """Read the keys of one side.

    Args:
        config: RecBole's ``Config``.
        side: ``user`` or ``item``; a key with that prefix goes before the key without.
        fixed: Keys that have no meaning for the model, with the values that they have to have.

    Raises:
        ConfigError: A value is not allowed.
    """
    values: dict[str, Any] = {}
    for name, parse in PARSERS.items():
        own = f"{side}_{name}"
        key = own if config[own] is not None else name
        if fixed and name in fixed:
            if config[key] not in (None, fixed[name]):
                refuse(
                    key, config[key], f"no value but {fixed[name]!r} for {config['model']}, which has no such choice"
                )
            values[name] = fixed[name]
        else:
            values[name] = parse(key, config[key])
    return EncoderConfig(side=side, embedding_size=size_value("embedding_size", config["embedding_size"]), **values)


def recommender_config(config: ConfigLike, loss_types: Sequence[str] = ("BPR", "BCE", "SSM")) -> RecommenderConfig:
    """Read the recommendation loss and the number of negatives.

    Args:
        config: RecBole's ``Config``.
        loss_types: Losses that the model knows.

    Raises:
        ConfigError: A value is not allowed, or training would have no negatives.
    """
    sampling = config["train_neg_sample_args"] or {}
    loss_type = choice_value(*loss_types)("loss_type", config["loss_type"])
    loss_type = _ranking_loss(config, loss_type, sampling.get("distribution"))
    negatives = sampling.get("sample_num")
    if sampling.get("distribution") == "none":
        allowed = f"negatives, from which {config['model']} learns, such as {{distribution: uniform, sample_num: 10}}"
        refuse("train_neg_sample_args", None, allowed)
    if isinstance(negatives, bool) or not isinstance(negatives, int) or negatives < 1:
        refuse("train_neg_sample_args", sampling, "a sample_num of at least 1")
    if loss_type == "SSM" and sampling.get("distribution") != "uniform":
        refuse("train_neg_sample_args", sampling, "distribution: uniform, which loss_type SSM corrects for")
    return RecommenderConfig(loss_type=loss_type, n_negatives=negatives)


def _ranking_loss(config: ConfigLike, loss_type: str, distribution: Any) -> str:
    """Replace the sampled softmax, where it is a default, by a loss that negatives of any distribution fit."""
    if loss_type != "SSM" or distribution == "uniform" or is_given(config, "loss_type"):
        return loss_type

    reason = "as SSM, the default, corrects for uniform negatives only"
    getLogger().info(f"loss_type: BPR with negatives by {distribution}, {reason}")
    return "BPR"


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
    chosen = encoder.modalities or tuple(name for name in available if name != ID) or (ID,)
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
) -> str | None:
    """Check that a side has the two modalities that a contrastive loss needs: the side that asks for it, or any.

    Args:
        config: RecBole's ``Config``.
        encoders: The configuration of each side.
        modalities: The modalities of each side, as :func:`resolve_modalities` returns them.
        sources: The atomic file of each side, for messages.

    Returns:
        A line for the log where the loss is a default that does not fit and so is left out; None where it fits.

    Raises:
        ConfigError: There is no such side, and the user has asked for the loss.
    """
    asked = [side for side in encoders if encoders[side].contrastive != "none"]
    able = [side for side in asked if len(modalities[side]) > 1]
    named = [side for side in asked if has_key(config, side, "contrastive") and side not in able]
    if not asked or (able and not named):
        return None

    side = (named or asked)[-1]
    key = f"{side}_contrastive" if named else "contrastive"
    value = encoders[side].contrastive
    found = " and ".join(f"{x}_modalities [{', '.join(modalities[x])}] ({sources[x]})" for x in named or asked)
    if not is_given(config, key):
        return f"there is no contrastive loss, as it needs a side with two modalities: found a single one in {found}"
    raise ConfigError(
        f"{key}: found {value!r} with a single modality in {found}, allowed is none, or a side with at least two "
        "modalities"
    )
