"""Table of the configuration keys: each stands here once, with everything to know about it.

The defaults stand with a comment in ``properties/``; tests hold both, and the guide, together.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from recbole_sibrar.config import recbole_checks as checks
from recbole_sibrar.config import values
from recbole_sibrar.config.groups import groups_value
from recbole_sibrar.config.text import INTERVALS
from recbole_sibrar.names import BASELINES, IMPUTATIONS, MODELS, OWN_MODELS, SIDES

Reader = Callable[[str, Any], object]
"""Reads the value of a key, and refuses a wrong one."""

Effect = Literal["data", "model", "none"]
"""``data``: batches and results depend on the key; ``model``: results do, but no batch; ``none``:
no result does."""

SAMPLING_MODELS = ("SiBraR", "MuBraR")
"""Our models that draw modalities in training."""

_NETWORKS = tuple(model for model in MODELS if model != "VBPR")
_CONTRASTING = ("SiBraR", "MuBraR", "CLCRec")
_WITH_VECTORS = tuple(model for model in OWN_MODELS if model != "GenreAffinity")
_REGRESSING = ("EASEContent", "AttributeMap")

USER_FORMATS = (".parquet", ".csv", ".jsonl")
"""Suffixes of files with the results of users."""


@dataclass(frozen=True)
class Key:
    """A configuration key."""

    name: str
    """Name of the key, without the prefix of a side."""
    read: Reader | None = None
    """Reader of its value; None for a value that depends on other keys or is not checked."""
    file: Literal["model", "overall", "recbole", "derived", "none"] = "recbole"
    """File of its default: ``properties/model/<Model>.yaml``, ``properties/overall.yaml``, or one
    of RecBole's. RecBole itself sets a ``derived`` key."""
    models: tuple[str, ...] = MODELS
    """Our models that read it."""
    by_side: bool = False
    """True for a key with an optional prefix ``user_`` or ``item_``."""
    own_default: bool = False
    """True for a key of every model with a default of ours for our models."""
    effect: Effect = "data"
    """Dependence of batches and results on the key."""
    prolongs: bool = False
    """True for a key open to change in a resumed run: it only trains longer."""
    path: Literal["", "start", "run"] = ""
    """Base of a relative path: the folder where the command starts, or that of the run."""
    recorded: bool = True
    """False for a key that the record of a run leaves out, as the command gives it anew."""

    @property
    def spellings(self) -> tuple[str, ...]:
        """The key without prefix, and with the prefix of each side if it may have one."""
        if not self.by_side:
            return (self.name,)
        return (self.name, *(f"{side}_{self.name}" for side in SIDES))


def _encoder(name: str, read: Reader, models: tuple[str, ...] = MODELS) -> Key:
    """Key of an encoder."""
    return Key(name, read, file="model", models=models, by_side=True, effect="model")


def _model(name: str, read: Reader | None, *models: str) -> Key:
    """Key of some of our models."""
    return Key(name, read, file="model", models=models or MODELS, effect="model")


def _general(
    name: str,
    read: Reader | None,
    effect: Effect = "data",
    path: Literal["", "start", "run"] = "",
) -> Key:
    """Key of ours for every model."""
    return Key(name, read, file="overall", effect=effect, path=path)


