"""Sections about the runs, their configuration and the versions of packages."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from recbole_sibrar.quick_start.group.folder import ComparisonFolder
from recbole_sibrar.report import page_tables
from recbole_sibrar.report.page import Section

__all__ = ["configuration_section", "runs_section", "versions_section"]

_IMPORTANT = ("recbole-sibrar", "recbole", "torch", "numpy", "pandas", "scipy", "scikit-learn")


def runs_section(data: ComparisonFolder) -> Section:
    """Build the section about every run.

    Args:
        data: The comparison.
    """
    details = {}
    for run in data.runs:
        curve, memory = run.curve, run.result.get("peak_memory_mb")
        # the curve has a row for each validation
        n_epochs = None if curve is None else int(curve["epoch"].max()) + 1
        cells = [page_tables.number(n_epochs, "d"), page_tables.number(memory, ".0f")]
        details[run.name, run.seed] = [*cells, page_tables.Value(f"runs/{run.folder.name}")]
    text = f"Without a result: {', '.join(data.unfinished)}." if data.unfinished else ""
    table = page_tables.runs_table(data.results, data.metrics, details)
    return Section("runs", "Runs", text, folded=[table], is_printed=bool(text))


def configuration_section(comparisons: Sequence[ComparisonFolder]) -> Section:
    """Build the section about the keys of all models in all comparisons.

    Args:
        comparisons: The comparisons of the page.
    """
    known: dict[str, Mapping[str, Any]] = {}
    for data in comparisons:
        prefix = f"{data.folder.absolute().name}: " if len(comparisons) > 1 else ""
        for run in data.runs:
            keys = {key: value for key, value in run.configuration.items() if key != "seed"}
            if keys:
                known.setdefault(f"{prefix}{run.name}", keys)
    if not known:
        absent = "Not available: the folders of the runs, which hold `config.yaml`, are gone."
        return Section("configuration", "Configuration", absent=absent)
    differing, shared = page_tables.configuration_tables(known)
    text = "Every key of every model; runs of a model differ in the key seed alone."
    tables = [table for table in (differing, shared) if table.rows]
    return Section("configuration", "Configuration", text, folded=tables, is_printed=False)


def versions_section(comparisons: Sequence[ComparisonFolder]) -> Section:
    """Build the section about packages and commits.

    Args:
        comparisons: The comparisons of the page.
    """
    environments = [run.environment for data in comparisons for run in data.runs if run.environment]
    if not environments:
        absent = "Not available: the folders of the runs, which hold `environment.json`, are gone."
        return Section("versions", "Versions", absent=absent)
    packages: dict[str, set[str]] = {}
    for environment in environments:
        for name, version in environment.get("packages", {}).items():
            packages.setdefault(name, set()).add(version)
    sentences = [
        f"Python {_distinct(lambda x: x.get('python'), environments)}",
        f"{_distinct(lambda x: x.get('platform'), environments)}",
        f"git commit of recbole-sibrar {_distinct(lambda x: x.get('git', {}).get('recbole-sibrar'), environments)}",
        f"of the working directory {_distinct(lambda x: x.get('git', {}).get('working directory'), environments)}",
    ]
    chosen = [
        f"{name} {', '.join(sorted(packages[name]))}" for name in _IMPORTANT if name in packages
    ]
    folded = [page_tables.versions_table("packages", "All packages", packages)]
    return Section("versions", "Versions", "; ".join([*chosen, *sentences]) + ".", folded=folded)


def _distinct(
    read: Callable[[dict[str, Any]], str | None], environments: list[dict[str, Any]]
) -> str:
    """Join the distinct answers of the runs."""
    return ", ".join(
        dict.fromkeys(str(read(environment) or "not known") for environment in environments)
    )
