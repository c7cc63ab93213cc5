"""Values for the trials of a search, from Hyperopt's algorithms."""

from __future__ import annotations

import importlib
import random
import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

import numpy as np

from recbole_sibrar.errors import ConfigError
from recbole_sibrar.quick_start.hyper.record import Status, Trial
from recbole_sibrar.quick_start.hyper.space import Space

if TYPE_CHECKING:
    from hyperopt.base import Domain, Trials

__all__ = [
    "SeedState",
    "Suggestions",
    "algorithm",
    "check_hyperopt",
    "combinations",
    "documents",
    "exhaustive",
    "has_no_progress",
    "release_of",
    "result_of",
    "to_python",
]

_HYPEROPT = (0, 2, 5)
"""First release that works with RecBole."""

_LARGEST_SEED = 2**31 - 1

_MOST_COMBINATIONS = 1_000_000

Suggest = Callable[..., list[Any]]
"""Algorithm of Hyperopt: ``suggest(new_ids, domain, trials, seed)`` returns documents."""


def check_hyperopt() -> None:
    """Check the installed release of Hyperopt and import it.

    Raises:
        ConfigError: Hyperopt is not installed, or has an older release.
    """
    try:
        found = version("hyperopt")
    except PackageNotFoundError:
        found = ""
    if not found or release_of(found) < _HYPEROPT:
        state = f"hyperopt {found} is installed" if found else "hyperopt is not installed"
        least = ".".join(map(str, _HYPEROPT))
        raise ConfigError(
            f"{state}, but the search needs {least} or later: pip install 'recbole-sibrar[tune]'"
        )

    # Hyperopt imports pkg_resources, which setuptools deprecates.
    with warnings.catch_warnings():
        warnings.filterwarnings(
            "ignore", message="pkg_resources is deprecated", category=UserWarning
        )
        importlib.import_module("hyperopt")


def release_of(version: str) -> tuple[int, ...]:
    """Return the numbers at the start of a version.

    Example:
        >>> release_of("2.60.0rc1")
        (2, 60, 0)
    """
    return tuple(map(int, re.findall(r"\d+", version)[:3]))


class SeedState(np.random.RandomState):
    """Random state for every release of Hyperopt."""

    # Later releases call the method of NumPy's Generator.
    def integers(self, low: int, high: int | None = None, size: Any = None) -> Any:
        """Draw whole numbers, as ``randint`` does."""
        return self.randint(low, high, size)


def combinations(space: Space, seed: int) -> list[int]:
    """Return the numbers of all combinations, in a random order.

    Args:
        space: Choices only.
        seed: Seed of the order.
    """
    total = space.n_values
    assert total is not None
    return random.Random(seed).sample(range(total), min(total, _MOST_COMBINATIONS))


def exhaustive(space: Space, seed: int) -> Suggest:
    """Make an algorithm that suggests every combination once, in a random order.

    Args:
        space: Choices only.
        seed: Seed of the order.
    """
    # RecBole's own algorithm draws until a combination is new, and gives up after a thousand draws,
    # before all were suggested.
    order = combinations(space, seed)

    def suggest(new_ids: Sequence[int], domain: Domain, trials: Trials, _: int) -> list[Any]:
        numbers = []
        drawn = []
        for number in new_ids:
            if number < len(order):
                numbers.append(number)
                drawn.append(space.combination(order[number]))
        # Hyperopt ends the search when nothing is suggested.
        return documents(trials, domain, numbers, drawn) if numbers else []

    return suggest


