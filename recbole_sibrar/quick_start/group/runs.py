"""``run_recbole_group``: several models on the same parts with several seeds, each run in a process of its own."""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Protocol

import yaml
from recbole.config import Config
from recbole.utils import EvaluatorType
from tqdm import tqdm

from recbole_sibrar.config import ConfigError
from recbole_sibrar.plugin.checks import unread_keys
from recbole_sibrar.plugin.configuration import general_defaults, known_keys
from recbole_sibrar.quick_start.group import record
from recbole_sibrar.quick_start.group.single_run import CHECKPOINT, RESULT, SPECIFICATION
from recbole_sibrar.quick_start.group.variants import Variant, file_name
from recbole_sibrar.quick_start.run.child_process import Children, interruptible, reason_of, threads_each
from recbole_sibrar.quick_start.run.configuration import check_data, try_configuration
from recbole_sibrar.trainer.restore import AUTO

PER_USER, CURVE, LOG, CONFIGURATION = "per_user.parquet", "learning_curve.csv", "log.txt", "config.yaml"
"""Files in the folder of a run."""

_FILTER = "filter_inter_by_user_or_item"


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
    """What :mod:`~recbole_sibrar.quick_start.group.single_run` runs."""
    configuration: dict[str, Any] = field(default_factory=dict)
    """Every key and its value, for the record."""

    @property
    def finished(self) -> bool:
        """Whether the run has ended with a result, now or when the comparison was started before."""
        return (self.folder / RESULT).is_file()

    def result(self) -> dict[str, Any]:
        """What the finished run reported."""
        return json.loads((self.folder / RESULT).read_text(encoding="utf-8"))

    def partition(self) -> str | None:
        """The hash of the held-out pairs that the run has logged; None if it has not."""
        return self._logged(r"held-out pairs ([0-9a-f]{12})\b")

    def ranked_items(self) -> str | None:
        """Number of the items that the run has ranked in its test; None if it has not logged it."""
        return self._logged(r"ranked items: test (\d+)")

    def _logged(self, pattern: str) -> str | None:
        log = self.folder / LOG
        text = log.read_text(encoding="utf-8", errors="replace") if log.is_file() else ""
        found = re.findall(pattern, text)
        return found[-1] if found else None


def plan(
    variants: Sequence[Variant],
    dataset: str,
    config_files: Sequence[str],
    overrides: dict[str, Any],
    seeds: Callable[[int], list[int]],
    output: Path,
    note: Callable[[str], None],
) -> list[Run]:
    """All runs of a comparison, checked so far that RecBole accepts their configurations.

    Args:
        variants: The models.
        dataset: Name of the data set.
        config_files: Paths of yaml files.
        overrides: Keys for all models; those of a variant go before them.
        seeds: Gives the seeds, from the seed of the configuration.
        output: Folder of the comparison.
        note: Takes a line for each key that has no effect.

    Raises:
        ConfigError: RecBole, or a model, refuses a configuration, or there are no data.
    """
    runs, firsts = [], []
    for variant in variants:
        keys = {**overrides, **variant.keys}
        config = _configuration(variant, dataset, config_files, keys)
        firsts.append((variant, config))
        check_data(config)
        if _FILTER not in config.external_config_dict:
            keys[_FILTER] = False  # else models that load .user and .item could be tested on fewer interactions
        for seed in seeds(config["seed"]):
            config = _configuration(variant, dataset, config_files, {**keys, "seed": seed})
            folder = (output / "runs" / f"{file_name(variant.name)}-{seed}-{record.fingerprint(config)}").absolute()
            specification = _specification(variant, dataset, config_files, {**keys, "seed": seed}, config, folder)
            runs.append(Run(variant, seed, folder, specification, record.configuration(config)))
    _note_unread_keys(firsts, note)
    return runs


def _configuration(variant: Variant, dataset: str, files: Sequence[str], keys: dict[str, Any]) -> Config:
    try:
        return try_configuration(variant.model, dataset, files, keys)[0]
    except (ValueError, NotImplementedError) as error:
        raise ConfigError(f"{variant.name}: {error}") from error


def _specification(
    variant: Variant, dataset: str, files: Sequence[str], keys: dict[str, Any], config: Config, folder: Path
) -> dict[str, Any]:
    own: dict[str, Any] = {"show_progress": False, "save_learning_curve": str(folder / CURVE)}
    if config["eval_type"] is EvaluatorType.RANKING:
        own["save_per_user"] = str(folder / PER_USER)
    if str(config["state"]).lower() != "debug":
        own["state"] = "INFO"  # the log is part of the results
    return {
        "model": variant.model,
        "dataset": dataset,
        "config_files": [str(Path(file).absolute()) for file in files],
        "keys": {**keys, **record.absolute_paths(config), **own},
        "working_directory": str(folder),
    }


