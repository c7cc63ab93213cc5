"""A trial of Ray Tune on a machine of the cluster, and the way back of its files."""

from __future__ import annotations

import inspect
import json
from pathlib import Path
from typing import Any, Protocol

import ray
import yaml
from ray import tune
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from recbole_sibrar.config import ConfigError
from recbole_sibrar.quick_start.cluster import jobs
from recbole_sibrar.quick_start.cluster.jobs import Job
from recbole_sibrar.quick_start.group.single_run import SPECIFICATION
from recbole_sibrar.quick_start.hyper import trial_process
from recbole_sibrar.quick_start.run.child_process import Children

__all__ = ["Mailbox", "open_mailbox", "train_trial"]


class Mailbox(Protocol):
    """Handle of the actor that takes files on the machine of the search."""

    @property
    def put(self) -> Any:
        """Remote method with a folder and its files."""


def train_trial(config: dict[str, Any], mailbox: Mailbox | None) -> None:
    """Run a trial on a machine of the cluster; called by Ray Tune.

    Args:
        config: ``job``, the :class:`~recbole_sibrar.quick_start.cluster.jobs.Job` as JSON.
        mailbox: Takes the files from machines without the shared folder; None on a local cluster.
    """
    job = Job(**json.loads(config["job"]))
    try:
        last = _run(job, mailbox)
    except (trial_process.TrialError, ConfigError, OSError) as error:
        _tell_tune({"failed": str(error)})
    else:
        _report(last)


def _run(job: Job, mailbox: Mailbox | None) -> dict[str, Any]:
    """Run the process of a trial; return its last message."""
    children = Children()
    environment = {"OMP_NUM_THREADS": job.threads}

    with jobs.workplace(job) as (folder, specification):
        trial_process.prepare(folder, specification)
        try:
            return trial_process.run(folder, "train", children, _report_validation, environment)
        finally:
            children.stop()
            if mailbox is not None and not job.is_shared:
                _send(job, folder, mailbox)


def _report_validation(message: dict[str, Any]) -> None:
    if not message.get("done"):  # the last message follows after the files
        _report(message)


def _report(message: dict[str, Any]) -> None:
    _tell_tune({"score": message["best_score"], "message": json.dumps(message)})


def _tell_tune(values: dict[str, Any]) -> None:
    """Report values to Ray Tune, which takes a dictionary since Ray 2.7 and keywords before."""
    if "metrics" in inspect.signature(tune.report).parameters:
        tune.report(values)
    else:
        tune.report(**values)


def _send(job: Job, folder: Path, mailbox: Mailbox) -> None:
    """Send the files of a trial to the machine of the search, with the paths of that machine."""
    files = jobs.read_files(folder)
    files[SPECIFICATION] = yaml.safe_dump(job.specification).encode()
    ray.get(mailbox.put.remote(job.folder, files))


# Ray Tune 2.6 copies the folders of trials between machines only from time to time, and later
# releases not at all: they ask for shared storage. The search needs the checkpoint of the best
# trial exactly when the trial ends, also when the scheduler stops it. An actor on the machine of
# the search does that in a few lines.


def open_mailbox() -> Mailbox:
    """Start the actor that takes files on this machine."""
    # On no other machine, because it writes into the folder of the search.
    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    # Without a CPU of its own, which would be missing for a trial.
    actor: Any = ray.remote(num_cpus=0)(_Writer)
    mailbox: Mailbox = actor.options(scheduling_strategy=here).remote()
    return mailbox


class _Writer:
    """Writes files from machines without the shared folder."""

    def put(self, folder: str, files: dict[str, bytes]) -> None:
        """Write files below a folder."""
        jobs.write_files(Path(folder), files)
