"""A Ray cluster: connecting to it, what a task takes of it, and running in folders that its machines may not share."""

from __future__ import annotations

import json
import logging
import os
import socket
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray

from recbole_sibrar.config import ConfigError, refuse
from recbole_sibrar.errors import ProcessError
from recbole_sibrar.quick_start.cluster.watch import Watch

LOCAL = "local"
"""The address for a cluster of this machine alone, which starts and ends with the command."""


_FAILED = "Ray has failed: one of its processes has ended or did not start, as where memory or processor time run out"

TOKEN = ".shared-"
"""How the names of the files begin by which machines recognise a folder."""


@contextmanager
def connected(address: str, program: str, advice: str, n_cpus: int | None = None) -> Iterator[Watch]:
    """Connect to a cluster, and leave it at the end.

    Args:
        address: :data:`LOCAL`, or what ``ray.init`` takes: ``auto``, ``HOST:6379``, ``ray://HOST:10001``.
        program: Name of the command.
        advice: What to do when Ray fails, for a message.
        n_cpus: CPUs of a local cluster; None for those that this process may use.

    Yields:
        The watch on Ray's processes.

    Raises:
        ConfigError: There is no cluster at the address.
        ProcessError: Ray's processes do not start, or one of them has ended.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # Ray would send statistics to its makers
    options: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    if address == LOCAL:
        available = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
        options.update(num_cpus=n_cpus or available, include_dashboard=False)
    watch = Watch(program, f"{_FAILED}; {advice}")
    try:
        watch.start()
        _start(address, options, watch)
        yield watch
    except BaseException:
        if watch.has_failed():
            raise ProcessError(watch.reason) from None
        raise
    finally:
        ray.shutdown()
        watch.close()


def _start(address: str, options: dict[str, Any], watch: Watch) -> None:
    """Start Ray, or connect to it.

    Raises:
        ConfigError: There is no cluster at the address.
        ProcessError: Ray's processes do not start.
    """
    try:
        _knock(address)
        ray.init(address=address, **options)
    except (OSError, ValueError, RuntimeError, AssertionError) as error:
        reason = " ".join(str(error).split())[:200]
        raise ConfigError(f"--cluster: cannot use {address}: {reason}") from None
    except Exception as error:  # Ray raises no narrower one where its processes are too slow
        raise ProcessError(f"{watch.reason} (Ray: {' '.join(str(error).split())[:200]})") from None


def _knock(address: str) -> None:
    """Ask for a connection, which Ray itself would try for minutes.

    Raises:
        OSError: Nobody answers.
        ValueError: The port is no number.
    """
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if colon:
        socket.create_connection((host.strip("[]"), int(port)), timeout=20).close()


def default_resources() -> dict[str, float]:
    """A CPU, and a GPU if the cluster has one."""
    return {"CPU": 1.0, **({"GPU": 1.0} if ray.cluster_resources().get("GPU") else {})}


def read_resources(option: str, text: str) -> dict[str, float]:
    """Read what a task takes.

    Args:
        option: Its name, for messages.
        text: ``cpu=1,gpu=0.5``, or the same as JSON, ``{"cpu": 1, "gpu": 0.5}``; other names are the cluster's own.

    Raises:
        ConfigError: It is neither.

    Returns:
        Names as Ray has them -> amounts.
    """
    allowed = 'names and amounts such as cpu=1,gpu=0.5 or {"cpu": 1}'
    try:
        pairs = json.loads(text) if text.lstrip().startswith("{") else dict(part.split("=") for part in text.split(","))
        amounts = {str(name).strip(): float(amount) for name, amount in pairs.items()}
    except (ValueError, TypeError):
        refuse(option, text, allowed)
    names = {name: name.upper() if name.lower() in ("cpu", "gpu") else name for name in amounts}
    wrong = [name for name, amount in amounts.items() if not 0 <= amount < float("inf") or not name]
    if wrong or len(set(names.values())) < len(amounts):
        refuse(option, text, f"{allowed}, each name once and amounts of at least 0")
    return {"CPU": 0.0, **{names[name]: amount for name, amount in amounts.items()}}


def check_resources(option: str, resources: dict[str, float]) -> None:
    """Check that some machine of the cluster has as much, as a task would wait for ever.

    Raises:
        ConfigError: None has.
    """
    machines = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    if not any(all(machine.get(name, 0) >= amount for name, amount in resources.items()) for machine in machines):
        found = "; ".join(
            ", ".join(f"{name.lower()}={machine.get(name, 0):g}" for name in resources) for machine in machines
        )
        asked = ",".join(f"{name.lower()}={amount:g}" for name, amount in resources.items())
        refuse(option, asked, f"no more than a machine of the cluster has: {found}")


@dataclass(frozen=True)
class Job:
    """A run that any machine of a cluster can take over."""

    specification: dict[str, Any]
    """What it runs, as the file ``run.yaml`` has it."""
    files: dict[str, str]
    """Texts of the yaml files that the specification names."""
    folder: str
    """Where its files belong."""
    token: str
    """A file that a machine can see if it shares the folder."""
    threads: str
    """``OMP_NUM_THREADS``."""
    has_gpu: bool
    """Whether it takes GPUs."""

    @property
    def is_shared(self) -> bool:
        """Whether this machine sees the folder."""
        return Path(self.token).is_file()


def job(specification: dict[str, Any], folder: Path, token: Path, threads: str, resources: dict[str, float]) -> Job:
    """The job of a run, with the texts of its configuration files."""
    files = {file: Path(file).read_text(encoding="utf-8") for file in specification["config_files"]}
    return Job(specification, files, str(folder), str(token), threads, resources.get("GPU", 0) > 0)


@contextmanager
def sharing(folder: Path) -> Iterator[Path]:
    """A file by which other machines recognise a folder while the ``with`` block runs."""
    token = folder.absolute() / f"{TOKEN}{uuid.uuid4().hex}"
    token.touch()
    try:
        yield token
    finally:
        token.unlink(missing_ok=True)


@contextmanager
def workplace(job: Job) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Where a machine works on a job: the job's folder if it is shared, else one of its own, which is removed.

    Yields:
        The folder, which exists, and the specification for this machine.

    Raises:
        ConfigError: The machine does not have the data.
    """
    keys = dict(job.specification["keys"])
    keys["gpu_id"] = os.environ.get("CUDA_VISIBLE_DEVICES", "0") if job.has_gpu else ""
    data = Path(keys["data_path"]) / job.specification["dataset"]
    if job.specification["dataset"] != "ml-100k" and not data.is_dir():
        raise ConfigError(f"the machine {socket.gethostname()} of the cluster has no folder {data} with the data set")
    specification = {**job.specification, "keys": keys}
    if job.is_shared:
        yield Path(job.folder), specification
        return
    with tempfile.TemporaryDirectory(prefix="recbole-sibrar-") as name:
        files = [Path(name, f"{number}.yaml") for number in range(len(job.files))]
        for file, text in zip(files, job.files.values(), strict=True):
            file.write_text(text, encoding="utf-8")
        folder = Path(name, "run")
        folder.mkdir()
        moved = {key: _moved(value, job.folder, str(folder)) for key, value in specification.items()}
        moved["keys"] = {key: _moved(value, job.folder, str(folder)) for key, value in keys.items()}
        yield folder, {**moved, "config_files": [str(file) for file in files]}


def _moved(value: Any, before: str, after: str) -> Any:
    """A path below a folder, below another one; all else as it is."""
    inside = isinstance(value, str) and Path(value).is_relative_to(before)
    return str(Path(after, Path(value).relative_to(before))) if inside else value


def read_files(folder: Path) -> dict[str, bytes]:
    """Contents of the files in a folder and below it, by their paths in it."""
    return {str(file.relative_to(folder)): file.read_bytes() for file in sorted(folder.rglob("*")) if file.is_file()}


def write_files(folder: Path, files: dict[str, bytes]) -> None:
    """Write files below a folder."""
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
