"""Endpoints that read: recommendations and their like, and searches for the page."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse
from pydantic import AfterValidator

from recbole_sibrar.names import Side
from recbole_sibrar.serving.api import answering
from recbole_sibrar.serving.api.failures import PROBLEMS
from recbole_sibrar.serving.api.messages import (
    AudienceAnswer,
    AudienceRequest,
    ExplainAnswer,
    ExplainRequest,
    ModelAnswer,
    RecommendAnswer,
    RecommendRequest,
    SimilarAnswer,
    SimilarRequest,
    TokensAnswer,
    check_plain,
)
from recbole_sibrar.serving.api.served import Service
from recbole_sibrar.serving.bundle.manifest import SideSpec

__all__ = ["router", "service_of"]

router = APIRouter(responses=PROBLEMS)


def service_of(request: Request) -> Service:
    """Return the service of the application that a request came to."""
    service: Service = request.app.state.service
    return service


# An answer that is a response already is not validated and converted again, which would take longer
# than the search.


@router.post("/recommend", response_model=RecommendAnswer, tags=["recommendations"])
def recommend(request: Request, body: RecommendRequest) -> JSONResponse:
    """Recommend items to known and new users."""
    service = service_of(request)
    answers = answering.recommend(service.current(), body, service.settings)
    return JSONResponse({"recommendations": answers})


@router.post("/similar", response_model=SimilarAnswer, tags=["recommendations"])
def similar(request: Request, body: SimilarRequest) -> JSONResponse:
    """Find the items most similar to known or new ones."""
    service = service_of(request)
    answers = answering.similar(service.current(), body, service.settings)
    return JSONResponse({"similar": answers})


@router.post("/audience", response_model=AudienceAnswer, tags=["recommendations"])
def audience(request: Request, body: AudienceRequest) -> JSONResponse:
    """Find the users who would like known or new items most."""
    service = service_of(request)
    answers = answering.audience(service.current(), body, service.settings)
    return JSONResponse({"audiences": answers})


@router.post("/explain", response_model=ExplainAnswer, tags=["recommendations"])
def explain(request: Request, body: ExplainRequest) -> JSONResponse:
    """Divide scores among the modalities of users and items."""
    service = service_of(request)
    answers = answering.explain(service.current(), body, service.settings)
    return JSONResponse({"explanations": answers})


@router.get("/model", response_model=ModelAnswer, tags=["model"])
def model(request: Request) -> JSONResponse:
    """Describe the model and the limits of the server."""
    service = service_of(request)
    held = service.current().recommender
    manifest = held.manifest
    settings = service.settings
    answer = {
        "model": manifest.model,
        "embedding_size": manifest.embedding_size,
        "users": _side(manifest.users, held.n_users),
        "items": _side(manifest.items, held.n_items),
        "takes_new": manifest.items.encoder != "none",
        "has_modalities": manifest.has_modalities,
        "is_writable": settings.token_file is not None,
        "limits": {"body": settings.max_body, "batch": settings.max_batch, "k": settings.max_k},
    }
    return JSONResponse(answer)


def _side(spec: SideSpec, n: int) -> dict[str, Any]:
    fields: list[dict[str, Any]] = []
    for field in spec.fields:
        fields.append({"name": field.name, "type": field.type, "size": field.size})

    return {
        "n": n,
        "id_field": spec.id_field,
        "fields": fields,
        "modalities": list(spec.modalities),
        "display": list(spec.display),
    }


@router.get("/tokens/{side}", response_model=TokensAnswer, tags=["model"])
def tokens(
    request: Request,
    side: Literal["user", "item"],
    start: Annotated[str, Query(max_length=512), AfterValidator(check_plain)] = "",
    limit: int = Query(20, ge=1, le=100),
) -> JSONResponse:
    """List users or items with an id that starts with some characters."""
    model_in_service = service_of(request).current()
    chosen: Side = side
    found = model_in_service.recommender.tokens(chosen, start, limit)
    # Users have no display columns.
    displays: list[dict[str, Any]] = [{}] * len(found)
    if chosen == "item":
        displays = model_in_service.look_ups.display_of(found)

    rows: list[dict[str, Any]] = []
    for token, display in zip(found, displays, strict=True):
        rows.append({"token": token, "display": display})
    return JSONResponse({"found": rows})
