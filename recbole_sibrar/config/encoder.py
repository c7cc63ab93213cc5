"""Keys of our models, read once into typed, frozen dataclasses.

Keys are flat, as everywhere in RecBole. A key with the prefix ``user_`` or ``item_`` holds for that
side, a key without prefix for both. The defaults stand in ``properties/model/<Model>.yaml``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from logging import getLogger
from typing import Any, Literal

from recbole_sibrar.config.keys import ENCODER_READERS, read_key
from recbole_sibrar.config.values import ByField, WeightByField, choice_value, is_given
from recbole_sibrar.errors import ConfigError, nearest, refuse
from recbole_sibrar.names import ID, Side
from recbole_sibrar.protocols import ConfigLike

_OPTIONS = (
    "negatives",
    "targets",
    "new_item_share",
    "score_scale",
    "ema_decay",
    "distillation_weight",
    "distillation_temperature",
    "distillation_l2",
    "warm_start",
    "warm_start_l2",
    "warm_start_ridge",
    "warm_start_weights",
    "warm_start_popularity",
    "warm_start_rarity",
    "warm_start_new_items",
)
"""Keys of the recommendation loss that only some models have."""


@dataclass(frozen=True)
class EncoderConfig:
    """Shape and training of the encoder of one side ([A] section 3, [B] section 3)."""

    side: Side
    """The encoded entities."""
    modalities: tuple[str, ...] | None
    """Modalities to train with; None (``auto``) for ``interactions`` and every loaded field."""
    eval_modalities: tuple[str, ...] | None
    """Modalities to encode at inference; None for all that the encoder was trained with."""
    embedding_size: int
    """Length k of the scored embeddings; the same on both sides."""
    modality_size: int
    """Length d of a projected modality, the input of the branch."""
    normalize_numbers: ByField
    """Scaling of ``float`` fields: ``standard`` (mean 0, standard deviation 1 in training) or
    ``none``."""
    normalize_vectors: ByField
    """Scaling of ``float_seq`` fields: ``none``, ``l2`` (length 1) or ``standard`` (each
    dimension)."""
    projection_hidden_sizes: tuple[int, ...]
    """Sizes of further layers of each projection, before the last one of ``modality_size``."""
    projection_kernel: ByField
    """Input of the projection of ``float`` and ``float_seq`` fields: the value (``none``), or
    similarities to those of training."""
    label_pooling: Literal["mean", "root"]
    """Divisor of the summed labels of ``token_seq`` fields: their number (``mean``), or its
    root."""
    projection_activation: str
    """Activation after the projection of vectors, numbers and interactions, as in the published
    code of [A]."""
    normalize_interactions: bool
    """L2-normalise the multi-hot training vector of an entity."""
    interaction_dropout_prob: float
    """Share of an entity's training interactions that a training step hides from its
    ``interactions``."""
    normalize_branch_input: bool
    """L2-normalise projected modalities before the branch."""
    branch_hidden_sizes: tuple[int, ...]
    """Sizes of the hidden layers of the branch."""
    batch_norm: Literal["none", "last"] | int
    """Batch norm of the branch: none, after the last layer, or after every n-th layer (an
    integer)."""
    dropout_prob: float
    """Share of the branch's input that is dropped in training."""
    activation: str
    """Activation of hidden layers, one of :data:`~recbole_sibrar.config.values.ACTIVATIONS`."""
    output_activation: bool
    """Activation after the last layer of the branch too."""
    matmul_precision: Literal["auto", "highest", "medium"]
    """Precision of the products of linear layers in training: float32 by the faster library or by
    torch's choice, or factors in bfloat16."""
    branch_budget: Literal["per_modality", "total"]
    """Size of several branches: each as configured (``per_modality``), or all together as large as
    one (``total``)."""
    aggregation: Literal["mean", "max", "sum"]
    """Aggregation of the embeddings of an entity's modalities."""
    modality_sampling: bool
    """Encode a random choice of modalities in training, instead of all."""
    drawn_modalities: Literal["fewest", "any"]
    """Number of drawn modalities: one, or a pair for the contrastive loss (``fewest``), or 1 to all
    (``any``)."""
    drawn_per: Literal["occurrence", "entity"]
    """Draw modalities anew for each ``occurrence`` of an entity in a batch, or once for the
    ``entity``."""
    contrastive: Literal["none", "pairwise", "central"]
    """Contrastive loss between two modalities of an entity."""
    central_modality: str | None
    """Fixed modality of each pair with ``central``."""
    contrastive_scope: Literal["sample", "batch"]
    """Entities to tell apart: a positive item and its negatives, or all of the batch."""
    contrastive_weight: float
    """Factor of the contrastive loss in the total loss."""
    temperature: float
    """Divisor of the logits of the contrastive loss."""


