"""What a process of a trial and the one that has started it say to each other: lines of JSON, each of them answered."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, TextIO


def send(stream: TextIO, message: dict[str, Any]) -> None:
    """Send a message, and wait until it was taken.

    Raises:
        EOFError: Nobody takes it any more.
    """
    stream.write(json.dumps(message) + "\n")
    stream.flush()
    if not stream.readline():
        raise EOFError("the search has ended")


def receive(stream: TextIO) -> Iterator[dict[str, Any]]:
    """The messages of the other side until it ends; each is answered when the next one is asked for."""
    for line in iter(stream.readline, ""):
        yield json.loads(line)
        stream.write("\n")
        stream.flush()
