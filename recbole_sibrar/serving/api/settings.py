"""Settings of the server."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from recbole_sibrar.errors import ConfigError, refuse

__all__ = ["SHORTEST_TOKEN", "ServerSettings", "read_token"]

SHORTEST_TOKEN = 16
"""Smallest number of characters of a token."""


@dataclass(frozen=True)
class ServerSettings:
    """Settings of the server."""

    model: Path
    """Folder of the portable model."""
    store: Path
    """SQLite file with the items that were put."""
    token_file: Path | None = None
    """File with the token for writes; None for a server that only reads."""
    hosts: tuple[str, ...] = ()
    """Names of the server in requests, beside ``localhost`` and addresses; ``*`` for any."""
    verify: bool = True
    """Compare the files of the model with their checksums at the start; a reload always does."""
    max_body: int = 1 << 20
    """Largest body of a request, in bytes."""
    max_batch: int = 1000
    """Largest number of users, items or pairs in a request."""
    max_k: int = 1000
    """Largest number of results for each."""

    @classmethod
    def beside(cls, model: Path, store: Path | None = None, **others: object) -> ServerSettings:
        """Make settings with the store beside the model.

        Args:
            model: Folder of the portable model.
            store: SQLite file; None for the file beside the model.
            others: Other settings.
        """
        beside = model.with_name(f"{model.name}.items.sqlite")
        return cls(model, store or beside, **others)  # type: ignore[arg-type]

    def to_text(self) -> str:
        """Write the settings as a text, for the environment of the workers."""
        return json.dumps(asdict(self), default=str)

    @classmethod
    def from_text(cls, text: str) -> ServerSettings:
        """Read the settings from a text."""
        values = json.loads(text)
        for name in ("model", "store", "token_file"):
            values[name] = None if values[name] is None else Path(values[name])
        return cls(**{**values, "hosts": tuple(values["hosts"])})


def read_token(path: Path | None) -> str | None:
    """Read the token for writes; None without a file.

    Raises:
        ConfigError: The file cannot be read, or its token is too short.
    """
    if path is None:
        return None
    try:
        token = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no text"
        raise ConfigError(f"--token-file: cannot read {path}: {reason}") from None

    # The token is never shown, not even a wrong one. A header holds ASCII characters alone.
    is_plain = token.isascii() and token.isprintable() and " " not in token
    if len(token) < SHORTEST_TOKEN or not is_plain:
        refuse(
            "--token-file",
            f"{len(token)} characters",
            f"one token of {SHORTEST_TOKEN} or more ASCII characters",
        )
    return token
