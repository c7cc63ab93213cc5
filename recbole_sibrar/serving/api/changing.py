"""Endpoints that write, with the token alone: items, and the reload of the model."""

from __future__ import annotations

import asyncio
import hmac
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import JSONResponse
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from starlette.exceptions import HTTPException

from recbole_sibrar.errors import (
    ConfigError,
    DataError,
    PortableModelError,
    UnknownEntityError,
    one_line,
)
from recbole_sibrar.serving.api.answering import check_count
from recbole_sibrar.serving.api.endpoints import service_of
from recbole_sibrar.serving.api.failures import PROBLEMS, problem
from recbole_sibrar.serving.api.messages import (
    ItemsAnswer,
    Problem,
    PutRequest,
    ReloadAnswer,
    Token,
)
from recbole_sibrar.serving.api.served import ModelInService, Service
from recbole_sibrar.serving.api.store import ItemStore

__all__ = ["router"]

_bearer = HTTPBearer(auto_error=False, description="The token of --token-file")


def check_token(
    request: Request, given: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)] = None
) -> None:
    """Refuse a write without the token.

    Raises:
        HTTPException: The server only reads (403), or the token is missing or wrong (401).
    """
    token: str | None = request.app.state.token
    if token is None:
        raise HTTPException(
            403, "this server only reads; start it with --token-file to change items"
        )

    # A plain comparison ends at the first wrong character, and its time tells how far one has come.
    if given is None or not hmac.compare_digest(given.credentials.encode(), token.encode()):
        headers = {"WWW-Authenticate": "Bearer"}
        message = "the token is missing or wrong: send Authorization: Bearer TOKEN"
        raise HTTPException(401, message, headers)


router = APIRouter(
    responses={
        **PROBLEMS,
        401: {"model": Problem, "description": "The token is missing or wrong"},
        403: {"model": Problem, "description": "The server only reads"},
    },
    dependencies=[Depends(check_token)],
    tags=["changes"],
)


@router.put("/items", response_model=ItemsAnswer)
def put_items(request: Request, body: PutRequest) -> JSONResponse:
    """Add items, or replace some. After the answer they compete in all workers, and survive a restart."""
    service = service_of(request)
    check_count("items", len(body.items), service.settings.max_batch)
    model = service.current()
    id_field = model.recommender.manifest.items.id_field

    by_token = {}
    for place, fields in enumerate(body.items):
        token = _token_of(fields.get(id_field), f"items[{place}].{id_field}")
        if token in by_token:
            raise DataError(f"items[{place}].{id_field}: found '{token}' twice")
        by_token[token] = {**fields, id_field: token}

    # Before the store, from which every worker would read what the model cannot use.
    model.look_ups.check_items(list(by_token.values()))
    n_replaced = sum(map(model.look_ups.competes, by_token))
    _store(service).put(by_token)
    # The model takes the items from the store, as in every other worker.
    n_items = service.current().recommender.n_items
    answer = {
        "added": len(by_token) - n_replaced,
        "replaced": n_replaced,
        "removed": 0,
        "n_items": n_items,
    }
    return JSONResponse(answer)


def _token_of(value: object, place: str) -> str:
    is_number = isinstance(value, int) and not isinstance(value, bool)
    if not (is_number or (isinstance(value, str) and 0 < len(value) <= 512)):
        raise DataError(
            f"{place}: found {str(value)[:80]!r}, allowed is an id of 1 to 512 characters"
        )
    return str(value)


@router.delete("/items", response_model=ItemsAnswer)
def remove_items(
    request: Request, item: Annotated[list[Token], Query(min_length=1)]
) -> JSONResponse:
    """Remove items, which no longer compete; a later PUT brings one back.

    Items that are removed already are not counted, so that a request may be sent again after a lost answer.
    """
    service = service_of(request)
    check_count("item", len(item), service.settings.max_batch)
    look_ups = service.current().look_ups
    for token in item:
        if not look_ups.knows("item", token):
            raise UnknownEntityError("item", token, look_ups.near("item", token))

    chosen = [token for token in dict.fromkeys(item) if look_ups.competes(token)]
    _store(service).remove(chosen)
    n_items = service.current().recommender.n_items
    return JSONResponse({"added": 0, "replaced": 0, "removed": len(chosen), "n_items": n_items})


def _store(service: Service) -> ItemStore:
    assert service.store is not None  # a server with a token has one
    return service.store


@router.post("/reload", response_model=ReloadAnswer)
async def reload(request: Request) -> JSONResponse:
    """Load the model folder again; other workers follow within a second."""
    service = service_of(request)
    # In a thread beside those of the other requests, which it would keep waiting. A ConfigError
    # tells that a package is missing that the model needs.
    try:
        model: ModelInService = await asyncio.to_thread(service.reload_everywhere)
    except (PortableModelError, ConfigError) as error:
        # The answer does not tell where the folder is.
        message = one_line(error).replace(str(service.settings.model), "the model")
        return problem(409, f"not reloaded: {message}")

    held = model.recommender
    counts = {"n_users": held.n_users, "n_items": held.n_items, "unreadable": len(model.unreadable)}
    return JSONResponse({"model": held.manifest.model, **counts})