KEYS: tuple[Key, ...] = (
    # encoders; the order is that of EncoderConfig
    _encoder("modalities", values.modalities_value, OWN_MODELS),
    _encoder("eval_modalities", values.optional_names_value),
    _encoder("modality_size", values.size_value, _NETWORKS),
    _encoder("normalize_numbers", values.by_field_value("standard", "standard", "none")),
    _encoder(
        "normalize_vectors", values.by_field_value("none", "none", "l2", "standard"), _WITH_VECTORS
    ),
    _encoder("projection_hidden_sizes", values.sizes_value, _NETWORKS),
    _encoder(
        "projection_kernel", values.by_field_value("none", "none", "exponential"), SAMPLING_MODELS
    ),
    _encoder("label_pooling", values.word_or_default("mean", "root"), SAMPLING_MODELS),
    _encoder("projection_activation", values.choice_value(*values.ACTIVATIONS), SAMPLING_MODELS),
    _encoder("normalize_interactions", values.flag_value, SAMPLING_MODELS),
    _encoder(
        "interaction_dropout_prob",
        values.number_or_default(0.0, values.probability_value),
        SAMPLING_MODELS,
    ),
    _encoder("normalize_branch_input", values.flag_value, _NETWORKS),
    _encoder("branch_hidden_sizes", values.sizes_value, _NETWORKS),
    _encoder("batch_norm", values.batch_norm_value, _NETWORKS),
    _encoder("dropout_prob", values.probability_value, _NETWORKS),
    _encoder("activation", values.choice_value(*values.ACTIVATIONS), _NETWORKS),
    _encoder("output_activation", values.flag_value, _NETWORKS),
    _encoder(
        "matmul_precision", values.word_or_default("auto", "highest", "medium"), SAMPLING_MODELS
    ),
    _encoder("branch_budget", values.word_or_default("per_modality", "total"), ("MuBraR",)),
    _encoder("aggregation", values.choice_value("mean", "max", "sum"), SAMPLING_MODELS),
    _encoder("modality_sampling", values.flag_value, SAMPLING_MODELS),
    _encoder("drawn_modalities", values.word_or_default("fewest", "any"), SAMPLING_MODELS),
    _encoder("drawn_per", values.word_or_default("occurrence", "entity"), SAMPLING_MODELS),
    _encoder("contrastive", values.choice_value("none", "pairwise", "central"), SAMPLING_MODELS),
    _encoder("central_modality", values.optional_name_value, SAMPLING_MODELS),
    _encoder("contrastive_scope", values.choice_value("sample", "batch"), _CONTRASTING),
    _encoder("contrastive_weight", values.weight_value, _CONTRASTING),
    _encoder("temperature", values.positive_value, _CONTRASTING),
    # our models
    _model("embedding_size", values.size_value),
    # each model has losses of its own
    _model("loss_type", None),
    _model("negatives", values.word_or_default("per_positive", "shared", "all"), *SAMPLING_MODELS),
    _model("targets", values.word_or_default("positive", "history"), *SAMPLING_MODELS),
    _model(
        "new_item_share", values.number_or_default(0.0, values.probability_value), *SAMPLING_MODELS
    ),
    _model("score_scale", values.number_or_default(1.0, values.positive_value), *SAMPLING_MODELS),
    _model("ema_decay", values.number_or_default(0.0, values.probability_value), *SAMPLING_MODELS),
    _model(
        "distillation_weight",
        values.number_or_default(0.0, values.up_to_one_value),
        *SAMPLING_MODELS,
    ),
    _model(
        "distillation_temperature",
        values.number_or_default(0.05, values.positive_value),
        *SAMPLING_MODELS,
    ),
    _model(
        "distillation_l2", values.number_or_default(300.0, values.positive_value), *SAMPLING_MODELS
    ),
    _model("warm_start", values.word_or_default("none", "ease"), *SAMPLING_MODELS),
    _model("warm_start_l2", values.optional(values.positive_value), *SAMPLING_MODELS),
    _model("warm_start_ridge", values.optional(values.positive_value), *SAMPLING_MODELS),
    _model("warm_start_weights", values.optional(values.weight_by_field_value), *SAMPLING_MODELS),
    _model("warm_start_popularity", values.optional(values.weight_value), *SAMPLING_MODELS),
    _model("warm_start_rarity", values.optional(values.weight_value), *SAMPLING_MODELS),
    _model(
        "warm_start_new_items",
        values.number_or_default(1.0, values.positive_value),
        *SAMPLING_MODELS,
    ),
    _model("preference_size", values.size_value, "DropoutNet", "Heater", "ALDI"),
    _model("preference_dropout_prob", values.probability_value, "DropoutNet", "Heater"),
    _model("similarity_weight", values.weight_value, "Heater"),
    _model("n_experts", values.size_value, "Heater"),
    _model("teacher_scale", values.positive_value, "ALDI"),
    _model("frequency_scale", values.positive_value, "ALDI"),
    _model("frequency_cap", values.positive_value, "ALDI"),
    _model("ranking_weight", values.weight_value, "ALDI"),
    _model("identification_weight", values.weight_value, "ALDI"),
    _model("rating_weight", values.weight_value, "ALDI"),
    _model("id_dropout_prob", values.probability_value, "TwoTower"),
    _model("replacement_prob", values.probability_value, "CLCRec"),
    _model("score_temperature", values.positive_value, "CLCRec"),
    # baselines
    _model("modality_weights", values.weight_by_field_value, *BASELINES),
    _model("k", values.size_value, "ContentKNN"),
    _model("neighbor_side", values.choice_value("auto", "item", "user"), "ContentKNN"),
    _model("reg_weight", values.positive_value, "EASEContent", "CEASE"),
    _model("content_weight", values.weight_value, "CEASE"),
    _model("kernel", values.choice_value("linear", "exponential"), *_REGRESSING),
    _model("ridge_weight", values.positive_value, *_REGRESSING),
    _model("rank", values.size_value, *_REGRESSING),
    _model("exact_size", values.size_value, *_REGRESSING, "CEASE"),
    _model("n_landmarks", values.size_value, *_REGRESSING),
    # every model
    _general("eval_candidates", values.unless_empty(values.choice_value("split", "all"))),
    _general("eval_groups", groups_value, effect="model"),
    _general("save_per_user", values.path_value(*USER_FORMATS), effect="none", path="run"),
    _general("save_learning_curve", values.path_value(".csv"), effect="none", path="run"),
    _general("gap_every", values.optional(values.size_value), effect="none"),
    _general("save_gap", values.path_value(".csv"), effect="none", path="run"),
    _general("save_split", values.path_value(), effect="none", path="start"),
    _general("tensorboard", values.choice_value("none", "scalars", "embeddings"), effect="none"),
    _general("long_tail_ratio", values.share_value, effect="model"),
    _general("ild_modality", values.optional_name_value, effect="model"),
    _general("calibration_field", values.optional_name_value, effect="model"),
    _general("calibration_alpha", values.share_value, effect="model"),
    _general("train_neg_candidates", values.optional(values.choice_value("train", "all"))),
    _general("hide_values", values.rate_by_field_value, effect="model"),
    _general("impute", values.by_field_value("none", *IMPUTATIONS), effect="model"),
    _general("atomic_cache", None, effect="none"),
    _general("checkpoint_every", values.interval_value, effect="none"),
    _general("max_hours", values.optional(values.positive_value), effect="none"),
    # RecBole's keys; the values are checked in this order
    Key("epochs", checks.COUNT, effect="model", prolongs=True),
    Key("train_batch_size", checks.SIZE, own_default=True),
    Key("eval_batch_size", checks.SIZE, own_default=True),
    Key("eval_step", checks.EPOCHS, effect="model"),
    Key("stopping_step", checks.VALIDATIONS, effect="model", prolongs=True),
    Key("learning_rate", checks.check_number, effect="model", own_default=True),
    Key("weight_decay", checks.check_number, effect="model", own_default=True),
    Key("clip_grad_norm", values.unless_empty(checks.check_dictionary), effect="model"),
    Key("learner", checks.check_text, effect="model", own_default=True),
    Key("seed", checks.check_seed),
    Key("metric_decimal_place", values.optional(checks.COUNT), effect="model"),
    Key("loss_decimal_place", values.optional(checks.COUNT), effect="model"),
    Key("topk", checks.check_cutoffs, effect="model"),
    Key("valid_metric", checks.check_text, effect="model"),
    Key("state", values.optional(checks.check_text), effect="none"),
    Key("encoding", values.optional(checks.check_encoding), file="none"),
    Key("field_separator", checks.check_separator),
    Key("seq_separator", checks.check_separator),
    Key("data_path", values.optional(checks.check_text), effect="none", recorded=False),
    Key("checkpoint_dir", checks.check_text, effect="none", path="run"),
    Key("log_wandb", checks.check_weights_and_biases, effect="none"),
    Key("load_col", values.optional(checks.check_columns)),
    Key("unload_col", values.optional(checks.check_columns)),
    Key("unused_col", values.optional(checks.check_columns)),
    Key("seq_len", values.unless_empty(checks.check_dictionary)),
    Key("threshold", values.optional(checks.check_dictionary)),
    Key("val_interval", values.optional(checks.check_dictionary)),
    Key("preload_weight", values.optional(checks.check_dictionary)),
    Key("discretization", values.unless_empty(checks.check_dictionary), file="none"),
    Key("numerical_features", checks.check_names),
    Key("normalize_field", values.unless_empty(checks.check_names)),
    *(Key(name, values.optional(checks.check_interval)) for name in INTERVALS),
    # RecBole's keys with values that depend on others, or that it takes as they are
    Key("metrics", effect="model"),
    Key("train_neg_sample_args", own_default=True),
    Key("eval_args"),
    Key("filter_inter_by_user_or_item", own_default=True),
    Key("valid_metric_bigger", effect="model"),
    Key("enable_amp", effect="model"),
    Key("enable_scaler", effect="model"),
    Key("reproducibility", effect="model"),
    Key("show_progress", effect="none"),
    Key("wandb_project", effect="none"),
    Key("gpu_id", effect="none"),
    Key("use_gpu", effect="none"),
    Key("save_dataset", effect="none"),
    Key("save_dataloaders", effect="none"),
    Key("dataset_save_path", effect="none", path="start"),
    Key("dataloaders_save_path", effect="none", path="start"),
    Key("pre_model_path", path="start"),
    Key("eval_type", file="derived", effect="model"),
    Key("device", file="derived", effect="none"),
    Key("single_spec", file="derived", effect="none"),
    # keys without a default in a file
    Key("resume", file="none", own_default=True, effect="none", path="start"),
    Key("model", file="none", recorded=False),
    Key("model_list", file="none", effect="none", recorded=False),
    Key("dataset", file="none", recorded=False),
    Key("config_files", file="none", effect="none"),
    Key("config_file", file="none", effect="none"),
    Key("tail_ratio", file="none"),
    Key("local_rank", file="none", effect="none", recorded=False),
    Key("world_size", file="none"),
    Key("nproc", file="none", effect="none"),
    Key("ip", file="none", effect="none"),
    Key("port", file="none", effect="none"),
    Key("offset", file="none", effect="none"),
)
"""Our keys, and those of RecBole's that the plugin checks or treats in some way."""

