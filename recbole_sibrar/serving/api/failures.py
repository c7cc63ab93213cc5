"""Refusals in one line of JSON: ``{"detail": "users[0]: ..."}``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from recbole_sibrar.errors import (
    ConfigError,
    DataError,
    PortableModelError,
    UnknownEntityError,
    nearest,
    one_line,
)
from recbole_sibrar.serving.api.messages import Problem
from recbole_sibrar.serving.api.store import StoreError

__all__ = ["PROBLEMS", "add_handlers", "problem"]

_LONGEST = 400
"""Largest number of characters of a message."""

_TAGS = frozenset({"text", "list", "object"})
"""Tags of unions, which pydantic puts into the place of an error."""

PROBLEMS: dict[int | str, dict[str, Any]] = {
    400: {"model": Problem, "description": "The body is no JSON"},
    404: {"model": Problem, "description": "A user or item is unknown"},
    413: {"model": Problem, "description": "The body is too large"},
    422: {"model": Problem, "description": "A value cannot be used; the message names its field"},
    503: {"model": Problem, "description": "The store of the items cannot be used at this moment"},
}
"""Refusals, for the OpenAPI description."""


def problem(status: int, message: str, headers: Mapping[str, str] | None = None) -> JSONResponse:
    """Answer with a refusal."""
    # Half surrogates, which JSON can hold, cannot be encoded.
    line = " ".join(message.split())[:_LONGEST]
    safe = line.encode("utf-8", "replace").decode("utf-8")
    return JSONResponse({"detail": safe}, status, dict(headers or {}))


def add_handlers(app: FastAPI) -> None:
    """Let the errors of the package and of FastAPI end in one line."""
    for kind, status in (
        (UnknownEntityError, 404),
        (DataError, 422),
        (ConfigError, 422),
        (PortableModelError, 422),
        (StoreError, 503),
    ):
        app.add_exception_handler(kind, _answer(status))
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)


def _answer(status: int) -> Any:
    async def handler(request: Request, error: Exception) -> JSONResponse:
        return problem(status, one_line(error))

    return handler


async def _http(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    return problem(error.status_code, str(error.detail), error.headers)


async def _invalid(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    # One fault a line, as everywhere in the package.
    first = error.errors()[0]
    place = _place(first["loc"])
    if first["type"] == "json_invalid":
        return problem(400, f"body: no JSON: {first['ctx']['error']}")
    if first["type"] == "extra_forbidden":
        name = str(first["loc"][-1])
        return problem(422, f"{place}: there is no such key{nearest(name, _known_keys(request))}")

    if place == "body" and "json" not in request.headers.get("content-type", ""):
        return problem(422, "body: the header Content-Type: application/json is missing")

    message = str(first["msg"]).removeprefix("Value error, ")
    inner, colon, rest = message.partition(": ")
    if colon and first["type"] == "value_error" and " " not in inner:
        return problem(422, f"{place}{'' if inner.startswith('[') else '.'}{inner}: {rest}")

    # A whole object, or a long text, would hide the message.
    given = first.get("input")
    is_short = isinstance(given, (str, int, float, bool)) and len(repr(given)) < 80
    found = f"found {given!r}, " if is_short else ""
    return problem(422, f"{place}: {found}{message[:1].lower()}{message[1:]}")


def _place(location: Sequence[str | int]) -> str:
    """Write the place of an error, such as ``users[0].history``."""
    text = ""
    for part in location[1:]:
        if isinstance(part, int):
            text += f"[{part}]"
        elif part not in _TAGS:
            text += f".{part}" if text else str(part)
    return text or str(location[0])


def _known_keys(request: Request) -> list[str]:
    """List the keys of the body of a request."""
    route = request.scope.get("route")
    body = getattr(route, "body_field", None)
    annotation = getattr(getattr(body, "field_info", None), "annotation", None)
    return list(getattr(annotation, "model_fields", ()))
