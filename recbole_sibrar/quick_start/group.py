"""``run_recbole_group``: several models on the same parts with several seeds, each run in a process of its own."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import yaml
from recbole.config import Config
from tqdm import tqdm

from recbole_sibrar.config import ConfigError
from recbole_sibrar.quick_start.configuration import try_configuration
from recbole_sibrar.quick_start.single_run import RESULT, SPECIFICATION
from recbole_sibrar.quick_start.variants import Variant, file_name

PER_USER, CURVE, LOG = "per_user.parquet", "learning_curve.csv", "log.txt"
"""Files in the folder of a run."""

_PACKAGES = ("recbole-sibrar", "recbole", "torch", "numpy", "pandas", "scipy")
_WITHOUT_EFFECT = (
    *("show_progress", "state", "checkpoint_dir", "save_per_user", "save_learning_curve", "device", "gpu_id"),
    *("log_wandb", "wandb_project", "single_spec", "local_rank", "data_path"),
)
"""Keys that change no result."""


@dataclass(frozen=True)
class Run:
    """A model with one seed."""

    variant: Variant
    """The model."""
    seed: int
    """RecBole's ``seed``."""
    folder: Path
    """Where everything of the run is; its name ends with a hash of the full configuration."""
    specification: dict[str, Any]
    """What :mod:`~recbole_sibrar.quick_start.single_run` runs."""

    @property
    def finished(self) -> bool:
        """Whether the run has ended with a result, now or when the comparison was started before."""
        return (self.folder / RESULT).is_file()

    def result(self) -> dict[str, Any]:
        """What the finished run reported."""
        return json.loads((self.folder / RESULT).read_text(encoding="utf-8"))


def plan(
    variants: Sequence[Variant],
    dataset: str,
    config_files: Sequence[str],
    overrides: dict[str, Any],
    seeds: Callable[[int], list[int]],
    output: Path,
) -> list[Run]:
    """All runs of a comparison, checked so far that RecBole accepts their configurations.

    Args:
        variants: The models.
        dataset: Name of the data set.
        config_files: Paths of yaml files.
        overrides: Keys for all models; those of a variant go before them.
        seeds: Gives the seeds, from the seed of the configuration.
        output: Folder of the comparison.

    Raises:
        ConfigError: RecBole, or a model, refuses a configuration.
    """
    runs = []
    for variant in variants:
        keys = {**overrides, **variant.keys}
        for seed in seeds(_configuration(variant, dataset, config_files, keys)["seed"]):
            config = _configuration(variant, dataset, config_files, {**keys, "seed": seed})
            name = f"{file_name(variant.name)}-{seed}-{_hash(config)}"
            folder = (output / "runs" / name).absolute()
            quiet = {"show_progress": False, "seed": seed, "save_per_user": str(folder / PER_USER)}
            quiet["save_learning_curve"] = str(folder / CURVE)
            files = [str(Path(file).absolute()) for file in config_files]
            specification = {
                "model": variant.model,
                "dataset": dataset,
                "config_files": files,
                "keys": {**keys, **quiet},
            }
            runs.append(Run(variant, seed, folder, specification))
    return runs


def _configuration(variant: Variant, dataset: str, files: Sequence[str], keys: dict[str, Any]) -> Config:
    try:
        return try_configuration(variant.model, dataset, files, keys)[0]
    except (ValueError, NotImplementedError) as error:
        raise ConfigError(f"{variant.name}: {error}") from error


def _hash(config: Config) -> str:
    """Twelve digits that differ where anything differs that results depend on: a key, or a file of the data."""
    keys = {key: str(value) for key, value in config.final_config_dict.items() if key not in _WITHOUT_EFFECT}
    files = sorted(file for file in Path(config["data_path"]).glob("*") if file.is_file())
    keys["files"] = str([(file.name, file.stat().st_size, file.stat().st_mtime_ns) for file in files])
    return hashlib.sha256(json.dumps(keys, sort_keys=True).encode()).hexdigest()[:12]


def execute(runs: Sequence[Run], jobs: int, note: Callable[[str], None]) -> list[Run]:
    """Run what is not finished, some at a time; a run that fails is reported, and the others go on.

    Args:
        runs: All runs.
        jobs: How many processes at a time.
        note: Takes a line for each run that fails.

    Returns:
        The runs that have failed.
    """
    left = [run for run in runs if not run.finished]
    failed: list[Run] = []
    processes: list[subprocess.Popen[bytes]] = []
    with ThreadPoolExecutor(jobs) as pool, tqdm(total=len(runs), initial=len(runs) - len(left), desc="runs") as bar:
        waiting = {pool.submit(_execute, run, jobs, processes): run for run in left}
        try:
            for future in as_completed(waiting):
                run, reason = waiting[future], future.result()
                if reason:
                    failed.append(run)
                    tqdm.write(f"{run.variant.name}, seed {run.seed}, failed: {reason} ({run.folder / LOG})")
                bar.update()
        except BaseException:
            for future in waiting:
                future.cancel()
            for process in processes:
                process.terminate()
            raise
    for run in failed:
        note(f"failed: {run.variant.name}, seed {run.seed}")
    return failed


def _execute(run: Run, jobs: int, processes: list[subprocess.Popen[bytes]]) -> str:
    """Run one in a process of its own; why it failed, or nothing."""
    run.folder.mkdir(parents=True, exist_ok=True)
    (run.folder / SPECIFICATION).write_text(yaml.safe_dump(run.specification), encoding="utf-8")
    (run.folder / "environment.json").write_text(json.dumps(environment(), indent=1), encoding="utf-8")
    threads = os.environ.get("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // jobs)))
    command = [sys.executable, "-m", "recbole_sibrar.quick_start.single_run", str(run.folder)]
    with open(run.folder / LOG, "wb") as log:
        process = subprocess.Popen(
            command, stdout=log, stderr=subprocess.STDOUT, env={**os.environ, "OMP_NUM_THREADS": threads}
        )
        processes.append(process)
        status = process.wait()
    if status == 0 and run.finished:
        return ""
    lines = (run.folder / LOG).read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return lines[-1] if lines else f"exit status {status}"


def environment() -> dict[str, Any]:
    """Versions of the packages that results depend on, and the state of the git repository that this is run in."""
    versions = {"python": sys.version.split()[0]}
    for package in _PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            continue
    return {"packages": versions, "git": {name: _git(folder) for name, folder in _folders().items()}}


def _folders() -> dict[str, Path]:
    return {"working directory": Path.cwd(), "recbole-sibrar": Path(__file__).parent}


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
