"""Middleware around all endpoints: checks of names and sizes, headers, measurements, failures."""

from __future__ import annotations

import time
import traceback
from collections.abc import Collection
from ipaddress import ip_address
from logging import getLogger
from typing import TYPE_CHECKING

from recbole_sibrar.serving.api.failures import problem
from recbole_sibrar.serving.api.metrics import Metrics

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["Guard", "host_of"]

_HEADERS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src "
        "'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
    "cache-control": "no-store",
}

_GONE = 499
"""Status, in the measurements alone, of a request whose client has gone; nginx writes it so."""

_ENCODED = [(name.encode(), value.encode()) for name, value in _HEADERS.items()]


class _TooLargeError(Exception):
    """The body is larger than allowed."""


class _MisdirectedError(Exception):
    """The request is for another server."""


class _DisconnectError(Exception):
    """The client has gone before the end of its request."""


class Guard:
    """Middleware around all endpoints.

    Args:
        app: The application.
        max_body: Largest body, in bytes.
        hosts: Names of the server, beside ``localhost`` and addresses; ``*`` for any.
        metrics: Measurements.
    """

    def __init__(
        self, app: ASGIApp, max_body: int, hosts: Collection[str], metrics: Metrics
    ) -> None:
        self.app = app
        self.hosts = {name.lower() for name in hosts}
        self.max_body = max_body
        self.metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        started = time.perf_counter()
        status = 500
        has_begun = False

        async def send_guarded(message: Message) -> None:
            nonlocal status, has_begun
            if message["type"] == "http.response.start":
                status = message["status"]
                has_begun = True
                message["headers"] = [*message["headers"], *_ENCODED]
            await send(message)

        try:
            self._check_host(scope)
            body = await self._body(scope, receive)
            await self.app(scope, _Replay(body, receive), send_guarded)
        except _MisdirectedError as error:
            names = ", ".join(sorted({"localhost", *self.hosts}))
            allowed = f"allowed are addresses, {names}; --allowed-hosts adds names"
            refusal = problem(421, f"Host: found {str(error)[:80]!r}, {allowed}")
            await refusal(scope, receive, send_guarded)
        except _TooLargeError:
            refusal = problem(
                413, f"body: found more than {self.max_body} bytes", {"connection": "close"}
            )
            await refusal(scope, receive, send_guarded)
        except _DisconnectError:
            status = _GONE  # no failure of the server
        except Exception as error:
            getLogger(__name__).error("failed: %s", _place_of(error))
            # A second answer cannot follow one that is on its way.
            if has_begun:
                raise
            refusal = problem(500, "the server has failed at this request")
            await refusal(scope, receive, send_guarded)
        finally:
            self._measure(scope, status, time.perf_counter() - started)

    def _measure(self, scope: Scope, status: int, seconds: float) -> None:
        # A path of the client's choice would make a series of its own.
        endpoint = getattr(scope.get("route"), "path", "other")
        self.metrics.requests.labels(endpoint, str(status)).inc()
        self.metrics.seconds.labels(endpoint).observe(seconds)

    def _check_host(self, scope: Scope) -> None:
        """Refuse a name that is not the server's.

        A page on the network can point its own name to the loopback address (DNS rebinding). The
        browser then takes the answers of this server for the page's own. Its name in the header
        Host tells.
        """
        if "*" in self.hosts:
            return
        for name, value in scope["headers"]:
            host = host_of(value.decode("latin-1"))
            if name == b"host" and not self._is_own(host):
                raise _MisdirectedError(host)

    def _is_own(self, host: str) -> bool:
        return host == "localhost" or host in self.hosts or _is_address(host)

    async def _body(self, scope: Scope, receive: Receive) -> bytes:
        """Receive the body, and no more than allowed."""
        lengths = (value for name, value in scope["headers"] if name == b"content-length")
        length = next(lengths, b"0")
        # Python refuses to read a number of thousands of digits.
        if length.isdigit() and int(length[:20]) > self.max_body:
            raise _TooLargeError

        parts: list[bytes] = []
        size = 0
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise _DisconnectError
            parts.append(message.get("body", b""))
            size += len(parts[-1])
            if size > self.max_body:
                raise _TooLargeError
            if not message.get("more_body", False):
                return b"".join(parts)


def host_of(header: str) -> str:
    """Take the name or address from a header ``Host``.

    Example:
        >>> host_of("Films.example:8000"), host_of("[::1]:8000"), host_of("127.0.0.1")
        ('films.example', '::1', '127.0.0.1')
    """
    host = header.strip().lower()
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0].rstrip(".")


def _is_address(host: str) -> bool:
    """Tell if a host is a number; no name server has a say about one."""
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


class _Replay:
    """Give the application a body that was received already."""

    def __init__(self, body: bytes, receive: Receive) -> None:
        self._body: bytes | None = body
        self._receive = receive

    async def __call__(self) -> Message:
        if self._body is None:
            return await self._receive()
        body, self._body = self._body, None
        return {"type": "http.request", "body": body, "more_body": False}


def _place_of(error: Exception) -> str:
    """Name the kind and the place of an error; its message may hold data of a request."""
    frames = traceback.extract_tb(error.__traceback__)
    return (
        f"{type(error).__name__} at {frames[-1].name}:{frames[-1].lineno}"
        if frames
        else type(error).__name__
    )
