"""The keys of long runs: what is saved in between, when a run stops by itself, and which keys change no result."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from recbole_sibrar.config.values import ConfigLike, positive_value, size_value

WITHOUT_EFFECT = frozenset(
    {
        *("show_progress", "state", "checkpoint_dir", "save_per_user", "save_learning_curve", "save_gap", "save_split"),
        *("tensorboard", "log_wandb", "wandb_project", "device", "gpu_id", "use_gpu", "data_path", "atomic_cache"),
        *("save_dataset", "save_dataloaders", "dataset_save_path", "dataloaders_save_path"),
        *("single_spec", "local_rank", "nproc", "offset", "ip", "port"),
        *("model_list", "config_files", "config_file", "resume", "checkpoint_every", "max_hours", "gap_every"),
    }
)
"""Keys that change no result, or say where files are."""


@dataclass(frozen=True)
class TrainingConfig:
    """How a run that takes long is saved and ended."""

    checkpoint_every: int | None
    """Epochs from one saved state to the next; None to save none but when the run is asked to stop."""
    max_hours: float | None
    """Hours since the start of the process after which the run saves its state and ends; None for no limit."""


def training_config(config: ConfigLike) -> TrainingConfig:
    """Read the keys of long runs.

    Raises:
        ConfigError: A value is not allowed.
    """
    every, hours = config["checkpoint_every"], config["max_hours"]
    return TrainingConfig(
        checkpoint_every=None if every is None or every == 0 else size_value("checkpoint_every", every),
        max_hours=None if hours is None else positive_value("max_hours", hours),
    )


def differences(
    earlier: Mapping[str, Any], now: Mapping[str, Any], ignored: Iterable[str] = WITHOUT_EFFECT
) -> dict[str, tuple[Any, Any]]:
    """What two configurations do not have in common.

    Args:
        earlier: Every key and its value.
        now: The same of the other.
        ignored: Keys that may differ.

    Returns:
        Key -> both values, of the keys that both have.
    """
    keys = sorted((earlier.keys() & now.keys()).difference(ignored))
    return {key: (earlier[key], now[key]) for key in keys if str(earlier[key]) != str(now[key])}