_BY_NAME = {spelling: key for key in KEYS for spelling in key.spellings}


def keys_where(holds: Callable[[Key], bool]) -> tuple[str, ...]:
    """Every spelling of the keys with some property, in the order of the table.

    Example:
        >>> keys_where(lambda key: key.prolongs)
        ('epochs', 'stopping_step')
    """
    return tuple(spelling for key in KEYS if holds(key) for spelling in key.spellings)


def read_key(config: values.ConfigLike, name: str) -> Any:
    """Read the value of a key.

    Args:
        config: RecBole's ``Config``.
        name: Name of a key with a reader in the table.

    Raises:
        ConfigError: The value is not allowed.

    Example:
        >>> read_key({"gap_every": 5}, "gap_every")
        5
    """
    read = _BY_NAME[name].read
    assert read is not None, f"the key {name} has no reader"
    return read(name, config[name])


ENCODER_READERS = {key.name: key.read for key in KEYS if key.by_side and key.read is not None}
"""Name of each key of an encoder -> its reader."""


def _recbole_readers() -> dict[str, Reader]:
    readers: dict[str, Reader] = {}
    for key in KEYS:
        # the files of the plugin: "model" and "overall"
        if key.read is not None and key.file not in ("model", "overall"):
            readers[key.name] = key.read
    return readers


