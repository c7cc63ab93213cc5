"""Names of models, sides and modalities; importing them costs nothing."""

from __future__ import annotations

from typing import Literal

__all__ = ["BASELINES", "ID", "INTERACTIONS", "MODELS", "OWN_MODELS", "RESERVED_NAMES", "SIDES", "Side"]

MODELS = ("SiBraR", "MuBraR", "DropoutNet", "CLCRec", "TwoTower", "VBPR", "Heater", "ALDI")
"""Names of our models with encoders of modalities, as on the command line."""

BASELINES = ("ContentKNN", "EASEContent", "GenreAffinity", "AttributeMap", "CEASE")
"""Names of our models without encoders: closed forms on interactions and content."""

OWN_MODELS = (*MODELS, *BASELINES)
"""Names of all models of the plugin."""

Side = Literal["user", "item"]
"""One of the two sides of a recommender."""

SIDES: tuple[Side, ...] = ("user", "item")
"""The two sides of a recommender; also the prefixes of the keys."""

INTERACTIONS = "interactions"
"""Name of the modality with an entity's training interactions."""

ID = "id"
"""Name of the modality with a free embedding of each entity."""

RESERVED_NAMES = (INTERACTIONS, ID)
"""Names that a field of an atomic file may not have as a modality."""

IMPUTATIONS = ("none", "zero", "mean", "neighbors")
"""Values of the key ``impute``: ways to fill in missing values."""

FIELD_TYPES = ("token", "token_seq", "float", "float_seq")
"""Types of the fields of an atomic file."""
