"""Differences between the tests of the models in a comparison."""

from __future__ import annotations

from collections.abc import Sequence

from recbole_sibrar.quick_start.group.runs import Run

__all__ = ["of_candidates", "of_parts"]


def of_parts(runs: Sequence[Run]) -> str:
    """Name models tested on other interactions than the rest, despite the same seed."""
    found = _describe(runs, [run.partition() for run in runs])
    if not found:
        return ""
    return f"NOT TESTED ON THE SAME INTERACTIONS, so without significance: {found}."


def of_candidates(runs: Sequence[Run]) -> str:
    """Name models with more ranked items than the rest, such as items without any interaction."""
    found = _describe(runs, [run.ranked_items() for run in runs], "{names} ({value} items)")
    if not found:
        return ""
    advice = "eval_candidates=split ranks those of the test part for all models"
    return f"NOT RANKED AMONG THE SAME ITEMS, so without significance: {found}; {advice}."


def _describe(runs: Sequence[Run], values: Sequence[str | None], form: str = "{names}") -> str:
    """Group the models of each seed by a value; empty if all values of a seed are equal."""
    seeds: dict[int, dict[str, list[str]]] = {}
    for run, value in zip(runs, values, strict=True):
        if value:
            seeds.setdefault(run.seed, {}).setdefault(value, []).append(run.variant.name)

    found = []
    for seed, groups in seeds.items():
        # Another seed may split at random, so that only models of one seed are compared.
        if len(groups) < 2:
            continue
        listed = []
        for value, names in groups.items():
            listed.append(form.format(names=", ".join(names), value=value))
        found.append(f"seed {seed}: {' / '.join(listed)}")
    return "; ".join(found)