def _note_unread_keys(configs: Sequence[tuple[Variant, Config]], note: Callable[[str], None]) -> None:
    """Say which keys of a variant it does not read, and which keys for all models none of them reads."""
    unread = [unread_keys(config, known_keys(config), general_defaults()) for _, config in configs]
    own = {key for variant, _ in configs for key in variant.keys}
    for key in unread[0].keys() - own:
        if all(key in keys for keys in unread):
            note(f"warning: {unread[0][key]}")
    for (variant, _), keys in zip(configs, unread, strict=True):
        for key in keys.keys() & variant.keys.keys():
            note(f"warning: {variant.name}: {keys[key]}")


class LaunchError(Exception):
    """A run could not be started, or was lost; the message says why in one line."""


class Launcher(Protocol):
    """Where runs get their processes."""

    def launch(self, run: Run, log: IO[bytes]) -> int:
        """Run what the folder of a run says, with its output to ``log``; its exit status."""

    def stop(self) -> None:
        """End all, and start none any more."""


def run_process(folder: Path, log: IO[bytes], threads: str, children: Children) -> int:
    """Run what a folder says in a process of this machine; its exit status.

    Args:
        folder: That of a run.
        log: Takes its output.
        threads: Its ``OMP_NUM_THREADS``.
        children: Where the process is kept.
    """
    command = [sys.executable, "-m", "recbole_sibrar.quick_start.group.single_run", str(folder), str(os.getpid())]
    options = {"stdout": log, "stderr": subprocess.STDOUT, "stdin": subprocess.DEVNULL}
    return children.run(command, env={**os.environ, "OMP_NUM_THREADS": threads}, **options)


class LocalProcesses:
    """Runs as processes of this machine.

    Args:
        threads: ``OMP_NUM_THREADS`` of each.
    """

    def __init__(self, threads: str) -> None:
        self.children, self.threads = Children(), threads

    def launch(self, run: Run, log: IO[bytes]) -> int:
        """Run what the folder of a run says; its exit status."""
        return run_process(run.folder, log, self.threads, self.children)

    def stop(self) -> None:
        """End all, and start none any more."""
        self.children.stop()


def execute(runs: Sequence[Run], jobs: int, note: Callable[[str], None], launcher: Launcher | None = None) -> list[Run]:
    """Run what is not finished, some at a time; a run that fails is reported, and the others go on.

    Args:
        runs: All runs.
        jobs: How many processes at a time.
        note: Takes a line for each run that fails.
        launcher: Where they run; None for this machine.

    Returns:
        The runs that have failed.
    """
    left = [run for run in runs if not run.finished]
    failed: list[Run] = []
    launcher = launcher or LocalProcesses(threads_each(jobs))
    bar = tqdm(total=len(runs), initial=len(runs) - len(left), desc="runs", unit="run")
    with interruptible(), bar, ThreadPoolExecutor(jobs) as pool:
        waiting = {pool.submit(_execute, run, launcher): run for run in left}
        try:
            for future in as_completed(waiting):
                run, reason = waiting[future], future.result()
                if reason:
                    failed.append(run)
                    note(f"failed: {run.variant.name}, seed {run.seed}: {reason} ({run.folder / LOG})")
                bar.update()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            launcher.stop()
            raise
    return failed


def _execute(run: Run, launcher: Launcher) -> str:
    """Run one in a process of its own; why it failed, or nothing."""
    run.folder.mkdir(parents=True, exist_ok=True)
    with open(run.folder / LOG, "ab") as log:
        try:
            fcntl.flock(log, fcntl.LOCK_EX | fcntl.LOCK_NB)  # the process inherits the lock and holds it to its end
        except BlockingIOError:
            return "another command is running it"
        if run.finished:
            return ""
        log.truncate(0)
        _prepare(run)
        try:
            status = launcher.launch(run, log)
        except LaunchError as error:
            return str(error)
    if status == 0 and run.finished:
        return ""
    return reason_of(status, (run.folder / LOG).read_text(encoding="utf-8", errors="replace"))


def _prepare(run: Run) -> None:
    """Clear what an interrupted run has left, unless it is to go on with that, and write what the run is."""
    goes_on = run.specification["keys"].get("resume") == AUTO
    kept = ((run.folder / CHECKPOINT).parent, run.folder / CURVE) if goes_on else ()
    for path in run.folder.iterdir():
        if path in kept:
            continue
        if path.is_dir():
            shutil.rmtree(path)
        elif path.name != LOG:
            path.unlink()
    (run.folder / SPECIFICATION).write_text(yaml.safe_dump(run.specification), encoding="utf-8")
    (run.folder / CONFIGURATION).write_text(yaml.safe_dump(run.configuration, sort_keys=False), encoding="utf-8")
    (run.folder / "environment.json").write_text(json.dumps(record.environment(), indent=1), encoding="utf-8")
