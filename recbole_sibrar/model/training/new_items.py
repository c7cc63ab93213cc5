"""Training steps that treat known items as new: only their content is encoded."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch import Tensor, nn

from recbole_sibrar.config import refuse
from recbole_sibrar.model.encoder import EntityEncoder
from recbole_sibrar.model.layers import InteractionsLayer
from recbole_sibrar.names import ID, INTERACTIONS


def check_new_items(users: EntityEncoder, items: EntityEncoder, share: float) -> None:
    """Check that steps can treat items as new: users have interactions, and items content.

    Args:
        users: Encoder of the users.
        items: Encoder of the items.
        share: Share of the items that a step treats as new; 0 for none.

    Raises:
        ConfigError: They are not.
    """
    if not share:
        return

    if INTERACTIONS not in users.modalities:
        found = f"the user_modalities {', '.join(users.modalities)}"
        refuse("new_item_share", share, f"0 for {found}, as items are hidden from interactions")
    if not set(items.modalities) - {ID, INTERACTIONS}:
        found = f"the item_modalities {', '.join(items.modalities)}"
        refuse("new_item_share", share, f"0 for {found}, without content")


@contextmanager
def as_new_items(users: EntityEncoder, items: EntityEncoder, new: Tensor | None) -> Iterator[None]:
    """Encode as if some items were new, within a ``with`` block.

    A model that scores an item from its content, for a user whose history has the item, learns to
    find it in the history. A new item is in none: the step is then like the use (episodes of Vartak
    et al., NIPS 2017, treat recommendation of new items alike).

    Args:
        users: Encoder of the users.
        items: Encoder of the items.
        new: int64 ``[m]``: the items; None for no change.
    """
    if new is None:
        yield
        return

    # Histories without the items, as those of a user who cannot have met a new item.
    layer = _interactions_layer(users)
    hidden = items.availability.new_zeros(items.n_entities)
    hidden[new] = True
    available = items.availability
    # A new item has neither an embedding of its own nor interactions.
    known_only = [m for m, name in enumerate(items.modalities) if name in (ID, INTERACTIONS)]

    layer.hidden = hidden
    items.availability = available.clone()
    items.availability[:, known_only] &= ~hidden[:, None]
    try:
        yield
    finally:
        layer.hidden = None
        items.availability = available


def _interactions_layer(encoder: EntityEncoder) -> InteractionsLayer:
    """First layer of the projection of the interactions."""
    projection = encoder.projections[encoder.modalities.index(INTERACTIONS)]
    assert isinstance(projection, nn.Sequential)
    layer = projection[0]
    assert isinstance(layer, InteractionsLayer)
    return layer
