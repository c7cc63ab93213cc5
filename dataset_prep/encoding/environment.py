"""Packages, devices, outputs and fingerprints of encoding."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable, Sequence
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray
from tqdm import tqdm

from recbole_sibrar.errors import DataError
from recbole_sibrar.files import check_writable

from .command_options import SUFFIXES

if TYPE_CHECKING:
    from torch.nn import Module

LONGEST_REASON = 200
"""Characters of another library's error in a message."""


def notes_of(command: str) -> Callable[[str], None]:
    """Make a function to print a line of a command beside its progress bar."""
    return lambda line: tqdm.write(f"recbole-sibrar {command}: {line}", file=sys.stderr)


def check_output(path: Path) -> None:
    """Try to write a file of vectors.

    Raises:
        DataError: Its ending is unknown, or it cannot be written.
    """
    if path.suffix not in SUFFIXES:
        raise DataError(
            f"--output: found {path}, allowed is a file that ends in {', '.join(SUFFIXES)}"
        )
    check_writable(path, "--output")


def choose_device(name: str, key: str = "--device") -> str:
    """Choose cpu or cuda; ``auto`` prefers cuda.

    Args:
        name: Value of the option.
        key: The option, for the message.

    Raises:
        DataError: The user wants cuda, and there is none.
    """
    import torch

    available = torch.cuda.is_available()
    if name == "cuda" and not available:
        raise DataError(
            f"{key}: found cuda, but torch finds no CUDA device here; allowed is cpu or auto"
        )
    return "cuda" if available and name != "cpu" else "cpu"


def device_name(device: str) -> str:
    """Name the hardware: vectors of another device differ in their last bits."""
    import torch

    return torch.cuda.get_device_name() if device == "cuda" else device


def require(packages: Sequence[str], extra: str) -> None:
    """Refuse to start without some packages.

    Raises:
        DataError: One is not installed; the message gives the command to install it.
    """
    # Looked up without an import, which takes seconds.
    missing = [package.replace("_", "-") for package in packages if find_spec(package) is None]
    if missing:
        raise DataError(
            f"not installed: {', '.join(missing)}; pip install -c constraints.txt -e '.[{extra}]'"
        )


def no_download(key: str, model: str, instead: str, reason: str, others: str = "") -> str:
    """Write the message about a failed download of a model.

    Args:
        key: The option for the model.
        model: Its name.
        instead: A value for a machine without network.
        reason: Reason of the failure.
        others: Other values, as a clause.
    """
    return (
        f"{key}: {model} cannot be downloaded, and is not among the models that were; check its "
        f"name and the network, or name {instead}, from a machine that has one{others} ({reason})"
    )


def fingerprint(*parts: str | NDArray[Any]) -> str:
    """Hash the contents of texts and arrays.

    Example:
        >>> fingerprint("ab", "c") == fingerprint("a", "bc")
        False
    """
    digest = hashlib.sha256()
    for part in parts:
        content = part.encode() if isinstance(part, str) else part.tobytes()

        # The length in front divides the parts.
        digest.update(len(content).to_bytes(8, "little"))
        digest.update(content)
    return digest.hexdigest()


def versions(*packages: str) -> list[str]:
    """Find the versions of installed packages: another version can give other vectors."""
    return [version(package) for package in packages]


def network_fingerprint(network: Module) -> str:
    """Hash the structure, all parameters and all buffers of a network."""
    import torch

    state = network.state_dict()
    arrays = []
    for tensor in state.values():
        # As bytes, since NumPy has no bfloat16.
        as_bytes = tensor.detach().cpu().reshape(-1).contiguous().view(torch.uint8)
        arrays.append(as_bytes.numpy())
    return fingerprint(repr(network), *state, *arrays)
