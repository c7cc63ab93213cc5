"""A run of a comparison: one model with one seed, and the files in its folder."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from recbole_sibrar.quick_start.group.single_run import RESULT
from recbole_sibrar.quick_start.group.variants import Variant

__all__ = ["CONFIGURATION", "CURVE", "ENVIRONMENT", "LOG", "PER_USER", "Run"]

LOG = "log.txt"
"""Output of the run's process."""

CONFIGURATION = "config.yaml"
"""All keys of the run."""

ENVIRONMENT = "environment.json"
"""Versions of packages and state of git."""

PER_USER = "per_user.parquet"
"""Test results of each user."""

CURVE = "learning_curve.csv"
"""Training loss and validation metrics of each epoch."""


@dataclass(frozen=True)
class Run:
    """A model with one seed."""

    variant: Variant
    """The model."""
    seed: int
    """RecBole's ``seed``."""
    folder: Path
    """Folder of all files of the run; its name ends with a hash of the full configuration."""
    specification: dict[str, Any]
    """Content of ``run.yaml``, the input of :mod:`~recbole_sibrar.quick_start.group.single_run`."""
    configuration: dict[str, Any] = field(default_factory=dict)
    """All keys and their values, for the record."""

    @property
    def finished(self) -> bool:
        """True if there is a result, from now or from an earlier start of the comparison."""
        return (self.folder / RESULT).is_file()

    def result(self) -> dict[str, Any]:
        """Read the result of the finished run."""
        result: dict[str, Any] = json.loads((self.folder / RESULT).read_text(encoding="utf-8"))
        return result

    def partition(self) -> str | None:
        """Find the hash of the held-out pairs in the log; None if it is not there."""
        return self._last_logged(r"held-out pairs ([0-9a-f]{12})\b")

    def ranked_items(self) -> str | None:
        """Find the number of items ranked in the test in the log; None if it is not there."""
        return self._last_logged(r"ranked items: test (\d+)")

    def _last_logged(self, pattern: str) -> str | None:
        log = self.folder / LOG
        if not log.is_file():
            return None

        # Libraries may print other bytes than UTF-8.
        text = log.read_text(encoding="utf-8", errors="replace")
        found: list[str] = re.findall(pattern, text)
        return found[-1] if found else None
