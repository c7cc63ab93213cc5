"""Connection to a Ray cluster."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import psutil
import ray

from recbole_sibrar.config import ConfigError
from recbole_sibrar.errors import ProcessError, one_line
from recbole_sibrar.quick_start.cluster.watch import Watch

__all__ = ["LOCAL", "connected"]

LOCAL = "local"
"""Address of a cluster on this machine alone; it starts and ends with the command."""

_FAILED = (
    "Ray has failed: one of its processes has ended or did not start, "
    "as where memory or processor time run out"
)

_LONGEST_REASON = 200
"""Characters of an error of Ray in a message."""

_CONNECT_SECONDS = 20.0

_PATIENCE = {
    "RAY_health_check_timeout_ms": "30000",
    "RAY_health_check_failure_threshold": "20",
    "RAY_gcs_rpc_server_connect_timeout_s": "30",
    "RAY_gcs_server_request_timeout_seconds": "120",
}
"""Ray's limits of time for its own processes, longer than its defaults.

On a busy machine Ray takes a slow process for a dead one. The watch sees dead ones by itself.
"""

_STARTS = 2
"""Attempts to start a cluster on this machine: Ray gives a slow one 30 seconds."""


@contextmanager
def connected(
    address: str, program: str, advice: str, n_cpus: int | None = None
) -> Iterator[Watch]:
    """Connect to a cluster and leave it at the end of the ``with`` block.

    Args:
        address: :data:`LOCAL`, or an address for ``ray.init``: ``auto``, ``HOST:6379``,
            ``ray://HOST:10001``.
        program: Name of the command.
        advice: Advice after a failure of Ray, for a message.
        n_cpus: CPUs of a local cluster; None for all CPUs of this process.

    Yields:
        The watch on Ray's processes.

    Raises:
        ConfigError: There is no cluster at the address.
        ProcessError: Ray's processes do not start, or one of them has ended.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # Ray would send statistics to its makers
    if address == LOCAL:
        for name, value in _PATIENCE.items():
            os.environ.setdefault(name, value)

    # The watch has to exist before Ray: Ray may end this process while it starts.
    watch = Watch(program, f"{_FAILED}; {advice}")
    try:
        watch.start()
        _start(address, _options(address, n_cpus), watch)
        yield watch
    except BaseException:
        if watch.has_failed():
            raise ProcessError(watch.reason) from None
        raise
    finally:
        watch.stop()
        ray.shutdown()
        watch.close()


def _options(address: str, n_cpus: int | None) -> dict[str, Any]:
    """Return the options of ``ray.init``."""
    # Output of the tasks is in the logs of the runs.
    options: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    if address == LOCAL:
        options["num_cpus"] = n_cpus or _available_cpus()
        options["include_dashboard"] = False
    return options


def _available_cpus() -> int | None:
    # On Linux: fewer than all CPUs in a container or a batch job.
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count()


def _start(address: str, options: dict[str, Any], watch: Watch) -> None:
    """Start Ray, or connect to it.

    Raises:
        ConfigError: There is no cluster at the address.
        ProcessError: Ray's processes do not start.
    """
    n_attempts = _STARTS if address == LOCAL else 1
    for attempt in range(1, n_attempts + 1):
        others = psutil.Process().children(recursive=True)
        try:
            _check_reachable(address)
            ray.init(address=address, **options)
            return
        except (OSError, ValueError, RuntimeError, AssertionError) as error:
            reason = one_line(error, _LONGEST_REASON)
            raise ConfigError(f"--cluster: cannot use {address}: {reason}") from None
        except Exception as error:  # Ray raises no narrower class if its processes are too slow
            if attempt == n_attempts:
                raise ProcessError(
                    f"{watch.reason} (Ray: {one_line(error, _LONGEST_REASON)})"
                ) from None
            _end_children(others)


def _end_children(others: list[psutil.Process]) -> None:
    """End what a failed start has left behind."""
    ray.shutdown()
    left = [child for child in psutil.Process().children(recursive=True) if child not in others]
    for child in left:
        with suppress(psutil.NoSuchProcess):
            child.kill()
    psutil.wait_procs(left, timeout=_CONNECT_SECONDS)


def _check_reachable(address: str) -> None:
    """Connect to the port of a cluster, because Ray itself would try for minutes.

    Raises:
        OSError: There is no answer.
        ValueError: The port is no number.
    """
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if colon:
        socket.create_connection((host.strip("[]"), int(port)), timeout=_CONNECT_SECONDS).close()
