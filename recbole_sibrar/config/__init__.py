"""Configuration keys of the plugin, read once from RecBole's ``Config`` into frozen dataclasses."""

from recbole_sibrar.config.encoder import (
    EncoderConfig,
    RecommenderConfig,
    check_contrastive,
    encoder_config,
    recommender_config,
    resolve_modalities,
)
from recbole_sibrar.config.evaluation import (
    COLD_START,
    ColdStart,
    EvaluationConfig,
    calibration_alpha,
    check_valid_metric,
    cold_start_config,
    evaluation_config,
    has_validation,
    has_views,
    long_tail_ratio,
    named_field,
)
from recbole_sibrar.config.fields import check_scaled_fields, settle_modalities
from recbole_sibrar.config.groups import POPULARITY, GroupRequest
from recbole_sibrar.config.keys import (
    KEYS,
    NOT_RECORDED,
    OF_MODEL,
    PROLONGING,
    START_PATHS,
    USER_FORMATS,
    WITHOUT_EFFECT,
    Key,
    own_keys,
    read_key,
)
from recbole_sibrar.config.training import TrainingConfig, differences, training_config
from recbole_sibrar.config.unknown_keys import check_keys
from recbole_sibrar.config.values import ACTIVATIONS, BY_SPLIT, as_list
from recbole_sibrar.errors import ConfigError, listed, nearest, refuse
from recbole_sibrar.protocols import ConfigLike

__all__ = [
    "ACTIVATIONS",
    "BY_SPLIT",
    "COLD_START",
    "KEYS",
    "NOT_RECORDED",
    "OF_MODEL",
    "POPULARITY",
    "PROLONGING",
    "START_PATHS",
    "USER_FORMATS",
    "WITHOUT_EFFECT",
    "ColdStart",
    "ConfigError",
    "ConfigLike",
    "EncoderConfig",
    "EvaluationConfig",
    "GroupRequest",
    "Key",
    "RecommenderConfig",
    "TrainingConfig",
    "as_list",
    "calibration_alpha",
    "check_contrastive",
    "check_keys",
    "check_scaled_fields",
    "check_valid_metric",
    "cold_start_config",
    "differences",
    "encoder_config",
    "evaluation_config",
    "has_validation",
    "has_views",
    "listed",
    "long_tail_ratio",
    "named_field",
    "nearest",
    "own_keys",
    "read_key",
    "recommender_config",
    "refuse",
    "resolve_modalities",
    "settle_modalities",
    "training_config",
]
