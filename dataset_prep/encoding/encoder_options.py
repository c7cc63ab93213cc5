"""Options, devices and messages that the commands for encoding have in common."""

from __future__ import annotations

import argparse
import hashlib
import sys
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from recbole_sibrar.data.atomic import DataError
from recbole_sibrar.files import check_writable

from .blocks import SUFFIXES


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options that encoding texts and images have in common."""
    kinds = ", ".join(SUFFIXES)
    parser.add_argument("--output", metavar="FILE", required=True, type=Path, help=f"file of the vectors: {kinds}")
    parser.add_argument("--batch_size", type=int, default=32, help="entities at a time (default: %(default)s)")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto", help="default: %(default)s")


def notes_of(command: str) -> Callable[[str], None]:
    """What prints lines for the user, as lines of ``command``, and leaves a progress bar whole."""
    return lambda line: tqdm.write(f"recbole-sibrar {command}: {line}", file=sys.stderr)


def check_output(path: Path) -> None:
    """Raise a :class:`DataError` unless vectors can be written to a file of this name."""
    if path.suffix not in SUFFIXES:
        raise DataError(f"--output: found {path}, allowed is a file that ends in {', '.join(SUFFIXES)}")
    check_writable(path, "--output")


def choose_device(name: str, key: str = "--device") -> str:
    """The device of an option: cpu or cuda; ``auto`` is cuda where there is one.

    Raises:
        DataError: cuda is asked for, and there is none.
    """
    import torch

    available = torch.cuda.is_available()
    if name == "cuda" and not available:
        raise DataError(f"{key}: found cuda, but torch finds no CUDA device here; allowed is cpu or auto")
    return "cuda" if available and name != "cpu" else "cpu"


def device_name(device: str) -> str:
    """What computes: vectors of another device differ in their last bits."""
    import torch

    return torch.cuda.get_device_name() if device == "cuda" else device


def require(packages: Sequence[str], extra: str) -> None:
    """Raise a :class:`DataError` that says what to install, unless all packages are there."""
    missing = [package.replace("_", "-") for package in packages if find_spec(package) is None]
    if missing:
        raise DataError(f"not installed: {', '.join(missing)}; pip install -c constraints.txt -e '.[{extra}]'")


def no_download(key: str, model: str, instead: str, reason: str, others: str = "") -> str:
    """The message about a model that cannot be downloaded.

    Args:
        key: The option that names the model.
        model: Its name.
        instead: What to name where there is no network.
        reason: Why it cannot be downloaded.
        others: What else could be named, as a clause.
    """
    return (
        f"{key}: {model} cannot be downloaded, and is not among the models that were; check its name and the "
        f"network, or name {instead}, from a machine that has one{others} ({reason})"
    )


def one_line(error: Exception) -> str:
    """The message of an error as one line of at most 200 characters."""
    return " ".join(str(error).split())[:200] or type(error).__name__


def some(names: Sequence[str], shown: int = 3) -> str:
    """How many names there are, and the first of them: ``5 (a, b, c, ...)``."""
    return f"{len(names)} ({', '.join(names[:shown])}{', ...' if len(names) > shown else ''})"


def fingerprint(*parts: str | np.ndarray) -> str:
    """A hash of the contents of texts and arrays."""
    digest = hashlib.sha256()
    for part in parts:
        content = part.encode() if isinstance(part, str) else part.tobytes()
        digest.update(len(content).to_bytes(8, "little"))
        digest.update(content)
    return digest.hexdigest()


def network_fingerprint(network: Any) -> str:
    """A hash of the structure and of all parameters and buffers of a ``torch.nn.Module``."""
    import torch

    state = network.state_dict()
    arrays = (tensor.detach().cpu().reshape(-1).contiguous().view(torch.uint8).numpy() for tensor in state.values())
    return fingerprint(repr(network), *state, *arrays)
