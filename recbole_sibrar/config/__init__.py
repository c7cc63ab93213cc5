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
from recbole_sibrar.config.keys import check_keys, own_keys
from recbole_sibrar.config.values import SIDES, ConfigError, ConfigLike, as_list, nearest, refuse

__all__ = [
    "ACTIVATIONS",
    "MODALITY_KEYS",
    "SIDES",
    "ConfigError",
    "ConfigLike",
    "EncoderConfig",
    "RecommenderConfig",
    "as_list",
    "check_contrastive",
    "check_keys",
    "encoder_config",
    "nearest",
    "own_keys",
    "recommender_config",
    "refuse",
    "resolve_modalities",
]
