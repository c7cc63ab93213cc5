"""What a search is: model, data, keys, space and metric, checked before any trial runs."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recbole.config import Config

from recbole_sibrar.config import check_valid_metric, own_keys, refuse
from recbole_sibrar.config.choices import check_model, chosen, configuration_file, keys_of_files
from recbole_sibrar.plugin.checks import is_ours
from recbole_sibrar.plugin.configuration import known_keys
from recbole_sibrar.quick_start.group import record
from recbole_sibrar.quick_start.hyper import space as spaces
from recbole_sibrar.quick_start.hyper.record import Record, Trial
from recbole_sibrar.quick_start.hyper.space import Space
from recbole_sibrar.quick_start.run.configuration import check_data, try_configuration

_MANY = 100
"""Trials of a search that does not say how many, as RecBole's ``HyperTuning`` has it."""


@dataclass(frozen=True)
class Plan:
    """A search."""

    model: str
    """Name of the model."""
    dataset: str
    """Name of the data set."""
    files: tuple[str, ...]
    """Absolute paths of yaml files."""
    keys: dict[str, Any]
    """Keys for all trials, which go before those of the files."""
    space: Space
    """What is searched."""
    config: Config
    """The configuration without the searched keys' values."""
    tool: str
    """``hyperopt`` or ``ray``."""
    algo: str
    """``exhaustive``, ``random`` or ``bayes``."""
    n_trials: int
    """How many trials there are at most."""

    @property
    def metric(self) -> str:
        """By what trials are compared."""
        return str(self.config["valid_metric"]).lower()

    @property
    def bigger(self) -> bool:
        """Whether a greater score is better."""
        return bool(self.config["valid_metric_bigger"])

    @property
    def seed(self) -> int:
        """Of the search, and of every trial that does not search it."""
        return int(self.config["seed"])

    def specification(self, trial: Trial) -> dict[str, Any]:
        """What the process of a trial runs."""
        own = {"show_progress": False, "state": "INFO"}
        return {
            "model": self.model,
            "dataset": self.dataset,
            "config_files": list(self.files),
            "keys": {**self.keys, **trial.parameters, **record.absolute_paths(self.config), **own},
        }

    def configuration(self, trial: Trial) -> dict[str, Any]:
        """Every key of a trial."""
        config = try_configuration(self.model, self.dataset, self.files, {**self.keys, **trial.parameters})[0]
        return record.configuration(config)

    def record(self, output: Path) -> Record:
        """An empty record of the search."""
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


def make(args: argparse.Namespace, overrides: dict[str, str], note: Callable[[str], None]) -> Plan:
    """Check what the command line asks for.

    Args:
        args: The options of ``run_hyper``.
        overrides: Keys of the command line.
        note: Takes a line for each key that has no effect.

    Raises:
        ConfigError: The model, the data, a key, the space or the metric cannot be used.
    """
    files = [str(Path(configuration_file(name)).absolute()) for name in args.config_files.split()]
    keys = keys_of_files(files)
    model, dataset = (chosen(option, args, overrides, keys) for option in ("model", "dataset"))
    check_model(model)
    metric = {"valid_metric": args.metric} if args.metric else {}
    space = spaces.read_space(spaces.find_file(args.params_file, model))
    fixed = {key: value for key, value in overrides.items() if key not in ("model", "dataset")}
    config, warnings = try_configuration(model, dataset, files, {**fixed, **metric})
    known = known_keys(config) | set(own_keys() if is_ours(config.model_class) else ())
    for warning in [*warnings, *spaces.check_names(space, model, known, fixed)]:
        note(f"warning: {warning}")
    for key in ("resume", "max_hours"):
        if config[key]:
            refuse(key, config[key], "no value in a search, which goes on where it was interrupted by --resume")
    check_data(config)
    check_valid_metric(config)
    algo = _algorithm(args.algo, space)
    n_trials = (space.n_values or _MANY) if algo == "exhaustive" else args.max_evals or args.num_samples or _MANY
    return Plan(model, dataset, tuple(files), {**fixed, **metric}, space, config, args.tool, algo, n_trials)


def _algorithm(given: str | None, space: Space) -> str:
    if given != "exhaustive":
        return given or ("bayes" if space.n_values is None else "exhaustive")
    endless = [parameter.name for parameter in space.parameters if parameter.n_values is None]
    if endless:
        allowed = f"random or bayes, as {space.file} has parameters that are no choices: {', '.join(endless)}"
        refuse("--algo", given, allowed)
    return given
