"""Measurements for Prometheus, of one worker or of all."""

from __future__ import annotations

import os

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

__all__ = ["MULTIPROCESS", "Metrics"]

MULTIPROCESS = "PROMETHEUS_MULTIPROC_DIR"
"""Variable of the environment with the folder where several workers put their measurements."""

_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)


class Metrics:
    """Counts and times of the requests."""

    def __init__(self) -> None:
        # Not the registry of the process: a second application would find its names taken.
        self.registry = CollectorRegistry()
        labels = ["endpoint", "status"]
        self.requests = Counter(
            "sibrar_requests", "Answered requests", labels, registry=self.registry
        )
        self.seconds = Histogram(
            "sibrar_request_seconds",
            "Seconds to an answer",
            ["endpoint"],
            buckets=_BUCKETS,
            registry=self.registry,
        )
        self.reloads = Counter(
            "sibrar_reloads", "Reloads of the model", ["result"], registry=self.registry
        )
        self.items = self._gauge("sibrar_items", "Items that compete")
        self.unreadable = self._gauge(
            "sibrar_unreadable_items", "Stored items that the model cannot read"
        )

    def _gauge(self, name: str, about: str) -> Gauge:
        # All workers have the same items, so that their sum would be wrong.
        return Gauge(name, about, registry=self.registry, multiprocess_mode="livemax")

    def text(self) -> bytes:
        """Write all measurements in the text format of Prometheus."""
        if MULTIPROCESS not in os.environ:
            return generate_latest(self.registry)
        of_all = CollectorRegistry()
        MultiProcessCollector(of_all)
        return generate_latest(of_all)
