"""Searching with Ray Tune: several trials at a time, on one machine or on a cluster."""

from __future__ import annotations

import json
import os
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

import ray
import yaml
from ray import tune
from ray.tune.schedulers import ASHAScheduler, FIFOScheduler, TrialScheduler
from ray.tune.search import Searcher
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from recbole_sibrar.config import ConfigError, refuse
from recbole_sibrar.errors import ProcessError
from recbole_sibrar.quick_start.cluster import session
from recbole_sibrar.quick_start.cluster.session import Job
from recbole_sibrar.quick_start.cluster.watch import Watch
from recbole_sibrar.quick_start.group.single_run import SPECIFICATION
from recbole_sibrar.quick_start.hyper import trial_process
from recbole_sibrar.quick_start.hyper.record import Status, Trial
from recbole_sibrar.quick_start.hyper.runner import Runner
from recbole_sibrar.quick_start.hyper.search import Suggestions, has_no_progress
from recbole_sibrar.quick_start.run.child_process import Children

_SETTINGS = {
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",  # the record has what they would write
    "TUNE_DISABLE_SIGINT_HANDLER": "1",  # Ctrl-C ends the command, and not only the search
    "TUNE_DISABLE_STRICT_METRIC_CHECKING": "1",  # a failing trial reports a reason instead of a score
    "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",  # the record has the reason; Ray would write a traceback for a lost machine
    "RAY_AIR_NEW_OUTPUT": "0",
}
"""Variables of the environment that Ray reads."""

_NO_LIMIT = 10**6

_ADVICE = "the same command with --resume goes on, and --tool=Hyperopt needs no Ray"


def scheduler(name: str, grace_period: int, bigger: bool) -> TrialScheduler:
    """What may stop a trial before its end.

    The score that it compares is the best one so far, which is also that of the trial: whoever is stopped is behind
    another trial and cannot be the best one.

    Args:
        name: ``asha`` stops a trial that is not among the better half after ``grace_period``, twice, four times, ... as
            many validations; ``fifo`` stops none.
        grace_period: Number of validations.
        bigger: Whether a greater score is better.
    """
    if name == "fifo":
        return FIFOScheduler()
    return ASHAScheduler(
        metric="score",
        mode="max" if bigger else "min",
        max_t=max(_NO_LIMIT, grace_period),
        grace_period=grace_period,
        reduction_factor=2,
    )


def search(runner: Runner, early_stop: int, address: str, resources: str | None, name: str, grace_period: int) -> None:
    """Search until all trials are made, or there is no progress.

    Args:
        runner: Holds the plan and the record.
        early_stop: The search ends after so many trials without a better one; 0 for never.
        address: That of a cluster, or ``local``.
        resources: What a trial takes, as it was written; None for a CPU, and a GPU if there is one.
        name: That of the scheduler.
        grace_period: That of the scheduler.

    Raises:
        ConfigError: There is no such cluster, or it cannot run a trial.
    """
    if address.startswith("ray://"):
        refuse(
            "--cluster", address, "auto or HOST:PORT on a machine of the cluster, or local: Ray Tune needs to be there"
        )
    os.environ.update(_SETTINGS)
    for token in runner.record.folder.glob(f"{session.TOKEN}*"):  # of a search that was killed
        token.unlink()
    given = resources and session.read_resources("--resources_per_trial", resources)
    connection = session.connected(address, "run_hyper", _ADVICE)
    with connection as watch, session.sharing(runner.record.folder) as token:
        taken = given or session.default_resources()
        session.check_resources("--resources_per_trial", taken)
        searcher = _Searcher(runner, early_stop, token, taken, watch)
        left = runner.plan.n_trials - len(runner.record.ended)
        if left <= 0 or searcher.is_finished():
            return
        mailbox = None if address == session.LOCAL else _mailbox()
        _tune(searcher, left, scheduler(name, grace_period, runner.plan.bigger), mailbox)


def _tune(searcher: _Searcher, n_trials: int, scheduling: TrialScheduler, mailbox: Any) -> None:
    """Let Ray Tune run the trials, and keep nothing of its own files."""
    with tempfile.TemporaryDirectory(prefix="recbole-sibrar-ray-") as folder:
        tune.run(
            tune.with_parameters(train_trial, mailbox=mailbox),
            resources_per_trial=tune.PlacementGroupFactory([searcher.resources]),
            num_samples=n_trials,
            search_alg=searcher,
            scheduler=scheduling,
            callbacks=[_Errors(searcher)],
            storage_path=folder,
            sync_config=tune.SyncConfig(syncer=None),
            trial_dirname_creator=lambda trial: trial.trial_id,
            trial_name_creator=lambda trial: trial.trial_id,
            raise_on_failed_trial=False,
            verbose=0,
        )