@dataclass(frozen=True)
class RecommenderConfig:
    """Recommendation loss and its negatives."""

    loss_type: str
    """Bayesian personalised ranking (BPR), binary cross-entropy (BCE), sampled softmax (SSM), or
    the model's own."""
    n_negatives: int
    """Negatives per positive (RecBole's ``train_neg_sample_args: sample_num``)."""
    negatives: str
    """Items to tell a positive from: negatives of its own, those ``shared`` by the batch, or
    ``all`` training items."""
    targets: str
    """Items to rank highest: the ``positive`` of each row, or the ``history`` of each user, with
    equal shares."""
    new_item_share: float
    """Share of the training items that a step treats as new; 0 for none."""
    score_scale: float
    """Factor of the scores in the recommendation loss."""
    ema_decay: float
    """Decay of the moving average of the weights that inference uses; 0 for none."""
    distillation_weight: float
    """Weight of the teacher in the recommendation loss; 0 for none."""
    distillation_temperature: float
    """Divisor of the teacher's scores."""
    distillation_l2: float
    """Regularisation of the teacher, lambda of EASE."""
    warm_start: str
    """Weights at the start: random (``none``), or a closed form (``ease``)."""
    warm_start_l2: float | None
    """Regularisation of EASE in the closed form; None to choose it on held-out entities, like the next four."""
    warm_start_ridge: float | None
    """Penalty of the regression on content in the closed form."""
    warm_start_weights: WeightByField | None
    """Weight of each field in that regression."""
    warm_start_popularity: float | None
    """Weight of the logarithm of an item's popularity in the scores of the start."""
    warm_start_rarity: float | None
    """Power of the weight of rare labels in the similarities of the closed form."""
    warm_start_new_items: float
    """Factor of the scores of new items in the closed form."""


def encoder_config(
    config: ConfigLike, side: Side, fixed: Mapping[str, Any] | None = None
) -> EncoderConfig:
    """Read the keys of one side.

    Args:
        config: RecBole's ``Config``.
        side: ``user`` or ``item``; a key with that prefix goes before the key without.
        fixed: Keys without a meaning for the model, each with its only value.

    Raises:
        ConfigError: A value is not allowed.
    """
    values: dict[str, Any] = {}
    for name, read in ENCODER_READERS.items():
        key = f"{side}_{name}" if has_key(config, side, name) else name
        if not fixed or name not in fixed:
            values[name] = read(key, config[key])
            continue

        if config[key] not in (None, fixed[name]):
            only = f"no value but {fixed[name]!r}"
            allowed = f"{only} for {config['model']}, which has no such choice"
            refuse(key, config[key], allowed)
        values[name] = fixed[name]
    return EncoderConfig(side=side, embedding_size=read_key(config, "embedding_size"), **values)


def recommender_config(
    config: ConfigLike, loss_types: Sequence[str] = ("BPR", "BCE", "SSM")
) -> RecommenderConfig:
    """Read the recommendation loss and the number of negatives.

    Args:
        config: RecBole's ``Config``.
        loss_types: Losses of the model.

    Raises:
        ConfigError: A value is not allowed, or training would have no negatives.
    """
    sampling = config["train_neg_sample_args"] or {}
    loss_type = choice_value(*loss_types)("loss_type", config["loss_type"])
    loss_type = _ranking_loss(config, loss_type, sampling.get("distribution"))

    negatives = sampling.get("sample_num")
    if sampling.get("distribution") == "none":
        example = "{distribution: uniform, sample_num: 10}"
        allowed = f"negatives, from which {config['model']} learns, such as {example}"
        refuse("train_neg_sample_args", None, allowed)
    if isinstance(negatives, bool) or not isinstance(negatives, int) or negatives < 1:
        refuse("train_neg_sample_args", sampling, "a sample_num of at least 1")
    if loss_type == "SSM" and sampling.get("distribution") != "uniform":
        allowed = "distribution: uniform, which loss_type SSM corrects for"
        refuse("train_neg_sample_args", sampling, allowed)

    options = {name: read_key(config, name) for name in _OPTIONS}
    settings = RecommenderConfig(loss_type=loss_type, n_negatives=negatives, **options)
    _check_negatives(settings)
    return settings


