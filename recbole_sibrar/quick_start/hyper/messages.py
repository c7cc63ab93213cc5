"""JSON-lines protocol between a trial and the search; each line is acknowledged by an empty one."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, TextIO

__all__ = ["receive", "send"]


def send(stream: TextIO, message: dict[str, Any]) -> None:
    """Send a message and wait for its acknowledgement.

    Raises:
        EOFError: The search has ended.
    """
    # The search decides in between if the trial continues; without the wait it would train on.
    stream.write(json.dumps(message) + "\n")
    stream.flush()
    if not stream.readline():
        raise EOFError("the search has ended")


def receive(stream: TextIO) -> Iterator[dict[str, Any]]:
    """Yield messages until the other side ends; acknowledge each on the request for the next."""
    for line in iter(stream.readline, ""):
        yield json.loads(line)
        stream.write("\n")
        stream.flush()
