"""Plan of a search: model, data, keys, space and metric, checked before any trial runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recbole.config import Config

from recbole_sibrar.config import check_valid_metric, own_keys, refuse
from recbole_sibrar.plugin.checks import has_encoders, keys_of_closed_form
from recbole_sibrar.plugin.configuration import known_keys
from recbole_sibrar.quick_start.group import record
from recbole_sibrar.quick_start.group.runs import CURVE
from recbole_sibrar.quick_start.hyper import space as spaces
from recbole_sibrar.quick_start.hyper.record import Record, Trial
from recbole_sibrar.quick_start.hyper.space import Space
from recbole_sibrar.quick_start.run.configuration import check_data, try_configuration

__all__ = ["Plan", "Request", "make"]

_N_TRIALS = 100
"""Default number of trials, as in RecBole's ``HyperTuning``."""


@dataclass(frozen=True)
class Request:
    """Options of a search, as given by the user."""

    model: str
    """Name of the model."""
    dataset: str
    """Name of the data set."""
    files: Sequence[str]
    """Paths of yaml files."""
    overrides: Mapping[str, str]
    """Keys of the command line."""
    params_file: str | None
    """Search space: a path or the name of a shipped file; None for the file of the model."""
    metric: str | None
    """Validation metric to optimise; None for ``valid_metric``."""
    tool: str
    """``hyperopt``, ``optuna`` or ``ray``."""
    algo: str | None
    """``exhaustive``, ``random`` or ``bayes``; None for the default."""
    n_trials: int | None
    """Number of trials; None for the default."""


@dataclass(frozen=True)
class Plan:
    """A checked search."""

    model: str
    """Name of the model."""
    dataset: str
    """Name of the data set."""
    files: tuple[str, ...]
    """Absolute paths of yaml files."""
    keys: dict[str, Any]
    """Keys for all trials; they override the files."""
    space: Space
    """Search space."""
    config: Config
    """Configuration without the searched values."""
    tool: str
    """``hyperopt``, ``optuna`` or ``ray``."""
    algo: str
    """``exhaustive``, ``random`` or ``bayes``."""
    n_trials: int
    """Largest number of trials."""

    @property
    def metric(self) -> str:
        """Validation metric to optimise."""
        return str(self.config["valid_metric"]).lower()

    @property
    def bigger(self) -> bool:
        """True for a metric with greater values for better models."""
        return bool(self.config["valid_metric_bigger"])

    @property
    def seed(self) -> int:
        """Seed of the search, and of every trial unless it is searched."""
        return int(self.config["seed"])

    def specification(self, trial: Trial) -> dict[str, Any]:
        """Return the content of a trial's ``run.yaml``."""
        # A trial works in its own folder; on a cluster all files of that folder come back.
        own = {"show_progress": False, "state": "INFO", "save_learning_curve": CURVE}
        return {
            "model": self.model,
            "dataset": self.dataset,
            "config_files": list(self.files),
            "keys": {**self.keys, **trial.parameters, **record.absolute_paths(self.config), **own},
        }

    def configuration(self, trial: Trial) -> dict[str, Any]:
        """Return all keys of a trial."""
        keys = {**self.keys, **trial.parameters}
        config, _ = try_configuration(self.model, self.dataset, self.files, keys)
        return record.configuration(config)

    def record(self, output: Path) -> Record:
        """Make an empty record of the search.

        Args:
            output: File of the readable results.
        """
        identity = {
            "model": self.model,
            "dataset": self.dataset,
            "metric": self.metric,
            "tool": self.tool,
            "algo": self.algo,
            "seed": self.seed,
            "space": self.space.text(),
            "configuration or data": record.fingerprint(self.config),
        }
        return Record(output, identity, self.bigger, self.configuration)


def make(request: Request, note: Callable[[str], None]) -> Plan:
    """Check a request and make the plan of the search.

    Args:
        request: Options of the search.
        note: Takes a line for each key without effect.

    Raises:
        ConfigError: The data, a key, the space or the metric cannot be used.
    """
    files = [str(Path(file).absolute()) for file in request.files]
    space = spaces.read_space(spaces.find_file(request.params_file, request.model))
    fixed = dict(request.overrides)
    # They have options of their own.
    for key in ("model", "dataset"):
        fixed.pop(key, None)

    keys = dict(fixed)
    if request.metric:
        keys["valid_metric"] = request.metric

    config, warnings = try_configuration(request.model, request.dataset, files, keys)
    known = known_keys(config) | keys_of_closed_form(config.model_class)
    if has_encoders(config.model_class):
        known = known | set(own_keys())
    for warning in [*warnings, *spaces.check_names(space, request.model, known, fixed)]:
        note(f"warning: {warning}")

    _check_config(config)
    algo = _algorithm(request.algo, space)
    return Plan(
        model=request.model,
        dataset=request.dataset,
        files=tuple(files),
        keys=keys,
        space=space,
        config=config,
        tool=request.tool,
        algo=algo,
        n_trials=_n_trials(request.n_trials, algo, space),
    )


def _check_config(config: Config) -> None:
    allowed = "no value in a search, which continues with --resume after an interruption"
    for key in ("resume", "max_hours"):
        if config[key]:
            refuse(key, config[key], allowed)
    check_data(config)
    check_valid_metric(config)


def _algorithm(given: str | None, space: Space) -> str:
    """Choose the algorithm: every combination if there are finitely many, else ``bayes``."""
    if given != "exhaustive":
        default = "bayes" if space.n_values is None else "exhaustive"
        return given or default

    endless = [parameter.name for parameter in space.parameters if parameter.n_values is None]
    if endless:
        found = f"{space.file} has parameters that are no choices: {', '.join(endless)}"
        refuse("--algo", given, f"random or bayes, as {found}")
    return given


def _n_trials(given: int | None, algo: str, space: Space) -> int:
    if algo == "exhaustive":
        return space.n_values or _N_TRIALS
    return given or _N_TRIALS
