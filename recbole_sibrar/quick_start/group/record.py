"""Record of a run: its full configuration, the versions of all packages, and the state of git."""

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

from recbole_sibrar.config import NOT_RECORDED, START_PATHS, WITHOUT_EFFECT
from recbole_sibrar.files import states_of_files
from recbole_sibrar.plugin.configuration import known_keys
from recbole_sibrar.trainer.restore import AUTO

__all__ = ["absolute_paths", "configuration", "data_path", "environment", "fingerprint"]

_PLAIN = (str, int, float, bool, list, dict, type(None))
"""Types of values in a yaml file."""


def configuration(config: Config) -> dict[str, Any]:
    """Return all keys of a run, as plain values of a yaml file by which ``run_recbole`` repeats it.

    Keys derived by RecBole from other keys, such as the device, are left out.
    """
    keys: dict[str, Any] = {
        "model": config.model,
        "dataset": config.dataset,
        "data_path": data_path(config),
    }
    for key in sorted(known_keys(config)):
        if key not in config or key in NOT_RECORDED:
            continue
        value = _to_plain(config[key])
        if isinstance(value, _PLAIN):
            keys[key] = value
    return keys


def _to_plain(value: object) -> object:
    """Turn tuples into lists, at all levels."""
    if isinstance(value, (list, tuple)):
        return [_to_plain(element) for element in value]
    if isinstance(value, dict):
        return {key: _to_plain(element) for key, element in value.items()}
    return value


def data_path(config: Config) -> str:
    """Return the absolute path of the folder of all data sets."""
    # RecBole replaces the key data_path by the folder of the data set itself.
    path = config.external_config_dict.get("data_path") or config.internal_config_dict["data_path"]
    return str(Path(path).absolute())


def absolute_paths(config: Config) -> dict[str, str]:
    """Return the keys of a run with files and folders, with absolute paths."""
    paths = {"data_path": data_path(config)}
    for key in START_PATHS:
        value = config[key]
        if value and (key, value) != ("resume", AUTO):
            paths[key] = str(Path(value).absolute())
    return paths


def fingerprint(config: Config) -> str:
    """Hash everything that results depend on, keys and files of the data, into twelve digits."""
    # A run that resumes itself ends with the results of an uninterrupted one.
    without_effect = WITHOUT_EFFECT if config["resume"] == AUTO else WITHOUT_EFFECT - {"resume"}

    keys = {}
    for key, value in config.final_config_dict.items():
        if key not in without_effect:
            keys[key] = str(value)

    keys["files"] = str(states_of_files(Path(config["data_path"])))

    text = json.dumps(keys, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def environment() -> dict[str, Any]:
    """Return versions of packages, and git states of the working directory and of the plugin."""
    packages = {package.metadata["Name"]: package.version for package in distributions()}
    return {
        "python": sys.version.split()[0],
        "platform": platform.platform(),
        "packages": dict(sorted(packages.items(), key=lambda package: package[0].lower())),
        "git": {
            "working directory": _git_state(Path.cwd()),
            "recbole-sibrar": _git_state(Path(__file__).parent),
        },
    }


def _git_state(folder: Path) -> str | None:
    """Return the commit and a note about changes; None outside a repository, or without git."""
    try:
        commit = _git(folder, "rev-parse", "HEAD")
        changes = _git(folder, "status", "--porcelain")
    except (OSError, subprocess.TimeoutExpired):
        return None

    if commit.returncode:
        return None
    suffix = " with changes" if changes.stdout.strip() else ""
    return commit.stdout.strip() + suffix


def _git(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["git", *arguments], cwd=folder, capture_output=True, text=True, timeout=10, check=False
    )
