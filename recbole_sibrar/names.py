"""Names that everything else refers to; importing them costs nothing."""

from __future__ import annotations

from typing import Literal

MODELS = ("SiBraR", "MuBraR", "DropoutNet", "CLCRec")
"""Names of our models, as on the command line."""

Side = Literal["user", "item"]
"""One of the two sides of a recommender."""

SIDES: tuple[Side, ...] = ("user", "item")
"""The two sides of a recommender; also the prefixes of the keys."""

INTERACTIONS = "interactions"
"""Name of the modality that holds an entity's training interactions."""

ID = "id"
"""Name of the modality that is a free embedding of each entity."""

RESERVED_NAMES = (INTERACTIONS, ID)
"""Names that no field of an atomic file may have when it is used as a modality."""

FIELD_TYPES = ("token", "token_seq", "float", "float_seq")
"""Types of the fields of an atomic file."""
