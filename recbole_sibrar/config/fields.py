"""Keys with a meaning that depends on the data: on their fields, and on the split."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import chain
from typing import TYPE_CHECKING

from recbole_sibrar.config.encoder import EncoderConfig, has_key
from recbole_sibrar.config.values import BY_SPLIT
from recbole_sibrar.errors import nearest, refuse
from recbole_sibrar.names import INTERACTIONS, RESERVED_NAMES, Side
from recbole_sibrar.protocols import ConfigLike, FullConfig

# Importing the tables imports torch, and commands read their options without.
if TYPE_CHECKING:
    from recbole_sibrar.data.modality import ModalityTable

NEW_SHARE = 0.1
"""Smallest share of new entities among the evaluated ones with which ``by_split`` is ``auto``."""

_SCALED = {
    "normalize_numbers": (("scalar",), "float"),
    "normalize_vectors": (("vector",), "float_seq"),
    "projection_kernel": (("vector", "scalar"), "float_seq or float"),
}
"""Key with a value for each field -> kinds of its modalities, and type of their fields."""


def check_scaled_fields(
    config: ConfigLike,
    encoders: Mapping[Side, EncoderConfig],
    tables: Mapping[Side, Mapping[str, ModalityTable]],
) -> None:
    """Check the names of fields in the keys with a value for each field of numbers or vectors.

    Args:
        config: RecBole's ``Config``.
        encoders: Configuration of each side.
        tables: All modalities of each side.

    Raises:
        ConfigError: A name is not a field of numbers, or of vectors, of the side or, for a key
            without prefix, of any.
    """
    for name, (kinds, field_type) in _SCALED.items():
        fields = {side: _fields_of_kinds(own, kinds) for side, own in tables.items()}
        fields_of_both = list(chain.from_iterable(fields.values()))
        for side, encoder in encoders.items():
            # a key without prefix may name the fields of both sides
            own_key = has_key(config, side, name)
            key = f"{side}_{name}" if own_key else name
            allowed = fields[side] if own_key else fields_of_both
            listed = ", ".join(allowed) or "none in these data"
            for field, _ in getattr(encoder, name).fields:
                if field not in allowed:
                    hint = nearest(field, allowed)
                    refuse(key, field, f"a field of type {field_type}: {listed}{hint}")


def _fields_of_kinds(tables: Mapping[str, ModalityTable], kinds: tuple[str, ...]) -> list[str]:
    """Names of the fields of some kinds."""
    own = [name for name in tables if name not in RESERVED_NAMES]
    return [name for name in own if tables[name].kind.value in kinds]


def settle_modalities(
    config: FullConfig,
    side: Side,
    names: tuple[str, ...],
    n_evaluated: int,
    n_new: int,
) -> str | None:
    """Replace ``by_split`` in a configuration by its meaning for a split.

    The checkpoint then holds the choice, whatever data it is used with later.

    Args:
        config: RecBole's ``Config``; changed in place.
        side: ``user`` or ``item``.
        names: Modalities that the model can use.
        n_evaluated: Number of entities of the side in validation and test.
        n_new: Number of those without training interactions.

    Returns:
        A line for the log about the choice and its reason; None where the key has another value.
    """
    own = f"{side}_modalities"
    key = own if config[own] is not None else "modalities"
    if config[key] != BY_SPLIT:
        return None

    # without interactions in training, there is nothing to encode a new entity by
    is_new = n_new > 0 and n_new >= NEW_SHARE * n_evaluated
    config[own] = "auto" if is_new or INTERACTIONS not in names else [INTERACTIONS]
    chosen = "auto" if config[own] == "auto" else f"[{INTERACTIONS}]"
    reason = f"{n_new} of {n_evaluated} evaluated {side}s have no training interactions"
    return f"{own}: {chosen} ({BY_SPLIT}: {reason})"
