"""Names of models, sides and modalities; importing them costs nothing."""

from __future__ import annotations

from typing import Literal

__all__ = [
    "ALL",
    "ATOMIC_FILES",
    "BASELINES",
    "COLD",
    "ID",
    "INTERACTIONS",
    "MODELS",
    "OWN_MODELS",
    "RESERVED_NAMES",
    "SIDES",
    "VIEWS",
    "WARM",
    "WHICH",
    "Side",
    "is_of_group",
    "metric_in_view",
    "without_view",
]

MODELS = ("SiBraR", "MuBraR", "DropoutNet", "CLCRec", "TwoTower", "VBPR", "Heater", "ALDI")
"""Names of our models with encoders of modalities, as on the command line."""

BASELINES = ("ContentKNN", "EASEContent", "GenreAffinity", "AttributeMap", "CEASE")
"""Names of our models without encoders: closed forms on interactions and content."""

OWN_MODELS = (*MODELS, *BASELINES)
"""Names of all models of the plugin."""

ATOMIC_FILES = ("inter", "user", "item", "net", "kg", "link")
"""Suffixes of RecBole's atomic files, which are the keys of ``load_col`` too."""

Side = Literal["user", "item"]
"""One of the two sides of a recommender."""

SIDES: tuple[Side, ...] = ("user", "item")
"""The two sides of a recommender; also the prefixes of the keys."""

WHICH = ("all", "train", "new")
"""Choices of entities: all, with training interactions, without."""

INTERACTIONS = "interactions"
"""Name of the modality with an entity's training interactions."""

ID = "id"
"""Name of the modality with a free embedding of each entity."""

RESERVED_NAMES = (INTERACTIONS, ID)
"""Names that a field of an atomic file may not have as a modality."""

COLD = "cold"
"""View of a mixed evaluation: interactions of new users or items."""

WARM = "warm"
"""View of a mixed evaluation: interactions of known users and items.

Also the key of their shares.
"""

ALL = "all"
"""View of all interactions; its metrics have plain names."""

VIEWS = (COLD, WARM)
"""Views of a mixed evaluation with names of metrics of their own."""

IMPUTATIONS = ("none", "zero", "mean", "neighbors")
"""Values of the key ``impute``: ways to fill in missing values."""

FIELD_TYPES = ("token", "token_seq", "float", "float_seq")
"""Types of the fields of an atomic file."""


def metric_in_view(metric: str, view: str) -> str:
    """Name a metric in a view, in the form of metrics of groups.

    Example:
        >>> metric_in_view("ndcg@10", COLD)
        'ndcg@10[cold]'
    """
    return f"{metric}[{view}]"


def without_view(metric: str) -> tuple[str, str]:
    """Divide the name of a metric into that of the metric and its view.

    Returns:
        The metric, and its view; an empty view for all interactions.

    Example:
        >>> without_view("ndcg@10[cold]"), without_view("ndcg@10")
        (('ndcg@10', 'cold'), ('ndcg@10', ''))
        >>> without_view("ndcg@10[gender=F]")
        ('ndcg@10[gender=F]', '')
    """
    for view in VIEWS:
        if metric.endswith(f"[{view}]"):
            return metric.removesuffix(f"[{view}]"), view
    return metric, ""


def is_of_group(metric: str) -> bool:
    """Tell the metrics of a group of users or items from those of all of them, or of a view.

    Example:
        >>> is_of_group("ndcg@10[gender=F]"), is_of_group("ndcg@10[cold]"), is_of_group("ndcg@10")
        (True, False, False)
    """
    # Views have brackets as well.
    return "[" in without_view(metric)[0]
