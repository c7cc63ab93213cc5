"""Resources of a task on a Ray cluster."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

import ray

from recbole_sibrar.config import refuse

__all__ = ["check_resources", "default_resources", "read_resources"]

_ALLOWED = 'names and amounts such as cpu=1,gpu=0.5 or {"cpu": 1}'


def default_resources() -> dict[str, float]:
    """Return one CPU, and one GPU if the cluster has any."""
    resources = {"CPU": 1.0}
    if ray.cluster_resources().get("GPU"):
        resources["GPU"] = 1.0
    return resources


def read_resources(option: str, text: str) -> dict[str, float]:
    """Read the resources of a task.

    Args:
        option: Name of the option, for messages.
        text: ``cpu=1,gpu=0.5``, or the same as JSON, ``{"cpu": 1, "gpu": 0.5}``; other names are
            names of the cluster.

    Returns:
        Ray's names -> amounts.

    Raises:
        ConfigError: The text has another form.
    """
    try:
        amounts = {str(name).strip(): float(amount) for name, amount in _pairs(text).items()}
    except (ValueError, TypeError):
        refuse(option, text, _ALLOWED)

    resources: dict[str, float] = {}
    for name, amount in amounts.items():
        # Ray's own names are in capitals; those of a cluster may be in any case.
        known = name.upper() if name.lower() in ("cpu", "gpu") else name
        # The comparison is false for NaN, which float reads.
        is_amount = 0 <= amount < math.inf
        if not name or not is_amount or known in resources:
            refuse(option, text, f"{_ALLOWED}, each name once and amounts of at least 0")
        resources[known] = amount

    # Ray would take one CPU for a task that names none.
    return {"CPU": 0.0, **resources}


def _pairs(text: str) -> Mapping[str, Any]:
    if text.lstrip().startswith("{"):
        pairs: dict[str, Any] = json.loads(text)
        return pairs
    return dict(part.split("=") for part in text.split(","))


def check_resources(option: str, resources: Mapping[str, float]) -> None:
    """Check that one machine of the cluster has all resources of a task.

    Args:
        option: Name of the option, for the message.
        resources: Ray's names -> amounts.

    Raises:
        ConfigError: No machine has them.
    """
    found = []
    # Ray lets a task that fits on no machine wait for ever.
    for node in ray.nodes():
        if not node["Alive"]:
            continue
        machine = node["Resources"]
        if _has_all(machine, resources):
            return
        found.append(_text(machine, resources, ", "))

    asked = _text(resources, resources, ",")
    refuse(option, asked, f"no more than a machine of the cluster has: {'; '.join(found)}")


def _has_all(machine: Mapping[str, float], resources: Mapping[str, float]) -> bool:
    return all(machine.get(name, 0) >= amount for name, amount in resources.items())


def _text(amounts: Mapping[str, float], names: Mapping[str, float], separator: str) -> str:
    return separator.join(f"{name.lower()}={amounts.get(name, 0):g}" for name in names)
