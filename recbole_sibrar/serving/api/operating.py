"""Endpoints for the operation of the server, and its page."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, PlainTextResponse, Response
from starlette.exceptions import HTTPException

from recbole_sibrar.serving.api.endpoints import service_of
from recbole_sibrar.serving.api.metrics import Metrics

__all__ = ["router"]

router = APIRouter(tags=["operation"])

_ASSETS = {
    "": ("explorer.html", "text/html; charset=utf-8"),
    "docs": ("docs.html", "text/html; charset=utf-8"),
    "page.css": ("page.css", "text/css; charset=utf-8"),
    "explorer.js": ("explorer.js", "text/javascript; charset=utf-8"),
    "shared.js": ("shared.js", "text/javascript; charset=utf-8"),
    "docs.js": ("docs.js", "text/javascript; charset=utf-8"),
}
"""Path -> file of the package and its type."""


@router.get("/health")
async def health() -> JSONResponse:
    """Tell that the process answers."""
    return JSONResponse({"status": "ok"})


@router.get("/ready")
def ready(request: Request) -> JSONResponse:
    """Tell that model and store can be used."""
    model = service_of(request).current()
    return JSONResponse(
        {"status": "ready", "items": model.recommender.n_items, "unreadable": len(model.unreadable)}
    )


@router.get("/metrics", response_class=PlainTextResponse)
def metrics(request: Request) -> Response:
    """Write the measurements of all workers for Prometheus."""
    measured: Metrics = request.app.state.metrics
    model = service_of(request).current()
    measured.items.set(model.recommender.n_items)
    measured.unreadable.set(len(model.unreadable))
    return Response(measured.text(), media_type="text/plain; version=0.0.4; charset=utf-8")


@router.get("/", include_in_schema=False)
def page() -> Response:
    """Show the explorer."""
    return _asset("")


@router.get("/docs", include_in_schema=False)
def docs() -> Response:
    """Show all endpoints."""
    return _asset("docs")


@router.get("/assets/{name}", include_in_schema=False)
def asset(name: str) -> Response:
    """Return a file of the page."""
    # A fixed table: a name from a request never becomes a path.
    if name not in _ASSETS:
        raise HTTPException(404, "there is no such file")
    return _asset(name)


def _asset(name: str) -> Response:
    file, kind = _ASSETS[name]
    return Response(_content(file), media_type=kind)


@cache
def _content(file: str) -> bytes:
    return files("recbole_sibrar.serving").joinpath("page", file).read_bytes()
