"""Execution of a comparison's runs as tasks of a Ray cluster."""

from __future__ import annotations

import math
import os
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, Any

import ray
import yaml
from ray.exceptions import RayError

from recbole_sibrar.config import ConfigError
from recbole_sibrar.errors import one_line
from recbole_sibrar.quick_start.cluster import jobs, session
from recbole_sibrar.quick_start.cluster.jobs import Job
from recbole_sibrar.quick_start.cluster.resources import (
    check_resources,
    default_resources,
    read_resources,
)
from recbole_sibrar.quick_start.cluster.session import LOCAL
from recbole_sibrar.quick_start.group import execution
from recbole_sibrar.quick_start.group.execution import LaunchError
from recbole_sibrar.quick_start.group.runs import LOG, Run
from recbole_sibrar.quick_start.group.single_run import RESULT, SPECIFICATION
from recbole_sibrar.quick_start.run.child_process import Children, threads_each

__all__ = ["Tasks", "execute", "run_job"]

_OPTION = "--resources_per_run"

_ADVICE = "the same command continues with the unfinished runs, and needs no Ray without --cluster"


def execute(
    runs: Sequence[Run],
    n_jobs: int | None,
    address: str,
    resources: str | None,
    note: Callable[[str], None],
) -> list[Run]:
    """Execute the unfinished runs on a cluster, like ``group.execution.execute`` on this machine.

    Args:
        runs: All runs.
        n_jobs: Number of runs at a time; None for the limit by the resources of the cluster.
        address: Address of a cluster, or ``local``.
        resources: Resources of a run, as written; None for one CPU, and one GPU if there is any.
        note: Takes a line for each failed run.

    Returns:
        The failed runs.

    Raises:
        ConfigError: There is no such cluster, or it has too few resources.
    """
    given = read_resources(_OPTION, resources) if resources else None
    # With --splits, the runs lie below several folders of comparisons.
    folder = Path(os.path.commonpath([run.folder.parents[1] for run in runs]))
    folder.mkdir(parents=True, exist_ok=True)

    connection = session.connected(address, "run_recbole_group", _ADVICE, _n_cpus(n_jobs, given))
    with connection, jobs.sharing(folder) as token:
        taken = given or default_resources()
        check_resources(_OPTION, taken)
        tasks = Tasks(token, _threads(address, n_jobs, taken), taken)
        return execution.execute(runs, n_jobs or len(runs), note, tasks)


def _n_cpus(n_jobs: int | None, given: dict[str, float] | None) -> int | None:
    """Return the CPUs of a local cluster for a number of runs; None for all of this machine."""
    if not n_jobs:
        return None
    per_run = given["CPU"] if given else 1
    return math.ceil(n_jobs * per_run) or 1


def _threads(address: str, n_jobs: int | None, taken: dict[str, float]) -> str:
    """Return ``OMP_NUM_THREADS`` of each run."""
    if address != LOCAL:
        return os.environ.get("OMP_NUM_THREADS", str(max(1, int(taken["CPU"]))))
    at_a_time = n_jobs or int(ray.cluster_resources()["CPU"] / (taken["CPU"] or 1)) or 1
    return threads_each(at_a_time)


class Tasks:
    """Launcher on the connected cluster.

    Args:
        token: File by which a machine recognises the shared folder of the runs.
        threads: ``OMP_NUM_THREADS`` of each run.
        resources: Resources of a run, with Ray's names.
    """

    def __init__(self, token: Path, threads: str, resources: dict[str, float]) -> None:
        # Ray has options of their own for CPUs and GPUs, and refuses them among the others.
        others = {name: amount for name, amount in resources.items() if name not in ("CPU", "GPU")}
        task: Any = ray.remote(run_job)
        self.task = task.options(
            # The comparison itself continues lost runs when it is started again.
            max_retries=0,
            num_cpus=resources["CPU"],
            num_gpus=resources.get("GPU", 0),
            resources=others,
        )
        self.token = token
        self.threads = threads
        self.resources = resources
        self.lock = threading.Lock()
        self.stopped = False
        self.running: list[Any] = []

    def launch(self, run: Run, log: IO[bytes]) -> int:
        """Run the specification in a run's folder; return the exit status.

        Raises:
            LaunchError: The machine has no data, or was lost.
        """
        job = jobs.make_job(run.specification, run.folder, self.token, self.threads, self.resources)
        # Under the lock no task can start after stop.
        with self.lock:
            if self.stopped:
                raise LaunchError("the comparison was interrupted")
            task = self.task.remote(job)
            self.running.append(task)

        status, files = self._wait(task)
        result = files.pop(RESULT, None)
        jobs.write_files(run.folder, files)
        # This file is the last one, because it marks the run as finished.
        if result is not None:
            jobs.write_files(run.folder, {RESULT: result})
        return status

    def _wait(
        self, task: ray.ObjectRef[tuple[int, dict[str, bytes]]]
    ) -> tuple[int, dict[str, bytes]]:
        try:
            return ray.get(task)
        except ConfigError as error:
            # Ray raises a class derived from ConfigError, whose text is the whole traceback.
            raise LaunchError(str(getattr(error, "cause", error))) from None
        except RayError as error:
            raise LaunchError(f"Ray: {one_line(error, 300)}") from None

    def stop(self) -> None:
        """End all tasks and start no others."""
        with self.lock:
            self.stopped = True
            for task in self.running:
                ray.cancel(task, force=True)


def run_job(job: Job) -> tuple[int, dict[str, bytes]]:
    """Run a job on a machine of the cluster, in a process of its own.

    Returns:
        Exit status of the process, and its files if the folder of the run is not shared.

    Raises:
        ConfigError: The machine does not have the data.
    """
    with jobs.workplace(job) as (folder, specification):
        (folder / SPECIFICATION).write_text(yaml.safe_dump(specification), encoding="utf-8")
        with open(folder / LOG, "ab") as log:
            status = execution.run_process(folder, log, job.threads, Children())

        if job.is_shared:
            return status, {}
        files = jobs.read_files(folder)
        del files[SPECIFICATION]  # it has the paths of this machine
        return status, files
