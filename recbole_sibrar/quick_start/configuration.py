"""Trying a configuration before anything is run with it."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from recbole.config import Config

from recbole_sibrar.config import ConfigError, check_keys
from recbole_sibrar.plugin import MODELS, known_keys


def try_configuration(
    model: str, dataset: str, files: Sequence[str], overrides: dict[str, Any]
) -> tuple[Config, list[str]]:
    """Make the configuration that a run will make.

    Args:
        model: Name of the model.
        dataset: Name of the data set.
        files: Paths of yaml files.
        overrides: Keys that go before those of the files.

    Returns:
        The configuration, and a warning for each key that nobody reads (for a model of ours RecBole's log has them).

    Raises:
        ConfigError: RecBole refuses the configuration.
        ValueError: RecBole, or the model, refuses a value.
    """
    logging.disable(logging.WARNING)  # the run itself makes the configuration once more, and says what there is to say
    try:
        config = Config(model, dataset, list(files) or None, dict(overrides))
    except (TypeError, KeyError, RuntimeError) as error:
        raise ConfigError(f"RecBole refuses the configuration: {error}") from error
    finally:
        logging.disable(logging.NOTSET)
    if model in MODELS:
        return config, []
    return config, check_keys(config.external_config_dict, known_keys(config), strict=False)
