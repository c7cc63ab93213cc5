"""Sections about the runs, their configuration and the versions of packages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain
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
        curve = run.curve
        memory = run.result.get("peak_memory_mb")
        # The curve has a row for each validation, and counts epochs from 0.
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
            keys = dict(run.configuration)
            keys.pop("seed", None)
            # The first run with its folder stands for all seeds.
            if keys:
                known.setdefault(f"{prefix}{run.name}", keys)

    if not known:
        absent = "Not available: the folders of the runs, which hold `config.yaml`, are gone."
        return Section("configuration", "Configuration", absent=absent)

    differing, shared = page_tables.configuration_tables(known)
    text = "Every key of every model; runs of a model differ in the key seed alone."
    # A single model has no differing keys.
    tables = [table for table in (differing, shared) if table.rows]
    return Section("configuration", "Configuration", text, folded=tables, is_printed=False)


def versions_section(comparisons: Sequence[ComparisonFolder]) -> Section:
    """Build the section about packages and commits.

    Args:
        comparisons: The comparisons of the page.
    """
    runs = chain.from_iterable(data.runs for data in comparisons)
    environments = [run.environment for run in runs if run.environment]
    if not environments:
        absent = "Not available: the folders of the runs, which hold `environment.json`, are gone."
        return Section("versions", "Versions", absent=absent)

    packages: dict[str, set[str]] = {}
    for environment in environments:
        for name, version in environment.get("packages", {}).items():
            packages.setdefault(name, set()).add(version)

    facts = []
    for name in _IMPORTANT:
        if name in packages:
            facts.append(f"{name} {', '.join(sorted(packages[name]))}")

    commits = [environment.get("git", {}) for environment in environments]
    facts += [
        f"Python {_distinct(environments, 'python')}",
        _distinct(environments, "platform"),
        f"git commit of recbole-sibrar {_distinct(commits, 'recbole-sibrar')}",
        f"of the working directory {_distinct(commits, 'working directory')}",
    ]
    folded = [page_tables.versions_table("packages", "All packages", packages)]
    return Section("versions", "Versions", f"{'; '.join(facts)}.", folded=folded)


def _distinct(records: Sequence[Mapping[str, Any]], key: str) -> str:
    """Join the distinct values of the runs."""
    values = [str(record.get(key) or "not known") for record in records]
    return ", ".join(dict.fromkeys(values))
