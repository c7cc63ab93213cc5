"""Options of ``recbole-sibrar gap``."""

from __future__ import annotations

import importlib.util
import os
from dataclasses import dataclass
from typing import cast

from recbole_sibrar.config import ConfigError, listed, refuse
from recbole_sibrar.config.values import optional_names_value
from recbole_sibrar.names import WHICH, Side
from recbole_sibrar.studies.options import read_side

__all__ = [
    "MAX_ITEMS",
    "PROJECTIONS",
    "Options",
    "check_projection",
    "read_options",
    "split_name",
]

MAX_ITEMS = 4000
"""Largest number of items for exact measures; of more, a sample is compared with all others."""

PROJECTIONS = ("pca", "tsne", "umap")
"""Methods of projection into two dimensions; UMAP needs the optional package umap-learn."""


@dataclass(frozen=True)
class Options:
    """Options of a measurement."""

    side: Side = "item"
    """Side of the modalities."""
    items: str = "all"
    """Entities of that side: all, train (with training interactions) or new (without)."""
    modalities: tuple[str, ...] | None = None
    """Modalities to compare; None for the evaluated ones."""
    seed: int = 0
    """Seed of random draws."""
    max_items: int = MAX_ITEMS
    """Largest number of entities for exact measures."""

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            ConfigError: One is not allowed.
        """
        read_side(self.side)
        if self.items not in WHICH:
            refuse("--items", self.items, f"one of {listed(WHICH, self.items)}")
        if self.seed < 0:
            refuse("--seed", self.seed, "an integer of at least 0")
        if self.max_items < 2:
            refuse("--max_items", self.max_items, "an integer of at least 2")


def read_options(
    side: str, items: str, modalities: str | None, seed: str, max_items: str
) -> Options:
    """Read the options of the command.

    Args:
        side: ``item`` or ``user``.
        items: ``all``, ``train`` or ``new``.
        modalities: Names separated by commas; None for all.
        seed: An integer.
        max_items: An integer.

    Raises:
        ConfigError: An option has a value that is not allowed.
    """
    names = optional_names_value("--modalities", modalities)
    n_exact = _integer("--max_items", max_items)
    return Options(cast(Side, side), items, names, _integer("--seed", seed), n_exact)


def _integer(option: str, value: str) -> int:
    if not value.isascii() or not value.isdigit():
        refuse(option, value, "an integer")
    return int(value)


def check_projection(name: str) -> None:
    """Check that a method of projection is available.

    Raises:
        ConfigError: It is unknown, or its package is not installed.
    """
    if name not in PROJECTIONS:
        refuse("--projection", name, f"one of {listed(PROJECTIONS, name)}")
    if name == "umap" and importlib.util.find_spec("umap") is None:
        raise ConfigError(
            "--projection: umap needs a package that is not installed: pip install umap-learn"
        )


def split_name(argument: str) -> tuple[str, str]:
    """Split ``NAME=FILE`` into name and file.

    A file alone has the name "". Its path may contain an equals sign.
    """
    name, equals, file = argument.partition("=")
    if not equals or os.path.sep in name or os.path.exists(argument):
        return "", argument
    return name, file
