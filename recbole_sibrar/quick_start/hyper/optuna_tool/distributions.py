"""Search spaces in Optuna's form, with the draws of Hyperopt: positions of choices, and numbers."""

from __future__ import annotations

import math
from collections.abc import Mapping

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from recbole_sibrar.quick_start.hyper.parameter import Parameter

__all__ = ["distribution_of", "from_optuna", "to_optuna"]


def distribution_of(parameter: Parameter) -> BaseDistribution:
    """Return the distribution of a parameter.

    Example:
        >>> distribution_of(Parameter("embedding_size", "quniform", (8.0, 64.0, 8.0)))
        IntDistribution(high=8, log=False, low=1, step=1)
    """
    if parameter.kind == "choice":
        return CategoricalDistribution(range(len(parameter.values)))

    low, high = parameter.values[:2]
    if parameter.kind == "loguniform":
        return FloatDistribution(math.exp(low), math.exp(high), log=True)
    # Hyperopt rounds to multiples of the step, wherever the range begins.
    if parameter.kind == "quniform":
        step = parameter.values[2]
        return IntDistribution(round(low / step), round(high / step))
    return FloatDistribution(low, high)


def from_optuna(parameters: tuple[Parameter, ...], values: Mapping[str, float]) -> dict[str, float]:
    """Turn Optuna's values into the draws of Hyperopt."""
    return {parameter.name: values[parameter.name] * _step(parameter) for parameter in parameters}


def to_optuna(parameters: tuple[Parameter, ...], drawn: Mapping[str, float]) -> dict[str, float]:
    """Turn draws of Hyperopt into Optuna's values."""
    values = dict(drawn)
    for parameter in parameters:
        if parameter.kind == "quniform":
            values[parameter.name] = round(drawn[parameter.name] / _step(parameter))
    return values


def _step(parameter: Parameter) -> float:
    """Size of Optuna's unit: Optuna counts the multiples of a step."""
    return float(parameter.values[2]) if parameter.kind == "quniform" else 1
