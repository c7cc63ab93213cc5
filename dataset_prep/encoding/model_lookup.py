"""Models on this machine, and a hub out of reach."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import Distribution, PackageNotFoundError, distribution, distributions
from pathlib import Path, PurePosixPath

from ..messages import one_line
from .environment import LONGEST_REASON

SECONDS_TO_ANSWER = 10
"""Time for the hub to answer the first request."""

_PACKAGE = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?")


def packaged_files(name: str, patterns: Sequence[str]) -> list[Path]:
    """Find files in an installed Python package.

    Args:
        name: Name of the package; ``-``, ``_`` and ``.`` are the same, as are small and capital
            letters.
        patterns: Patterns of the file's own name, such as ``*.pth``.

    Returns:
        The files with a name of one of the patterns; none if no such package is installed.
    """
    # Paths and addresses are no names of packages.
    if not _PACKAGE.fullmatch(name):
        return []

    try:
        package = distribution(name)
    except PackageNotFoundError:
        return []
    return [Path(str(package.locate_file(path))) for path in _matching(package, patterns)]


def packaged_sentence_transformer(name: str) -> Path | None:
    """Find the folder of the ``SentenceTransformer`` in a package; None if there is none."""
    # Every saved SentenceTransformer has this list of its parts.
    files = packaged_files(name, ["modules.json"])
    return files[0].parent if files else None


def packages_with_sentence_transformers() -> list[str]:
    """List the installed packages with a ``SentenceTransformer``, sorted."""
    names: set[str] = set()
    for package in distributions():
        if _matching(package, ["modules.json"]):
            names.add(package.metadata["Name"])
    return sorted(names)


def _matching(package: Distribution, patterns: Sequence[str]) -> list[PurePosixPath]:
    matching: list[PurePosixPath] = []
    for path in package.files or ():
        if any(path.match(pattern) for pattern in patterns):
            matching.append(path)
    return matching


@contextmanager
def offline_unless_reachable() -> Iterator[str]:
    """Keep Hugging Face's libraries from asking an unreachable hub for every file.

    If the hub is out of reach, only earlier downloads are used while the ``with`` block runs.

    Yields:
        The reason of the refusal; empty if the hub answers, or if the user has set
        ``HF_HUB_OFFLINE``.
    """
    from huggingface_hub import constants

    if constants.HF_HUB_OFFLINE:
        yield ""
        return

    # The libraries try each request six times with waits of 31 seconds in all, for every file. A
    # single request tests the hub.
    reason = _refusal(constants.ENDPOINT)
    constants.HF_HUB_OFFLINE = bool(reason)
    try:
        yield reason
    finally:
        constants.HF_HUB_OFFLINE = False


def _refusal(address: str) -> str:
    """Ask the hub once.

    Returns:
        The reason of the refusal; empty if it answers.
    """
    from huggingface_hub.utils import get_session  # type: ignore[attr-defined, unused-ignore]

    # Through the client for downloads, because of its proxies and certificates.
    try:
        get_session().head(address, timeout=SECONDS_TO_ANSWER)
    except Exception as error:
        # Its class depends on the release of huggingface_hub.
        return f"{address}: {one_line(error, LONGEST_REASON)}"
    return ""
