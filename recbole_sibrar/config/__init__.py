"""The configuration keys of the plugin, read once from RecBole's ``Config`` into typed, frozen dataclasses."""

from recbole_sibrar.config.encoder import (
    ACTIVATIONS,
    MODALITY_KEYS,
    EncoderConfig,
    RecommenderConfig,
    check_contrastive,
    encoder_config,
    recommender_config,
    resolve_modalities,
)
from recbole_sibrar.config.evaluation import (
    COLD_START,
    POPULARITY,
    ColdStart,
    EvaluationConfig,
    calibration_alpha,
    check_valid_metric,
    cold_start_config,
    evaluation_config,
    has_validation,
    long_tail_ratio,
    named_field,
)
from recbole_sibrar.config.fields import check_scaled_fields, settle_modalities
from recbole_sibrar.config.keys import check_keys, own_keys
from recbole_sibrar.config.training import WITHOUT_EFFECT, TrainingConfig, differences, training_config
from recbole_sibrar.config.values import BY_SPLIT, ConfigError, ConfigLike, as_list, nearest, refuse

__all__ = [
    "ACTIVATIONS",
    "BY_SPLIT",
    "COLD_START",
    "MODALITY_KEYS",
    "POPULARITY",
    "WITHOUT_EFFECT",
    "ColdStart",
    "ConfigError",
    "ConfigLike",
    "EncoderConfig",
    "EvaluationConfig",
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
    "long_tail_ratio",
    "named_field",
    "nearest",
    "own_keys",
    "recommender_config",
    "refuse",
    "resolve_modalities",
    "settle_modalities",
    "training_config",
]