def _check_negatives(settings: RecommenderConfig) -> None:
    """Check that the options of a softmax over shared negatives have one."""
    negatives = settings.negatives
    if negatives != "per_positive" and settings.loss_type != "SSM":
        allowed = f"per_positive for loss_type {settings.loss_type}, or loss_type SSM"
        refuse("negatives", negatives, allowed)
    if negatives != "all" and settings.targets != "positive":
        allowed = f"positive for negatives {negatives}, or negatives: all"
        refuse("targets", settings.targets, allowed)
    if settings.targets != "history" and settings.new_item_share:
        refuse("new_item_share", settings.new_item_share, "0, or targets: history, which it needs")
    if negatives == "per_positive" and settings.distillation_weight:
        allowed = "0, or negatives: shared or all, which it needs"
        refuse("distillation_weight", settings.distillation_weight, allowed)


def _ranking_loss(config: ConfigLike, loss_type: str, distribution: object) -> str:
    """Replace the sampled softmax, if it is a default, where its negatives are not uniform."""
    if loss_type != "SSM" or distribution == "uniform" or is_given(config, "loss_type"):
        return loss_type

    reason = "as SSM, the default, corrects for uniform negatives only"
    getLogger().info(f"loss_type: BPR with negatives by {distribution}, {reason}")
    return "BPR"


def has_key(config: ConfigLike, side: str, name: str) -> bool:
    """Tell a key with the prefix of a side from one for both sides."""
    return config[f"{side}_{name}"] is not None


def resolve_modalities(
    encoder: EncoderConfig, available: Sequence[str], source: str
) -> tuple[str, ...]:
    """Resolve the modalities to train an encoder with.

    Args:
        encoder: Configuration of the side.
        available: Names of all modalities of the data, in the order of
            ``MultimodalDataset.modality_tables``.
        source: Atomic file of the side's fields, for messages.

    Raises:
        ConfigError: A name is unknown, or an evaluation or central modality is not one of the list.
    """
    key = f"{encoder.side}_modalities"
    # by default, the identity of an entity is encoded only where there is nothing else
    chosen = encoder.modalities
    if chosen is None:
        chosen = tuple(name for name in available if name != ID) or (ID,)

    for name in chosen:
        if name not in available:
            listed = f"any of {', '.join(available)} ({source})"
            refuse(key, name, f"{listed}{nearest(name, available)}")

    allowed = f"any of {key}, which are {', '.join(chosen)}"
    for name in encoder.eval_modalities or ():
        if name not in chosen:
            refuse(f"{encoder.side}_eval_modalities", name, allowed)

    has_pairs = encoder.contrastive == "central" and len(chosen) > 1
    if has_pairs and encoder.central_modality not in chosen:
        refuse(f"central_modality ({encoder.side} side)", encoder.central_modality, allowed)
    return chosen


def check_contrastive(
    config: ConfigLike,
    encoders: Mapping[Side, EncoderConfig],
    modalities: Mapping[Side, tuple[str, ...]],
    sources: Mapping[Side, str],
) -> str | None:
    """Check that a side has the two modalities of a contrastive loss: the side of the key, or any.

    Args:
        config: RecBole's ``Config``.
        encoders: Configuration of each side.
        modalities: Modalities of each side, from :func:`resolve_modalities`.
        sources: Atomic file of each side, for messages.

    Returns:
        A line for the log about a default loss that is left out, as it does not fit; None where it
        fits.

    Raises:
        ConfigError: There is no such side, and the user has given the key.
    """
    asked = [side for side in encoders if encoders[side].contrastive != "none"]
    able: list[Side] = []
    named: list[Side] = []
    for side in asked:
        if len(modalities[side]) > 1:
            able.append(side)
        elif has_key(config, side, "contrastive"):
            named.append(side)
    # a key without prefix needs one side, a key with prefix its own
    if not asked or (able and not named):
        return None

    unable = named or asked
    key = f"{unable[-1]}_contrastive" if named else "contrastive"
    value = encoders[unable[-1]].contrastive
    lists = []
    for side in unable:
        names = ", ".join(modalities[side])
        lists.append(f"{side}_modalities [{names}] ({sources[side]})")
    found = " and ".join(lists)

    if not is_given(config, key):
        return (
            "there is no contrastive loss, as it needs a side with two modalities: found a single "
            f"one in {found}"
        )
    raise ConfigError(
        f"{key}: found {value!r} with a single modality in {found}, allowed is none, or a side "
        "with at least two modalities"
    )
