"""What a run was made of: its full configuration, the versions of all packages, and the state of git."""

from __future__ import annotations

import hashlib
import json
import platform
import subprocess
import sys
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

from recbole.config import Config

from recbole_sibrar.config import WITHOUT_EFFECT
from recbole_sibrar.plugin.configuration import known_keys
from recbole_sibrar.trainer.restore import AUTO


def configuration(config: Config) -> dict[str, Any]:
    """Every key of a run and its value, as plain values for a yaml file that ``run_recbole`` repeats the run with.

    What RecBole derives from other keys, such as the device, is left out.
    """
    keys = {key: _plain(config[key]) for key in sorted(known_keys(config)) if key in config}
    own = {"model": config.model, "dataset": config.dataset, "data_path": data_path(config)}
    plain = (str, int, float, bool, list, dict, type(None))
    return {**own, **{key: value for key, value in keys.items() if isinstance(value, plain) and key not in _LEFT_OUT}}


_LEFT_OUT = ("model", "dataset", "data_path", "model_list", "local_rank")


def _plain(value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        return [_plain(element) for element in value]
    return {key: _plain(element) for key, element in value.items()} if isinstance(value, dict) else value


def data_path(config: Config) -> str:
    """The folder of all data sets, absolute; in the configuration RecBole has replaced it by that of the data set."""
    return str(
        Path(config.external_config_dict.get("data_path") or config.internal_config_dict["data_path"]).absolute()
    )


_PATHS = ("resume", "save_split", "dataset_save_path", "dataloaders_save_path", "pre_model_path")
"""Keys whose paths are meant from where the command is started; a run may work in a folder of its own."""


def absolute_paths(config: Config) -> dict[str, str]:
    """The keys of a run that name files and folders, with absolute paths."""
    paths = {key: config[key] for key in _PATHS if config[key] and (key, config[key]) != ("resume", AUTO)}
    return {**{key: str(Path(path).absolute()) for key, path in paths.items()}, "data_path": data_path(config)}


def fingerprint(config: Config) -> str:
    """Twelve digits that differ where anything differs that results depend on: a key, or a file of the data."""
    without_effect = WITHOUT_EFFECT if config["resume"] == AUTO else WITHOUT_EFFECT - {"resume"}
    keys = {key: str(value) for key, value in config.final_config_dict.items() if key not in without_effect}
    files = sorted(file for file in Path(config["data_path"]).glob("*") if file.is_file())
    keys["files"] = str([(file.name, file.stat().st_size, file.stat().st_mtime_ns) for file in files])
    return hashlib.sha256(json.dumps(keys, sort_keys=True).encode()).hexdigest()[:12]


def environment() -> dict[str, Any]:
    """Versions of all packages, and the state of the git repositories of the working directory and of the plugin."""
    packages = {package.metadata["Name"]: package.version for package in distributions()}
    folders = {"working directory": Path.cwd(), "recbole-sibrar": Path(__file__).parent}
    return {
        "python": sys.version.split()[0],
        "platform": platform.platform(),
        "packages": dict(sorted(packages.items(), key=lambda package: package[0].lower())),
        "git": {name: _git(folder) for name, folder in folders.items()},
    }


def _git(folder: Path) -> str | None:
    """Commit and whether files differ from it; None outside a repository, or without git."""
    try:
        run = {"cwd": folder, "capture_output": True, "text": True, "timeout": 10}
        commit = subprocess.run(["git", "rev-parse", "HEAD"], **run)  # type: ignore[call-overload]
        changes = subprocess.run(["git", "status", "--porcelain"], **run)  # type: ignore[call-overload]
    except (OSError, subprocess.TimeoutExpired):
        return None
    if commit.returncode:
        return None
    return commit.stdout.strip() + (" with changes" if changes.stdout.strip() else "")
