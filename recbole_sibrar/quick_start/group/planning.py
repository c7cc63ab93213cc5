"""Runs of a comparison, checked before any of them starts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from recbole.config import Config
from recbole.utils import EvaluatorType

from recbole_sibrar.config import ConfigError
from recbole_sibrar.plugin.checks import unread_keys
from recbole_sibrar.plugin.configuration import general_defaults, known_keys
from recbole_sibrar.quick_start.group import record
from recbole_sibrar.quick_start.group.runs import CURVE, PER_USER, Run
from recbole_sibrar.quick_start.group.variants import Variant, file_name
from recbole_sibrar.quick_start.run.configuration import check_data, try_configuration

__all__ = ["plan"]

_FILTER = "filter_inter_by_user_or_item"


def plan(
    variants: Sequence[Variant],
    dataset: str,
    config_files: Sequence[str],
    overrides: dict[str, Any],
    seeds: Callable[[int], list[int]],
    output: Path,
    note: Callable[[str], None],
) -> list[Run]:
    """Make all runs of a comparison, with configurations accepted by RecBole.

    Args:
        variants: The models.
        dataset: Name of the data set.
        config_files: Paths of yaml files.
        overrides: Keys for all models; the keys of a variant override them.
        seeds: Turns the seed of the configuration into the seeds of the comparison.
        output: Folder of the comparison.
        note: Takes a line for each key without effect.

    Raises:
        ConfigError: RecBole, or a model, refuses a configuration, or there are no data.
    """
    runs: list[Run] = []
    configs: list[tuple[Variant, Config]] = []
    for variant in variants:
        keys = {**overrides, **variant.keys}
        config = _configuration(variant, dataset, config_files, keys)
        configs.append((variant, config))
        check_data(config)

        # RecBole's default drops interactions of users and items without a row in .user and .item.
        # Models that load these files would be tested on fewer interactions than the others.
        if _FILTER not in config.external_config_dict:
            keys[_FILTER] = False

        for seed in seeds(config["seed"]):
            runs.append(_make_run(variant, dataset, config_files, {**keys, "seed": seed}, output))

    _note_unread_keys(configs, note)
    return runs


def _make_run(
    variant: Variant, dataset: str, files: Sequence[str], keys: dict[str, Any], output: Path
) -> Run:
    """Make the run of a variant with the seed among its keys."""
    config = _configuration(variant, dataset, files, keys)
    seed = keys["seed"]
    # A changed key or file gives another folder, so that no old result is taken for a new one.
    name = f"{file_name(variant.name)}-{seed}-{record.fingerprint(config)}"
    folder = (output / "runs" / name).absolute()

    # Absolute paths, because the run works in its own folder.
    specification = {
        "model": variant.model,
        "dataset": dataset,
        "config_files": [str(Path(file).absolute()) for file in files],
        "keys": {**keys, **record.absolute_paths(config), **_keys_of_results(config, folder)},
        "working_directory": str(folder),
    }
    return Run(variant, seed, folder, specification, record.configuration(config))


def _configuration(
    variant: Variant, dataset: str, files: Sequence[str], keys: dict[str, Any]
) -> Config:
    try:
        config, _ = try_configuration(variant.model, dataset, files, keys)
    except (ValueError, NotImplementedError) as error:
        raise ConfigError(f"{variant.name}: {error}") from error
    return config


def _keys_of_results(config: Config, folder: Path) -> dict[str, Any]:
    """Return the keys by which a run writes its results into its folder."""
    keys: dict[str, Any] = {"show_progress": False, "save_learning_curve": str(folder / CURVE)}
    # Metrics of values, such as RMSE, have no results of users.
    if config["eval_type"] is EvaluatorType.RANKING:
        keys["save_per_user"] = str(folder / PER_USER)
    if str(config["state"]).lower() != "debug":
        # The hash of the held-out pairs is read from the log.
        keys["state"] = "INFO"
    return keys


def _note_unread_keys(
    configs: Sequence[tuple[Variant, Config]], note: Callable[[str], None]
) -> None:
    """Warn of keys without effect: a variant's own, and those for all models."""
    unread = []
    own: set[str] = set()
    for variant, config in configs:
        unread.append(unread_keys(config, known_keys(config), general_defaults()))
        own.update(variant.keys)

    # A key for all models is of use if a single one of them reads it.
    for key in unread[0].keys() - own:
        if all(key in keys for keys in unread):
            note(f"warning: {unread[0][key]}")

    for (variant, _), keys in zip(configs, unread, strict=True):
        for key in keys.keys() & variant.keys.keys():
            note(f"warning: {variant.name}: {keys[key]}")
