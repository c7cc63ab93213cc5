"""Start of the server, with one worker or several."""

from __future__ import annotations

import logging
import os
import shutil
import signal
import socket
import sys
import tempfile
from dataclasses import replace
from typing import TYPE_CHECKING

from recbole_sibrar.errors import ConfigError
from recbole_sibrar.serving.api.settings import ServerSettings, read_token

if TYPE_CHECKING:
    from fastapi import FastAPI
    from uvicorn import Config

__all__ = ["INSTALL", "check_packages", "from_environment", "launch"]

INSTALL = "pip install 'recbole-sibrar[serve]'"
"""Command that installs the packages of the server."""

_APPLICATION = f"{__name__}:from_environment"

_SETTINGS = "RECBOLE_SIBRAR_SERVER"
"""Variable of the environment with the settings of the workers."""


def check_packages() -> None:
    """Check that the packages of the server are there.

    Raises:
        ConfigError: One is missing.
    """
    from importlib.util import find_spec

    for name in ("fastapi", "uvicorn", "prometheus_client"):
        if find_spec(name) is None:
            raise ConfigError(f"the package {name} is missing; {INSTALL} installs it")


def launch(settings: ServerSettings, host: str, port: int, workers: int) -> int:
    """Serve until a signal ends the server.

    Args:
        settings: Settings of the server.
        host: Address.
        port: Port; 0 for any free one.
        workers: Number of processes.

    Returns:
        Exit status.

    Raises:
        ConfigError: The token or the address cannot be used, or a package is missing.
        PortableModelError: The model cannot be loaded.
        DataError: The store cannot be used.
    """
    check_packages()
    read_token(settings.token_file)
    _set_up_process()

    import uvicorn

    from recbole_sibrar.serving.api.served import Service

    # Access logs would hold paths and addresses of clients.
    options = {
        "host": host,
        "port": port,
        "access_log": False,
        "log_config": None,
        "server_header": False,
    }
    if workers == 1:
        from recbole_sibrar.serving.api.application import create_app

        app = create_app(settings, Service(settings))
        config = uvicorn.Config(app, **options)  # type: ignore[arg-type]
        server = uvicorn.Server(config)
        server.run(sockets=[_bound(config)])
        return 0 if server.started else 1

    from recbole_sibrar.serving.api.metrics import MULTIPROCESS

    # A worker that cannot start is replaced without end: what is wrong with model or store ends
    # here, in one line.
    Service(settings).close()

    # This process has compared the checksums.
    os.environ[_SETTINGS] = replace(settings, verify=False).to_text()
    os.environ[MULTIPROCESS] = tempfile.mkdtemp(prefix="sibrar-metrics-")
    try:
        return _supervise(uvicorn.Config(_APPLICATION, factory=True, workers=workers, **options))  # type: ignore[arg-type]
    finally:
        shutil.rmtree(os.environ[MULTIPROCESS], ignore_errors=True)


def _bound(config: Config) -> socket.socket:
    """Open the socket; the address goes to the log."""
    family = socket.AF_INET6 if ":" in config.host else socket.AF_INET
    # asyncio turns Nagle's algorithm off only where the protocol is named; with it an answer waits
    # 40 ms.
    opened = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        opened.bind((config.host, config.port))
        opened.listen(config.backlog)
    except (OSError, OverflowError) as error:
        opened.close()
        reason = getattr(error, "strerror", None) or str(error)
        raise ConfigError(
            f"--host, --port: cannot listen on {config.host}:{config.port}: {reason}"
        ) from None
    opened.set_inheritable(True)
    logging.getLogger(__name__).info(
        "serving at http://%s:%d", config.host, opened.getsockname()[1]
    )
    return opened


def _supervise(config: Config) -> int:
    """Run several workers; a worker that has died is replaced."""
    from uvicorn.supervisors import Multiprocess

    class Workers(Multiprocess):
        """Workers that reload the model at SIGHUP."""

        def handle_hup(self) -> None:
            """Forward the signal."""
            # uvicorn would end and start the workers, and lose what they work on.
            for process in self.processes:
                if process.pid is not None:
                    os.kill(process.pid, signal.SIGHUP)

    Workers(config, [_bound(config)]).run()
    return 0


def from_environment() -> FastAPI:
    """Make the application of a worker, whose settings are in its environment."""
    from recbole_sibrar.serving.api.application import create_app

    _set_up_process()
    return create_app(ServerSettings.from_text(os.environ[_SETTINGS]))


def _set_up_process() -> None:
    """Set up the log, and how often threads take turns."""
    # The thread that talks to the clients needs Python's lock several times in a request. By
    # default it waits up to 5 ms for a thread that computes.
    sys.setswitchinterval(0.0005)
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(process)d %(levelname)s %(message)s"
    )