def train_trial(config: dict[str, Any], mailbox: Any) -> None:
    """Run a trial on a machine of the cluster; Ray Tune calls this.

    Args:
        config: Has the :class:`~recbole_sibrar.quick_start.cluster.session.Job` as JSON.
        mailbox: Takes the files where folders are not shared; None where all are.
    """
    job, children = Job(**json.loads(config["job"])), Children()

    def report(message: dict[str, Any]) -> None:
        if not message.get("done"):
            tune.report(score=message["best_score"], message=json.dumps(message))

    try:
        with session.workplace(job) as (folder, specification):
            trial_process.prepare(folder, specification)
            try:
                environment = {"OMP_NUM_THREADS": job.threads}
                last = trial_process.run(folder, "train", children, report, environment)
            finally:
                children.stop()
                if not job.is_shared:
                    files = session.read_files(folder)
                    files[SPECIFICATION] = yaml.safe_dump(job.specification).encode()  # with the paths there, not here
                    ray.get(mailbox.put.remote(job.folder, files))
    except (trial_process.TrialError, ConfigError, OSError) as error:
        tune.report(failed=str(error))
    else:
        tune.report(score=last["best_score"], message=json.dumps(last))


def _mailbox() -> Any:
    """A process of this machine that takes the files of others."""
    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    actor: Any = ray.remote(num_cpus=0)(_Mailbox)
    return actor.options(scheduling_strategy=here).remote()


class _Mailbox:
    """Writes on the machine of the search what comes from machines that do not share its folders."""

    def put(self, folder: str, files: dict[str, bytes]) -> None:
        session.write_files(Path(folder), files)


class _Searcher(Searcher):
    """Gives Ray Tune the values to try, and records what comes of them."""

    def __init__(self, runner: Runner, early_stop: int, token: Path, resources: dict[str, float], watch: Watch) -> None:
        plan, record = runner.plan, runner.record
        super().__init__(metric="score", mode="max" if plan.bigger else "min")
        self.runner, self.patience, self.token, self.resources = runner, early_stop, token, resources
        self.watch = watch
        self.threads = os.environ.get("OMP_NUM_THREADS", str(max(1, int(resources["CPU"]))))
        self.interrupted = [trial for trial in record.trials if trial.status == Status.RUNNING]
        self.suggestions = Suggestions(plan.space, plan.algo, plan.seed, record.ended, record.loss)
        for trial in self.interrupted:
            self.suggestions.insert(trial)
        self.trials: dict[str, Trial] = {}
        self.reasons: dict[str, str] = {}

    def is_finished(self) -> bool:
        """Whether the last trials were no better."""
        record = self.runner.record
        return has_no_progress([record.loss(trial) for trial in record.ended], self.patience)

    def suggest(self, trial_id: str) -> Any:
        """Values that were not tried, or whose trial was interrupted."""
        trial = None if self.is_finished() else self._next()
        if trial is None:
            return Searcher.FINISHED
        self.trials[trial_id] = trial
        folder = self.runner.record.trial_folder(trial)
        specification = self.runner.plan.specification(trial)
        job = session.job(specification, folder, self.token, self.threads, self.resources)
        return {"job": json.dumps(asdict(job))}

    def _next(self) -> Trial | None:
        if self.interrupted:
            return self.interrupted.pop(0)
        record = self.runner.record
        number = len(record.trials)
        drawn = self.suggestions.ask(number)
        if drawn is None:
            return None
        trial = record.start(number, drawn, self.runner.plan.space.values(drawn))
        self.suggestions.insert(trial)
        return trial

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        """Note the score of an epoch."""
        if "message" in result:
            self.trials[trial_id].take(json.loads(result["message"]))

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """Note how a trial has ended.

        Raises:
            ProcessError: Ray has lost it because its own processes have failed; the trial can be repeated.
        """
        if error and self.watch.has_failed():
            raise ProcessError(self.watch.reason)
        trial, result = self.trials[trial_id], result or {}
        self.on_trial_result(trial_id, result)
        if error or "failed" in result or "message" not in result:
            lost = self.reasons.get(trial_id, "Ray has lost it")
            self.runner.end(trial, Status.FAILED, result.get("failed", lost))
        else:
            self.runner.end(trial, Status.OK if json.loads(result["message"]).get("done") else Status.STOPPED)
        self.suggestions.tell(trial)

    def save(self, checkpoint_path: str) -> None:
        """Nothing: the record is enough to go on."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing: the record is enough to go on."""


class _Errors(tune.Callback):
    """Keeps why Ray has ended a trial, such as a machine that is gone."""

    def __init__(self, searcher: _Searcher) -> None:
        self.searcher = searcher

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Keep the last line of the error."""
        file = Path(trial.error_file) if trial.error_file else None
        lines = file.read_text(encoding="utf-8", errors="replace").strip().splitlines() if file else []
        if lines:
            self.searcher.reasons[trial.trial_id] = f"Ray: {lines[-1].strip()[:300]}"
