"""The application: all endpoints around one service."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from logging import getLogger

from anyio.to_thread import current_default_thread_limiter
from fastapi import FastAPI

from recbole_sibrar.serving.api import changing, endpoints, operating
from recbole_sibrar.serving.api.failures import add_handlers
from recbole_sibrar.serving.api.guard import Guard
from recbole_sibrar.serving.api.metrics import Metrics
from recbole_sibrar.serving.api.served import Service
from recbole_sibrar.serving.api.settings import ServerSettings, read_token
from recbole_sibrar.serving.api.store import StoreError

__all__ = ["create_app"]

_FOLLOW_SECONDS = 0.5
"""Seconds between two looks for a reload that another worker was asked for."""


def create_app(settings: ServerSettings, service: Service | None = None) -> FastAPI:
    """Make the application.

    Args:
        settings: Settings of the server.
        service: The model in service; None to load it at the start.

    Raises:
        ConfigError: The token cannot be read.
    """
    metrics = Metrics()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        held = service if service is not None else await asyncio.to_thread(Service, settings)
        app.state.service = held
        # a look for garbage among all that was imported and loaded stops every request for 0.1 s
        gc.collect()
        gc.freeze()
        held.on_reload = lambda result: metrics.reloads.labels(result).inc()
        # By default 40 requests are worked on at a time.
        current_default_thread_limiter().total_tokens = _threads()

        follower = asyncio.create_task(_follow(held))
        has_signal = _reload_at_signal(held)
        yield

        follower.cancel()
        with suppress(asyncio.CancelledError):
            await follower
        if has_signal:
            asyncio.get_running_loop().remove_signal_handler(signal.SIGHUP)
        held.close()

    app = FastAPI(
        title="recbole-sibrar",
        description="Recommendations of a portable model.",
        lifespan=lifespan,
        docs_url=None,  # FastAPI's pages load scripts from a network
        redoc_url=None,
    )
    app.state.metrics = metrics
    app.state.token = read_token(settings.token_file)
    app.include_router(endpoints.router)
    app.include_router(changing.router)
    app.include_router(operating.router)
    add_handlers(app)
    app.add_middleware(Guard, max_body=settings.max_body, hosts=settings.hosts, metrics=metrics)
    return app


def _threads() -> int:
    """Count the requests to work on at a time."""
    # More than there are processors would only slow each other down.
    available = os.cpu_count() or 1
    # A container may give the process fewer than the machine has.
    if hasattr(os, "sched_getaffinity"):
        available = len(os.sched_getaffinity(0))
    return max(available, 2)


def _reload_at_signal(service: Service) -> bool:
    """Reload at SIGHUP; False where there are no signals."""
    # There are none on Windows and outside of the main thread.
    try:
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(
            signal.SIGHUP, lambda: loop.run_in_executor(None, service.try_reload)
        )
    except (NotImplementedError, RuntimeError, ValueError, AttributeError):
        return False
    return True


async def _follow(service: Service) -> None:
    """Follow the reloads of other workers."""
    while True:
        await asyncio.sleep(_FOLLOW_SECONDS)
        try:
            await asyncio.to_thread(service.follow)
        except StoreError as error:
            getLogger(__name__).error("%s", error)
