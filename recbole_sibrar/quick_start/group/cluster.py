"""The runs of a comparison as tasks of a Ray cluster."""

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
from recbole_sibrar.quick_start.cluster import session
from recbole_sibrar.quick_start.cluster.session import LOCAL, Job
from recbole_sibrar.quick_start.group import runs as group
from recbole_sibrar.quick_start.group.runs import LOG, LaunchError, Run
from recbole_sibrar.quick_start.group.single_run import RESULT, SPECIFICATION
from recbole_sibrar.quick_start.run.child_process import Children, threads_each

_OPTION = "--resources_per_run"

_ADVICE = "the same command goes on with what is not finished, and needs no Ray without --cluster"


def execute(
    runs: Sequence[Run], jobs: int | None, address: str, resources: str | None, note: Callable[[str], None]
) -> list[Run]:
    """Run what is not finished on a cluster, as :func:`~recbole_sibrar.quick_start.group.runs.execute` does here.

    Args:
        runs: All runs.
        jobs: How many at a time; None for as many as the cluster has resources for.
        address: That of a cluster, or ``local``.
        resources: What a run takes, as it was written; None for a CPU, and a GPU if there is one.
        note: Takes a line for each run that fails.

    Returns:
        The runs that have failed.

    Raises:
        ConfigError: There is no such cluster, or it cannot run a task.
    """
    given = resources and session.read_resources(_OPTION, resources)
    n_cpus = math.ceil(jobs * given["CPU"] if given else jobs) or 1 if jobs else None
    folder = Path(os.path.commonpath([run.folder.parents[1] for run in runs]))
    folder.mkdir(parents=True, exist_ok=True)
    connection = session.connected(address, "run_recbole_group", _ADVICE, n_cpus)
    with connection, session.sharing(folder) as token:
        taken = given or session.default_resources()
        session.check_resources(_OPTION, taken)
        if address == LOCAL:
            threads = threads_each(jobs or int(ray.cluster_resources()["CPU"] / (taken["CPU"] or 1)) or 1)
        else:
            threads = os.environ.get("OMP_NUM_THREADS", str(max(1, int(taken["CPU"]))))
        return group.execute(runs, jobs or len(runs), note, Tasks(token, threads, taken))


class Tasks:
    """Runs as tasks of the cluster that this process is connected to.

    Args:
        token: By which a machine sees that it shares the folders of the runs.
        threads: ``OMP_NUM_THREADS`` of each.
        resources: What each takes, as Ray names it.
    """

    def __init__(self, token: Path, threads: str, resources: dict[str, float]) -> None:
        others = {name: amount for name, amount in resources.items() if name not in ("CPU", "GPU")}
        amounts = {"num_cpus": resources["CPU"], "num_gpus": resources.get("GPU", 0), "resources": others}
        task: Any = ray.remote(run_job)
        self.task = task.options(max_retries=0, **amounts)
        self.token, self.threads, self.resources = token, threads, resources
        self.lock, self.stopped, self.running = threading.Lock(), False, list[Any]()

    def launch(self, run: Run, log: IO[bytes]) -> int:
        """Run what the folder of a run says; its exit status.

        Raises:
            LaunchError: The machine has no data, or was lost.
        """
        job = session.job(run.specification, run.folder, self.token, self.threads, self.resources)
        with self.lock:
            if self.stopped:
                raise LaunchError("the comparison was interrupted")
            task = self.task.remote(job)
            self.running.append(task)
        try:
            status, files = ray.get(task)
        except ConfigError as error:
            raise LaunchError(str(getattr(error, "cause", error))) from None
        except RayError as error:
            raise LaunchError(f"Ray: {' '.join(str(error).split())[:300]}") from None
        result = files.pop(RESULT, None)
        session.write_files(run.folder, files)
        if result is not None:  # last, as it says that the run has finished
            session.write_files(run.folder, {RESULT: result})
        return status

    def stop(self) -> None:
        """End all, and start none any more."""
        with self.lock:
            self.stopped = True
            for task in self.running:
                ray.cancel(task, force=True)


def run_job(job: Job) -> tuple[int, dict[str, bytes]]:
    """Run a job in a process of its own; this is what a machine of the cluster runs.

    Returns:
        The exit status of the process, and what it has written if the folder of the run is not shared.

    Raises:
        ConfigError: The machine does not have the data.
    """
    with session.workplace(job) as (folder, specification):
        (folder / SPECIFICATION).write_text(yaml.safe_dump(specification), encoding="utf-8")
        with open(folder / LOG, "ab") as log:
            status = group.run_process(folder, log, job.threads, Children())
        if job.is_shared:
            return status, {}
        files = session.read_files(folder)
        return status, {name: content for name, content in files.items() if name != SPECIFICATION}
