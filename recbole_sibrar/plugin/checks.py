"""Checks of a user's keys before RecBole completes the configuration."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from recbole.config import Config
from recbole.evaluator.register import metrics_dict

from recbole_sibrar.config import check_keys
from recbole_sibrar.config.choices import keys_of_recbole
from recbole_sibrar.config.dictionaries import check_dictionaries, with_defaults
from recbole_sibrar.config.evaluation import following_valid_metric
from recbole_sibrar.config.idle_keys import idle_keys
from recbole_sibrar.config.keys import SAMPLING_MODELS, keys_of_baseline
from recbole_sibrar.config.recbole_values import check_dataset_name, check_values
from recbole_sibrar.config.values import refuse
from recbole_sibrar.model.baselines.base import ContentBaseline
from recbole_sibrar.model.multimodal import MultimodalRecommender
from recbole_sibrar.names import BASELINES
from recbole_sibrar.trainer.log import warn_before_log

LEARNERS = ("adam", "adamw", "sgd", "adagrad", "rmsprop", "sparse_adam")
"""Values of RecBole's ``learner``; RecBole trains with Adam where it does not know one."""

_OF_RECBOLE = "recbole."

_OF_TABLES = ("hide_values", "impute")
"""Keys that change modality tables; RecBole's models read none."""


def is_ours(model_class: object) -> bool:
    """Tell models of this plugin, and classes derived from them, from RecBole's."""
    # model_class is None in a checkpoint of a class that other processes cannot find
    if not isinstance(model_class, type):
        return False
    return issubclass(model_class, (MultimodalRecommender, ContentBaseline))


def has_encoders(model_class: Any) -> bool:
    """Tell models of this plugin with encoders of modalities from closed forms and others."""
    return isinstance(model_class, type) and issubclass(model_class, MultimodalRecommender)


def keys_of_closed_form(model_class: type) -> frozenset[str]:
    """Collect the keys of a closed form or a class derived from one; none for other models."""
    names = [base.__name__ for base in model_class.__mro__ if base.__name__ in BASELINES]
    return frozenset(keys_of_baseline(names[0])) if names else frozenset()


def unread_keys(config: Config, known: set[str], general: Mapping[str, Any]) -> dict[str, str]:
    """Find keys of the user without an effect.

    Args:
        config: RecBole's ``Config``, with the user's and the default keys.
        known: Every key that RecBole, the model's defaults or the plugin know.
        general: Keys of the plugin that hold for every model, with their defaults.

    Returns:
        Key, or path of a key within a dictionary -> a warning. A model class of the user's own may
        read any key.

    Raises:
        ConfigError: A key looks like a misspelt one.
    """
    given = config.external_config_dict
    ours = is_ours(config.model_class)
    own = keys_of_closed_form(config.model_class)
    strict = has_encoders(config.model_class)
    warnings = check_keys(
        given, known | own, strict, [*general, *own], keys_of_recbole(), config.model
    )
    # a model class of the user's own may read any key
    module = config.model_class.__module__
    if not module.startswith((_OF_RECBOLE, "recbole_sibrar.")):
        warnings = {}

    if config.model in SAMPLING_MODELS:
        warnings |= idle_keys(config, given, config.internal_config_dict)

    for key in _OF_TABLES:
        if key in given and not ours:
            reason = f"{config.model} reads no modality tables"
            warnings[key] = f"the key '{key}' has no effect: {reason}"

    suffixes = config["additional_feat_suffix"] or ()
    if isinstance(suffixes, str):
        suffixes = [suffixes]
    return warnings | check_dictionaries(given, ours, known, suffixes)


def check_configuration(config: Config, known: set[str], general: Mapping[str, Any]) -> None:
    """Check the user's keys, complete dictionaries, and choose a measured validation metric.

    Args:
        config: RecBole's ``Config``, with the user's and the default keys; changed in place.
        known: Every key that RecBole, the model's defaults or the plugin know.
        general: Keys of the plugin that hold for every model, with their defaults.

    Raises:
        ConfigError: A key looks like a misspelt one, or RecBole would fail with a value.
    """
    check_dataset_name(config.dataset)
    warnings = list(unread_keys(config, known, general).values())
    check_values(config, config.external_config_dict, metrics_dict)

    if has_encoders(config.model_class):
        _check_learner(config)
        # RecBole replaces the whole dictionary by the user's, and fails without its other keys
        key = "train_neg_sample_args"
        default = config.internal_config_dict.get(key)
        config.final_config_dict[key] = with_defaults(config[key], default)

    # in RecBole's order: the command line overrides the dictionary, and this the files
    sources = (config.cmd_config_dict, config.variable_config_dict, config.file_config_dict)
    chosen = following_valid_metric(config, sources)
    if chosen:
        config.final_config_dict["valid_metric"] = chosen
        warnings.append(f"valid_metric: {chosen}, as the default is not among metrics and topk")

    # one of several processes says it
    if not config["local_rank"]:
        warn_before_log(config, warnings)


def _check_learner(config: Config) -> None:
    learner = config["learner"]
    if str(learner).lower() not in LEARNERS:
        refuse("learner", learner, f"one of {', '.join(LEARNERS)}")
