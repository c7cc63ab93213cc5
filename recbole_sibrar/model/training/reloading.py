"""Hooks of a model that loads the weights of a checkpoint."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from recbole_sibrar.model.layers import pad_rows
from recbole_sibrar.names import SIDES

if TYPE_CHECKING:
    from recbole_sibrar.model.multimodal import MultimodalRecommender


_do_weights_follow: ContextVar[bool] = ContextVar("do_weights_follow", default=False)


@contextmanager
def weights_follow() -> Iterator[None]:
    """Make models whose weights are loaded afterwards; their own start is left out."""
    token = _do_weights_follow.set(True)
    try:
        yield
    finally:
        _do_weights_follow.reset(token)


def do_weights_follow() -> bool:
    """Tell whether a model is made for the weights of a checkpoint."""
    return _do_weights_follow.get()


def pad_before_loading(
    model: MultimodalRecommender, state: dict[str, Any], prefix: str, *rest: object
) -> None:
    """Make room for users and items in the data that the checkpoint's training did not have."""
    for side in SIDES:
        names = [f"{prefix}{name}" for name in model.entity_rows(side)]
        pad_rows(state, names, model.n_known[side], model.encoder_of(side).n_entities)


def forget_after_loading(model: MultimodalRecommender, keys: object) -> None:
    """Forget the embeddings of the weights before, and their average."""
    model.forget_embeddings()
    # The checkpoint may be of a model in evaluation, whose weights and average have changed places.
    if model.average is not None:
        model.average.use(model, not model.training)
