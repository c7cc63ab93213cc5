"""Models that are on this machine already, and a network that is not there."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import Distribution, PackageNotFoundError, distribution, distributions
from pathlib import Path, PurePosixPath

from . import encoder_options as options

SECONDS_TO_ANSWER = 10
"""How long the hub may take to answer the first request."""

_PACKAGE = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?")


def packaged_files(name: str, patterns: Sequence[str]) -> list[Path]:
    """Files that an installed Python package carries.

    Args:
        name: Name of the package; ``-``, ``_`` and ``.`` are the same, as are small and capital letters.
        patterns: Patterns of the file's own name, such as ``*.pth``.

    Returns:
        The files that match one of the patterns; none if no such package is installed.
    """
    if not _PACKAGE.fullmatch(name):
        return []

    try:
        package = distribution(name)
    except PackageNotFoundError:
        return []
    return [Path(str(package.locate_file(path))) for path in _matching(package, patterns)]


def packaged_sentence_transformer(name: str) -> Path | None:
    """Folder of the ``SentenceTransformer`` that an installed package of this name carries, None if there is none."""
    files = packaged_files(name, ["modules.json"])
    return files[0].parent if files else None


def packages_with_sentence_transformers() -> list[str]:
    """Names of the installed packages that carry a ``SentenceTransformer``, sorted."""
    packages = [package for package in distributions() if _matching(package, ["modules.json"])]
    return sorted({package.metadata["Name"] for package in packages})


def _matching(package: Distribution, patterns: Sequence[str]) -> list[PurePosixPath]:
    files = package.files or []
    return [path for path in files if any(path.match(pattern) for pattern in patterns)]


@contextmanager
def offline_unless_reachable() -> Iterator[str]:
    """Keep Hugging Face's libraries from asking a hub that does not answer, again and again, for every file.

    They try each request six times with waits of 31 seconds in all. Here one request asks whether the hub can be
    reached; if not, only what was downloaded before is used while the ``with`` block runs.

    Yields:
        The reason why the hub cannot be reached; empty if it can, or if the user has set ``HF_HUB_OFFLINE``.
    """
    from huggingface_hub import constants

    if constants.HF_HUB_OFFLINE:
        yield ""
        return

    reason = _refusal(constants.ENDPOINT)
    constants.HF_HUB_OFFLINE = bool(reason)
    try:
        yield reason
    finally:
        constants.HF_HUB_OFFLINE = False


def _refusal(address: str) -> str:
    """Ask the hub once, through the client that downloads, so that proxies and certificates are the same.

    Returns:
        The reason why it does not answer; empty if it does.
    """
    from huggingface_hub.utils import get_session

    try:
        get_session().head(address, timeout=SECONDS_TO_ANSWER)
    except Exception as error:  # of the library that this release of huggingface_hub uses for requests
        return f"{address}: {options.one_line(error)}"
    return ""