RECBOLE_READERS = _recbole_readers()
"""Name of RecBole's keys -> reader of the checked value."""

MODEL_KEYS = keys_where(
    lambda key: key.file == "model" and not set(MODELS) <= set(key.models) and not key.by_side
)
"""Keys of ours for some of our models only, without those of the encoders."""

OTHER_KEYS = frozenset(keys_where(lambda key: key.file == "none"))
"""Keys of RecBole or the plugin without a default in a file."""

WITHOUT_EFFECT = frozenset(keys_where(lambda key: key.effect == "none"))
"""Keys without effect on results, or with a place of files."""

OF_MODEL = frozenset(keys_where(lambda key: key.effect == "model"))
"""Keys of the model, its training and its metrics; no batch depends on them."""

PROLONGING = keys_where(lambda key: key.prolongs)
"""Keys open to change in a resumed run."""

START_PATHS = keys_where(lambda key: key.path == "start")
"""Keys with paths relative to the folder where the command starts; a run may work in a folder of
its own."""

NOT_RECORDED = keys_where(lambda key: not key.recorded)
"""Keys left out of the record of a run."""


def own_keys() -> tuple[str, ...]:
    """Every key of all our models with encoders, with and without prefix."""
    return keys_where(lambda key: key.file == "model" and key.name not in MODEL_KEYS)


def keys_of_baseline(model: str) -> tuple[str, ...]:
    """Every key of ours that a closed form reads, with and without prefix.

    Example:
        >>> keys_of_baseline("GenreAffinity")
        ('modalities', 'user_modalities', 'item_modalities', 'modality_weights')
    """
    return keys_where(lambda key: key.file == "model" and model in key.models)
