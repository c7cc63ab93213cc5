"""Jobs for machines of a cluster, with or without the folders of the command."""

from __future__ import annotations

import os
import socket
import tempfile
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recbole_sibrar.config import ConfigError

__all__ = ["TOKEN", "Job", "make_job", "read_files", "sharing", "workplace", "write_files"]

TOKEN = ".shared-"
"""Start of the name of a token: a file by which machines recognise a shared folder."""

_IN_RECBOLE = "ml-100k"
"""Data set in RecBole's own package, so that every machine has it."""


@dataclass(frozen=True)
class Job:
    """A run for any machine of a cluster."""

    specification: dict[str, Any]
    """Content of ``run.yaml``."""
    files: dict[str, str]
    """Texts of the yaml files in the specification, by path."""
    folder: str
    """Folder of the run on the machine of the command."""
    token: str
    """File in the shared folder."""
    threads: str
    """``OMP_NUM_THREADS``."""
    has_gpu: bool
    """True for a run on GPUs."""

    @property
    def is_shared(self) -> bool:
        """True if this machine shares the folder."""
        return Path(self.token).is_file()


def make_job(
    specification: dict[str, Any],
    folder: Path,
    token: Path,
    threads: str,
    resources: Mapping[str, float],
) -> Job:
    """Make the job of a run, with the texts of its configuration files.

    Args:
        specification: Content of ``run.yaml``.
        folder: Folder of the run.
        token: File in the shared folder.
        threads: ``OMP_NUM_THREADS``.
        resources: Ray's names -> amounts.
    """
    # Machines without the shared folder do not have these files.
    files = {file: Path(file).read_text(encoding="utf-8") for file in specification["config_files"]}
    has_gpu = resources.get("GPU", 0) > 0
    return Job(specification, files, str(folder), str(token), threads, has_gpu)


@contextmanager
def sharing(folder: Path) -> Iterator[Path]:
    """Mark a folder for other machines within a ``with`` block.

    Yields:
        The token.
    """
    token = folder.absolute() / f"{TOKEN}{uuid.uuid4().hex}"
    token.touch()
    try:
        yield token
    finally:
        token.unlink(missing_ok=True)


@contextmanager
def workplace(job: Job) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Prepare the folder of a job on this machine.

    It is the job's own folder if that is shared, else a temporary one.

    Yields:
        The folder, and the specification for this machine.

    Raises:
        ConfigError: The machine does not have the data.
    """
    specification = _local_specification(job)
    if job.is_shared:
        yield Path(job.folder), specification
        return

    with tempfile.TemporaryDirectory(prefix="recbole-sibrar-") as name:
        files = _write_configurations(Path(name), job)
        folder = Path(name, "run")
        folder.mkdir()

        moved = _move_paths(specification, job.folder, folder)
        moved["keys"] = _move_paths(specification["keys"], job.folder, folder)
        yield folder, {**moved, "config_files": files}


def _local_specification(job: Job) -> dict[str, Any]:
    """Return the specification with the GPUs of this machine."""
    keys = dict(job.specification["keys"])
    # RecBole sets CUDA_VISIBLE_DEVICES to gpu_id; this keeps the GPUs that Ray has chosen.
    keys["gpu_id"] = os.environ.get("CUDA_VISIBLE_DEVICES", "0") if job.has_gpu else ""

    dataset = job.specification["dataset"]
    data = Path(keys["data_path"]) / dataset
    if dataset != _IN_RECBOLE and not data.is_dir():
        machine = f"the machine {socket.gethostname()} of the cluster"
        raise ConfigError(f"{machine} has no folder {data} with the data set")
    return {**job.specification, "keys": keys}


def _write_configurations(folder: Path, job: Job) -> list[str]:
    """Write the yaml files of a job; return their paths."""
    paths = []
    for number, text in enumerate(job.files.values()):
        # Numbered, because two files in different folders may have one name.
        path = folder / f"{number}.yaml"
        path.write_text(text, encoding="utf-8")
        paths.append(str(path))
    return paths


def _move_paths(values: Mapping[str, Any], before: str, after: Path) -> dict[str, Any]:
    """Replace paths below one folder by paths below another."""
    moved = dict(values)
    for key, value in values.items():
        if isinstance(value, str) and Path(value).is_relative_to(before):
            moved[key] = str(after / Path(value).relative_to(before))
    return moved


def read_files(folder: Path) -> dict[str, bytes]:
    """Read all files in a folder and below it, by relative path."""
    files = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            files[str(path.relative_to(folder))] = path.read_bytes()
    return files


def write_files(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write files below a folder.

    Args:
        folder: The folder.
        files: Relative path -> content.
    """
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
