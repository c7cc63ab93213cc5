"""Check of a configuration before anything is run with it."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from recbole.config import Config

from recbole_sibrar.config import ConfigError, check_valid_metric, has_validation
from recbole_sibrar.config.choices import configuration_file, keys_of_files
from recbole_sibrar.plugin.checks import unread_keys
from recbole_sibrar.plugin.configuration import general_defaults, known_keys

__all__ = ["check_data", "try_configuration"]

_OF_PROCESSES = ("nproc", "world_size", "ip", "port", "offset", "local_rank")
"""Keys by which RecBole's processes know each other."""


def try_configuration(
    model: str, dataset: str, files: Sequence[str], overrides: dict[str, Any]
) -> tuple[Config, list[str]]:
    """Make the configuration of a run.

    Args:
        model: Name of the model.
        dataset: Name of the data set.
        files: Paths of yaml files, or names of ready-made ones.
        overrides: Keys that override the files.

    Returns:
        The configuration, and a warning for each key without effect.

    Raises:
        ConfigError: A file cannot be read, a key is not allowed, ``valid_metric`` is not evaluated,
            or RecBole refuses the configuration.
        ValueError: RecBole, or the model, refuses a value.
    """
    paths = [configuration_file(name) for name in files]
    _check_no_processes([*keys_of_files(paths), *overrides])

    # The run makes the configuration again and logs the same warnings.
    logging.disable(logging.WARNING)
    try:
        config = Config(model, dataset, list(files) or None, dict(overrides))
    except (TypeError, KeyError, RuntimeError) as error:
        raise ConfigError(f"RecBole refuses the configuration: {error}") from error
    finally:
        logging.disable(logging.NOTSET)

    if has_validation(config):
        check_valid_metric(config)
    warnings = unread_keys(config, known_keys(config), general_defaults())
    return config, list(warnings.values())


def check_data(config: Config) -> None:
    """Check that the data set is there, for a command without downloads.

    Raises:
        ConfigError: There is no folder.
    """
    if not Path(config["data_path"]).is_dir():
        raise ConfigError(
            f"--dataset: there is no folder {config['data_path']} with '{config['dataset']}'; "
            "run_recbole downloads the data sets that RecBole knows"
        )


def _check_no_processes(keys: Iterable[str]) -> None:
    """Refuse the keys of several processes: a configuration cannot start any."""
    given = set(keys)
    options = "--nproc, --world_size, --group_offset, --ip and --port of run_recbole"
    for key in _OF_PROCESSES:
        if key in given:
            advice = f"leave it out; processes are given by {options}"
            raise ConfigError(f"{key}: is no key of a configuration, {advice}")
