"""The command ``recbole-sibrar serve``: serve a portable model over HTTP."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

from recbole_sibrar.cli import options as shared
from recbole_sibrar.cli.serving import shared as serving
from recbole_sibrar.errors import refuse

__all__ = ["Options", "add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    serving.add_model_folder(parser)
    parser.add_argument(
        "--host", default="127.0.0.1", help="address to listen on (default: %(default)s)"
    )
    parser.add_argument(
        "--port", default="8000", help="port; 0 for any free one (default: %(default)s)"
    )
    parser.add_argument(
        "--allowed-hosts",
        metavar="A,B",
        default="",
        help="names of this server, for requests that do not come to localhost or an address; * "
        "for any",
    )

    parser.add_argument(
        "--workers", metavar="N", default="1", help="number of processes (default: %(default)s)"
    )
    parser.add_argument(
        "--token-file",
        metavar="FILE",
        type=Path,
        help="file with the token for writes (default: read only)",
    )
    parser.add_argument(
        "--store",
        metavar="FILE",
        type=Path,
        help="SQLite file of added items (default: NAME.sibrar.items.sqlite)",
    )
    parser.add_argument(
        "--skip-checksums",
        action="store_true",
        help="start without comparing the model's files with their checksums",
    )

    # Limits of a request: without them a single one could use up the memory.
    parser.add_argument(
        "--max-body", metavar="BYTES", default="1048576", help="largest body (default: %(default)s)"
    )
    parser.add_argument(
        "--max-batch",
        metavar="N",
        default="1000",
        help="largest number of users or items of a request (%(default)s)",
    )
    parser.add_argument(
        "--max-k",
        metavar="N",
        default="1000",
        help="largest number of results (default: %(default)s)",
    )


@dataclass(frozen=True)
class Options:
    """Options of the command."""

    model: str
    """Folder of the portable model."""
    host: str
    """Address to listen on."""
    port: str
    """Port."""
    allowed_hosts: str
    """Names of the server, separated by commas."""
    workers: str
    """Number of processes."""
    token_file: Path | None
    """File with the token for writes; None to only read."""
    store: Path | None
    """SQLite file of added items; None for the file beside the model."""
    skip_checksums: bool
    """Do not compare the files of the model with their checksums at the start."""
    max_body: str
    """Largest body in bytes."""
    max_batch: str
    """Largest number of users or items of a request."""
    max_k: str
    """Largest number of results."""


def run(args: argparse.Namespace) -> int:
    """Run the command.

    Returns:
        Exit status.

    Raises:
        ConfigError: An option cannot be used, or a package is missing.
        PortableModelError: The model cannot be loaded.
    """
    options = shared.from_arguments(Options, args)
    if not options.port.isascii() or not options.port.isdigit() or int(options.port) > 65535:
        refuse("--port", options.port, "0 to 65535")
    workers = serving.positive("--workers", options.workers)

    # Requests to the address of the server name this address.
    names = (*(serving.names_of(options.allowed_hosts) or ()), options.host)
    limits = {
        "max_body": serving.positive("--max-body", options.max_body),
        "max_batch": serving.positive("--max-batch", options.max_batch),
        "max_k": serving.positive("--max-k", options.max_k),
    }

    from recbole_sibrar.serving.api.launch import launch
    from recbole_sibrar.serving.api.settings import ServerSettings
    from recbole_sibrar.serving.bundle.manifest import Manifest

    model = Path(options.model).absolute()

    # A wrong folder ends here, before any worker starts.
    Manifest.read(model)
    settings = ServerSettings.beside(
        model,
        options.store,
        token_file=options.token_file,
        hosts=names,
        verify=not options.skip_checksums,
        **limits,
    )
    return launch(settings, options.host, int(options.port), workers)
