"""What a run was made of: its full configuration, the versions of all packages, and the state of git."""

from __future__ import annotations

import platform
import subprocess
import sys
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

from recbole.config import Config

from recbole_sibrar.plugin import known_keys


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