def documents(
    trials: Trials,
    domain: Domain | None,
    numbers: Sequence[int],
    drawn: Sequence[Mapping[str, object]],
) -> list[Any]:
    """Make Hyperopt's documents of new trials.

    Args:
        trials: Hyperopt's trials.
        domain: Hyperopt's domain; None for the one of ``fmin``.
        numbers: Numbers of the trials.
        drawn: Drawn values of each trial.
    """
    miscs = []
    for number, values in zip(numbers, drawn, strict=True):
        misc = {
            "tid": number,
            # The second is the name by which fmin attaches its own domain.
            "cmd": domain.cmd if domain else ("domain_attachment", "FMinIter_Domain"),
            "workdir": None,
            "idxs": {name: [number] for name in values},
            "vals": {name: [value] for name, value in values.items()},
        }
        miscs.append(misc)

    specs = [None] * len(miscs)
    results = [{"status": "new"} for _ in miscs]
    made: list[Any] = trials.new_trial_docs(list(numbers), specs, results, miscs)
    return made


def algorithm(name: str, space: Space, seed: int) -> Suggest:
    """Return an algorithm of Hyperopt.

    Args:
        name: ``exhaustive`` (every combination), ``random`` (independent draws) or ``bayes`` (tree
            of Parzen estimators).
        space: The search space.
        seed: Seed of the order of an exhaustive search.
    """
    if name == "exhaustive":
        return exhaustive(space, seed)

    from hyperopt import rand, tpe

    suggest: Suggest = rand.suggest if name == "random" else tpe.suggest
    return suggest


def has_no_progress(losses: Sequence[float], patience: int) -> bool:
    """Tell if the last losses are no better than the best one before them.

    Args:
        losses: Losses of all ended trials.
        patience: Number of last losses to look at; 0 for no limit.

    Example:
        >>> has_no_progress([3.0, 1.0, 2.0, 1.5], patience=2)
        True
    """
    best = min(range(len(losses)), key=losses.__getitem__, default=0)
    since_best = len(losses) - 1 - best
    return patience > 0 and since_best >= patience


class Suggestions:
    """Values of one trial after another, as drawn by Hyperopt's ``fmin``.

    Args:
        space: The search space.
        algo: Name of the algorithm, as for :func:`algorithm`.
        seed: Seed of the draws.
        ended: Trials to tell Hyperopt about at the start.
        loss: Loss of a trial.
    """

    def __init__(
        self,
        space: Space,
        algo: str,
        seed: int,
        ended: Sequence[Trial],
        loss: Callable[[Trial], float],
    ) -> None:
        from hyperopt.base import Domain, Trials

        self.suggest = algorithm(algo, space, seed)
        self.loss = loss
        self.domain = Domain(lambda _: 0.0, space.nodes())
        self.trials = Trials()
        self.random = np.random.RandomState(seed)
        self.seeds: list[int] = []
        for trial in ended:
            self.insert(trial)
            self.tell(trial)

    def ask(self, number: int) -> dict[str, Any] | None:
        """Draw the values of a trial; None after the last combination.

        Args:
            number: Number of the trial.
        """
        # One seed for each trial: a resumed search skips those of its ended trials.
        while len(self.seeds) <= number:
            self.seeds.append(self.random.randint(_LARGEST_SEED))

        found = self.suggest([number], self.domain, self.trials, self.seeds[number])
        if not found:
            return None
        drawn = found[0]["misc"]["vals"]
        return {name: to_python(values[0]) for name, values in drawn.items()}

    def insert(self, trial: Trial) -> None:
        """Tell Hyperopt about a new trial."""
        self.trials.insert_trial_docs(documents(self.trials, None, [trial.number], [trial.drawn]))
        self.trials.refresh()

    def tell(self, trial: Trial) -> None:
        """Tell Hyperopt the result of a trial."""
        from hyperopt.base import JOB_STATE_DONE

        for document in self.trials.trials:
            if document["tid"] == trial.number:
                document["state"] = JOB_STATE_DONE
                document["result"] = result_of(trial, self.loss(trial))
        # Hyperopt's algorithms read lists that refresh makes anew.
        self.trials.refresh()


def result_of(trial: Trial, loss: float) -> dict[str, Any]:
    """Return Hyperopt's result of a trial."""
    return {"loss": loss, "status": "fail" if trial.status == Status.FAILED else "ok"}


def to_python(value: object) -> object:
    """Turn a number of NumPy into one of Python."""
    return value.item() if isinstance(value, np.generic) else value
