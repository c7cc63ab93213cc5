"""Answers of the model to checked requests."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from recbole_sibrar.errors import DataError, UnknownEntityError, refuse
from recbole_sibrar.names import INTERACTIONS
from recbole_sibrar.serving.api.messages import (
    AudienceRequest,
    ExplainRequest,
    NewUser,
    RecommendRequest,
    SimilarRequest,
)
from recbole_sibrar.serving.api.served import ModelInService
from recbole_sibrar.serving.api.settings import ServerSettings
from recbole_sibrar.serving.look_ups import Listing, LookUps
from recbole_sibrar.serving.recommender import Recommender

__all__ = ["audience", "check_count", "explain", "recommend", "similar"]


def check_count(key: str, n: int, limit: int) -> None:
    """Refuse more than a limit allows.

    Raises:
        ConfigError: There are more.
    """
    if n > limit:
        refuse(key, n, f"1 to {limit} in one request")


def recommend(
    model: ModelInService, request: RecommendRequest, settings: ServerSettings
) -> list[dict[str, Any]]:
    """Recommend items to the users of a request, known and new ones."""
    check_count("users", len(request.users), settings.max_batch)
    check_count("k", request.k, settings.max_k)
    # All users are resolved first, so that an error costs no search.
    users: list[str | dict[str, Any] | None] = []
    for place, user in enumerate(request.users):
        users.append(_resolved(model.look_ups, user, request, place))

    if request.user_modalities is not None or request.item_modalities is not None:
        listings = [_without_modalities(model, user, request) for user in users]
    else:
        listings = _by_kind(model, users, request)

    answers = []
    for given, resolved, listing in zip(request.users, users, listings, strict=True):
        token = given if isinstance(given, str) else given.id
        name = "new" if token is None else token
        answers.append({"user": name, "source": _source(resolved), "items": _items(listing)})
    return answers


def _source(user: str | dict[str, Any] | None) -> str:
    """Tell how a user was answered for."""
    if user is None:
        return "popular"
    return "known" if isinstance(user, str) else "new"


def _resolved(
    look_ups: LookUps, user: str | NewUser, request: RecommendRequest, place: int
) -> str | dict[str, Any] | None:
    """Find out how to answer for a user.

    Returns:
        An id for a known user, fields for a new one, None for popular items.
    """
    token = user if isinstance(user, str) else user.id
    if token is not None and look_ups.knows("user", token):
        return token

    if token is not None and request.on_unknown != "new":
        if request.on_unknown == "popular":
            return None
        raise UnknownEntityError("user", token, look_ups.near("user", token))
    if isinstance(user, str):
        raise DataError(
            f"users[{place}]: '{token}' is unknown and comes with neither history nor fields"
        )
    return _new_user(user, place)


def _new_user(user: NewUser, place: int) -> dict[str, Any]:
    """Make the fields of a new user.

    Raises:
        DataError: There are none, or the history stands among the fields.
    """
    fields = dict(user.fields)
    if INTERACTIONS in fields:
        raise DataError(
            f"users[{place}].fields: found '{INTERACTIONS}', allowed are fields; clicks stand in "
            "history"
        )
    if user.history:
        fields[INTERACTIONS] = user.history
    if not fields:
        raise DataError(
            f"users[{place}]: found neither history nor fields, one of which a new user needs"
        )
    return fields


def _by_kind(
    model: ModelInService, users: Sequence[str | dict[str, Any] | None], request: RecommendRequest
) -> list[Listing]:
    """Recommend to all known users at once, and to each new one."""
    options: dict[str, Any] = {
        "filter": request.filter,
        "candidates": request.candidates,
        "exclude_seen": request.exclude_seen,
    }
    # One matrix product scores all known users; a user who occurs twice is ranked once.
    known = list(dict.fromkeys(user for user in users if isinstance(user, str)))
    listed = model.look_ups.recommend(known, request.k, **options) if known else []
    by_user = dict(zip(known, listed, strict=True))

    listings: list[Listing] = []
    for user in users:
        if isinstance(user, str):
            listings.append(by_user[user])
        elif user is None:
            listings.append(_popular(model, request))
        else:
            fields = dict(user)
            history = fields.pop(INTERACTIONS, [])
            frame = model.recommender.recommend_for(history, fields, request.k, **options)
            listings.append(model.look_ups.listing_of(frame))
    return listings


def _popular(model: ModelInService, request: RecommendRequest) -> Listing:
    frame = model.look_ups.popular_items(request.k, request.filter, request.candidates)
    return model.look_ups.listing_of(frame)


def _without_modalities(
    model: ModelInService, user: str | dict[str, Any] | None, request: RecommendRequest
) -> Listing:
    if user is None:
        return _popular(model, request)
    frame = model.what_if.recommend(
        user,
        request.k,
        filter=request.filter,
        candidates=request.candidates,
        exclude_seen=request.exclude_seen,
        user_modalities=request.user_modalities,
        item_modalities=request.item_modalities,
    )
    return model.look_ups.listing_of(frame)


def _items(listing: Listing) -> list[dict[str, Any]]:
    rows = zip(listing.items, listing.scores, listing.displays, strict=True)
    return [{"item": item, "score": score, "display": display} for item, score, display in rows]


def similar(
    model: ModelInService, request: SimilarRequest, settings: ServerSettings
) -> list[dict[str, Any]]:
    """Find the items most similar to those of a request."""
    check_count("items", len(request.items), settings.max_batch)
    check_count("k", request.k, settings.max_k)

    answers = []
    for place, item in enumerate(request.items):
        frame = _at(place, partial(_similar_to, model.recommender, item, request))
        # A listing reads the column `item`, which here is the item that was asked about.
        renamed = frame.rename(columns={"item": "to", "similar": "item"})
        listing = model.look_ups.listing_of(renamed)
        answers.append({"item": _name(model.recommender, item), "similar": _items(listing)})
    return answers


def _similar_to(
    model: Recommender, item: str | Mapping[str, Any], request: SimilarRequest
) -> pd.DataFrame:
    return model.similar_items(
        item, request.k, modalities=request.modalities, filter=request.filter
    )


def audience(
    model: ModelInService, request: AudienceRequest, settings: ServerSettings
) -> list[dict[str, Any]]:
    """Find the users who would like the items of a request most."""
    check_count("items", len(request.items), settings.max_batch)
    # The default may be more than this server allows.
    k = request.k if "k" in request.model_fields_set else min(request.k, settings.max_k)
    check_count("k", k, settings.max_k)

    answers = []
    find = partial(model.recommender.audience, k=k, exclude_seen=request.exclude_seen)
    for place, item in enumerate(request.items):
        frame = _at(place, partial(find, item))
        # JSON knows Python's numbers, not NumPy's.
        users = []
        for user, score in zip(frame["user"], frame["score"], strict=True):
            users.append({"user": user, "score": float(score)})
        answers.append({"item": _name(model.recommender, item), "users": users})
    return answers


def explain(
    model: ModelInService, request: ExplainRequest, settings: ServerSettings
) -> list[dict[str, Any]]:
    """Divide the scores of pairs among the modalities."""
    check_count("pairs", len(request.pairs), settings.max_batch)
    answers = []
    for place, pair in enumerate(request.pairs):
        user = _explained_user(model.look_ups, pair.user, place)
        frame = model.what_if.explain(
            user, pair.item, request.user_modalities, request.item_modalities
        )
        parts = frame[["user_modality", "item_modality", "part"]].to_dict("records")
        answers.append(
            {
                "user": frame["user"][0],
                "item": frame["item"][0],
                "score": float(np.sum(frame["part"].to_numpy())),
                "parts": parts,
            }
        )
    return answers


def _explained_user(look_ups: LookUps, user: str | NewUser, place: int) -> str | dict[str, Any]:
    """Find out who a pair is about: an id for a known user, fields for a new one."""
    if isinstance(user, str):
        return user
    if user.id is not None and look_ups.knows("user", user.id):
        return user.id
    return _new_user(user, place)


def _at(place: int, compute: Callable[[], pd.DataFrame]) -> pd.DataFrame:
    """Name the item of a request that an error is about."""
    try:
        return compute()
    except UnknownEntityError:  # which names its item itself
        raise
    except DataError as error:
        raise DataError(f"items[{place}]: {error}") from None


def _name(model: Recommender, item: str | Mapping[str, Any]) -> str:
    if isinstance(item, str):
        return item
    return str(item.get(model.manifest.items.id_field) or "new")
