"""Search with Ray Tune: several trials at a time, on one machine or on a cluster."""

from __future__ import annotations

import inspect
import os
import tempfile
from dataclasses import dataclass
from typing import Any

from ray import tune
from ray.tune.schedulers import ASHAScheduler, FIFOScheduler, TrialScheduler

from recbole_sibrar.config import refuse
from recbole_sibrar.quick_start.cluster import jobs, session
from recbole_sibrar.quick_start.cluster.resources import (
    check_resources,
    default_resources,
    read_resources,
)
from recbole_sibrar.quick_start.hyper.ray_searcher import ErrorCollector, RecordSearcher
from recbole_sibrar.quick_start.hyper.ray_trial import Mailbox, open_mailbox, train_trial
from recbole_sibrar.quick_start.hyper.runner import Runner

__all__ = ["RaySettings", "make_scheduler", "search"]

_ENVIRONMENT = {
    # The record has the same content.
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    # Ctrl-C ends the command, and not only the search.
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    # A failing trial reports a reason instead of a score.
    "TUNE_DISABLE_STRICT_METRIC_CHECKING": "1",
    # The record has the reason; Ray would write a traceback for a lost machine.
    "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",
    "RAY_AIR_NEW_OUTPUT": "0",
}
"""Variables of the environment for Ray."""

_OPTION = "--resources_per_trial"

_NO_LIMIT = 10**6

_ADVICE = "the same command with --resume continues, and --tool=Hyperopt needs no Ray"


@dataclass(frozen=True)
class RaySettings:
    """Options of a search with Ray."""

    early_stop: int
    """Number of trials without improvement that end the search; 0 for no limit."""
    address: str
    """Address of a cluster, or ``local``."""
    resources: str | None
    """Resources of a trial, as written; None for one CPU, and one GPU if there is any."""
    scheduler: str
    """``asha`` or ``fifo``."""
    grace_period: int
    """Number of validations before ``asha`` stops a trial."""


def make_scheduler(name: str, grace_period: int, bigger: bool) -> TrialScheduler:
    """Make the scheduler, which may stop a trial before its end.

    It compares the best scores so far, which are also the scores of the trials. A stopped trial is
    therefore behind another one and cannot be the best.

    Args:
        name: ``asha`` stops a trial outside the better half after ``grace_period``, twice, four
            times, ... as many validations; ``fifo`` stops none.
        grace_period: Number of validations.
        bigger: True for a metric with greater values for better models.
    """
    if name == "fifo":
        return FIFOScheduler()

    return ASHAScheduler(
        metric="score",
        mode="max" if bigger else "min",
        # Ray refuses a grace period above it; its default would end trials at 100 validations.
        max_t=max(_NO_LIMIT, grace_period),
        grace_period=grace_period,
        reduction_factor=2,
    )


def search(runner: Runner, settings: RaySettings) -> None:
    """Search until all trials have ended or there is no progress.

    Args:
        runner: Has the plan and the record.
        settings: Options of the search.

    Raises:
        ConfigError: There is no such cluster, or it has too few resources.
    """
    if settings.address.startswith("ray://"):
        places = "auto or HOST:PORT on a machine of the cluster, or local"
        refuse("--cluster", settings.address, f"{places}: Ray Tune needs to be there")
    os.environ.update(_ENVIRONMENT)

    folder = runner.record.folder
    for token in folder.glob(f"{jobs.TOKEN}*"):  # left by a killed search
        token.unlink()

    given = read_resources(_OPTION, settings.resources) if settings.resources else None
    connection = session.connected(settings.address, "run_hyper", _ADVICE)
    with connection as watch, jobs.sharing(folder) as token:
        resources = given or default_resources()
        check_resources(_OPTION, resources)
        searcher = RecordSearcher(runner, settings.early_stop, token, resources, watch)

        left = runner.plan.n_trials - len(runner.record.ended)
        if left > 0 and not searcher.is_finished():
            bigger = runner.plan.bigger
            scheduler = make_scheduler(settings.scheduler, settings.grace_period, bigger)
            mailbox = None if settings.address == session.LOCAL else open_mailbox()
            _tune(searcher, left, scheduler, mailbox)


def _tune(
    searcher: RecordSearcher, n_trials: int, scheduler: TrialScheduler, mailbox: Mailbox | None
) -> None:
    """Let Ray Tune run the trials, and remove its own files."""
    with tempfile.TemporaryDirectory(prefix="recbole-sibrar-ray-") as folder:
        tune.run(
            tune.with_parameters(train_trial, mailbox=mailbox),
            resources_per_trial=tune.PlacementGroupFactory([searcher.resources]),
            num_samples=n_trials,
            search_alg=searcher,
            scheduler=scheduler,
            callbacks=[ErrorCollector(searcher)],
            storage_path=folder,
            **_without_syncing(),
            trial_dirname_creator=lambda trial: trial.trial_id,
            trial_name_creator=lambda trial: trial.trial_id,
            raise_on_failed_trial=False,
            verbose=0,
        )


def _without_syncing() -> dict[str, Any]:
    """Return the option that keeps old releases of Ray from copying the folders of trials."""
    # Releases before Ray 2.7 copy them between machines.
    if "syncer" in inspect.signature(tune.SyncConfig).parameters:
        return {"sync_config": tune.SyncConfig(syncer=None)}
    return {}
