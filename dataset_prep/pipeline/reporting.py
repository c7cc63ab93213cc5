"""Files beside the atomic files: the configuration of the data set, and its report."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import yaml

from .columns import FieldColumn
from .raw import Step


@dataclass(frozen=True)
class Modality:
    """Line of the report on one field of the users or items."""

    side: str
    """``user`` or ``item``."""
    name: str
    """Name of the field."""
    type: str
    """Type of the field."""
    size: int
    """Length of the vectors, or number of different values or labels; 1 for a number."""
    available: int
    """Number of entities with a value."""
    missing_share: float
    """Share of the entities without a value."""
    source: str
    """File of the field."""


@dataclass(frozen=True)
class Report:
    """Making and content of a data set."""

    dataset: str
    """Name of the data set."""
    converter: str
    """The converter, as on the command line."""
    version: str
    """Version of the package."""
    options: dict[str, Any]
    """All options and their values."""
    steps: tuple[Step, ...]
    """The data set after each filter, the raw state first."""
    others: dict[str, int]
    """``user`` and ``item`` -> number of kept ones without an interaction."""
    modalities: tuple[Modality, ...]
    """The fields of users and items."""
    notes: tuple[str, ...]
    """Sentences on skipped and replaced values."""
    inferred: tuple[str, ...] = ()
    """Sentences on inferred types."""
    warnings: tuple[str, ...] = ()
    """Sentences on probable mistakes."""

    @property
    def density(self) -> float:
        """Share of the pairs of a user and an item with an interaction."""
        last = self.steps[-1]
        return last.interactions / (last.users * last.items)

    def as_json(self) -> str:
        """Write the report for programs."""
        last = self.steps[-1]
        result = {
            "interactions": last.interactions,
            "users": last.users,
            "items": last.items,
            "density": self.density,
        }
        return json.dumps({**asdict(self), "result": result}, indent=2, ensure_ascii=False) + "\n"

    def as_markdown(self) -> str:
        """Write the report for people."""
        parts = [f"# {self.dataset}", self._paragraph(), "## Filters", self._table_of_steps()]
        parts += ["## Modalities", self._table_of_fields()]

        notes = [f"- **{warning}**" for warning in self.warnings]
        notes += [f"- {note}" for note in (*self.notes, *self.inferred)]
        if notes:
            parts += ["## Notes", "\n".join(notes)]

        parts += ["## Options", self._table_of_options()]
        return "\n\n".join(parts) + "\n"

    def _paragraph(self) -> str:
        """Write the size of the data set, and the command."""
        # The last step is the data set as it is written.
        last = self.steps[-1]
        others = [f"{n:,} {side}s" for side, n in self.others.items() if n]
        without = f" Without any interaction: {' and '.join(others)}." if others else ""
        return (
            f"{last.interactions:,} interactions of {last.users:,} users with {last.items:,} "
            f"items, density {self.density:.4%}.{without} Made by `recbole-sibrar prepare "
            f"{self.converter}`, version {self.version}."
        )

    def _table_of_steps(self) -> str:
        rows = []
        for step in self.steps:
            counts = (f"{step.interactions:,}", f"{step.users:,}", f"{step.items:,}")
            rows.append((step.name, *counts))
        return _table(("left after", "interactions", "users", "items"), rows)

    def _table_of_fields(self) -> str:
        if not self.modalities:
            return "None."

        rows = []
        for m in self.modalities:
            missing = f"{m.missing_share:.2%}"
            rows.append((m.side, m.name, m.type, f"{m.size:,}", missing, m.source))
        return _table(("of", "field", "type", "size", "missing", "source"), rows)

    def _table_of_options(self) -> str:
        rows = []
        for name, value in self.options.items():
            rows.append((f"`--{name}`", "" if value is None else f"`{value}`"))
        return _table(("option", "value"), rows)

    def summary(self) -> str:
        """Write the report without options and inferred types, in lines for the terminal."""
        lines = [f"{'interactions':>13} {'users':>9} {'items':>9}"]
        for step in self.steps:
            lines.append(f"{step.interactions:>13,} {step.users:>9,} {step.items:>9,}  {step.name}")
        for m in self.modalities:
            lines.append(
                f"{m.side:>13} {m.name}: {m.type} of size {m.size:,}, {m.missing_share:.2%} missing"
            )

        # Warnings are the last: the end of the screen is read most.
        lines += [f"note: {note}" for note in self.notes]
        lines += [f"warning: {warning}" for warning in self.warnings]
        return "\n".join(lines)


def describe(side: str, columns: Sequence[FieldColumn]) -> list[Modality]:
    """Describe the fields of one side for the report."""
    modalities = []
    for column in columns:
        field = column.column.field
        modality = Modality(
            side=side,
            name=field.name,
            type=field.type,
            size=column.size,
            available=int(column.available.sum()),
            missing_share=float(1 - column.available.mean()),
            source=column.source,
        )
        modalities.append(modality)
    return modalities


def configuration(report: Report, inter_fields: Sequence[str]) -> str:
    """Write the configuration of the data set, for all models.

    Args:
        report: The report.
        inter_fields: Names of the columns of the interactions.
    """
    keys: dict[str, Any] = {
        "field_separator": "\t",
        "seq_separator": " ",
        "USER_ID_FIELD": "user_id",
        "ITEM_ID_FIELD": "item_id",
        "RATING_FIELD": "rating",
        "TIME_FIELD": "timestamp",
        "load_col": {"inter": list(inter_fields)},
    }
    # Numbers such as years and prices are of different sizes: RecBole scales these to 0 to 1.
    numbers = [modality.name for modality in report.modalities if modality.type == "float"]
    if numbers:
        keys["normalize_field"] = numbers

    # One line for each key, however long its list.
    lines = yaml.safe_dump(
        keys, sort_keys=False, allow_unicode=True, default_flow_style=None, width=1000
    )
    return (
        f"# How models read {report.dataset}. Keys on the command line and in configuration files "
        f"go before these.\n# Made by recbole-sibrar prepare {report.converter}. Models of the "
        "plugin load all user and item fields\n# as well; for a model of RecBole add what it "
        "needs to load_col, such as item: [item_id, genres].\n" + lines
    )


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = []
    for row in (header, ["---"] * len(header), *rows):
        # Lists separated by | are common in cells, and would end the cell.
        cells = [cell.replace("|", "&#124;") for cell in row]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)
