"""Networks for images, of timm and torchvision, without their classifiers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from recbole_sibrar.errors import DataError, nearest

from ..messages import one_line
from .environment import LONGEST_REASON, no_download
from .model_lookup import offline_unless_reachable, packaged_files
from .torchvision_build import import_torchvision

if TYPE_CHECKING:
    from PIL.Image import Image
    from torch import Tensor
    from torch.nn import Module

DEFAULT = "default"
"""Value of ``--weights`` for the library's own weights."""

WEIGHT_FILES = ("*.safetensors", "*.pth", "*.pt", "pytorch_model.bin")
"""Patterns of the names of files of weights."""

Made = TypeVar("Made")


@dataclass(frozen=True)
class ImageNetwork:
    """A network without its classifier, and the preparation of its images."""

    network: Module
    """Images float32 ``[n, 3, height, width]`` -> features ``[n, d]``."""
    transform: Callable[[Image], Tensor]
    """An RGB image -> float32 ``[3, height, width]``, as the network's authors evaluate it."""
    device: str
    """Device of the network."""


def load_network(library: str, name: str, weights: str, device: str) -> ImageNetwork:
    """Load a network, ready to encode.

    Args:
        library: ``timm`` or ``torchvision``.
        name: The network's name there.
        weights: A file of weights, an installed package with one, or ``default`` for those of the
            library.
        device: cpu or cuda.

    Raises:
        DataError: The library has no network of this name, the weights cannot be downloaded, or
            their file is missing or holds those of another network.
    """
    import_torchvision()
    weights = _weights_file(weights)
    load = _timm if library == "timm" else _torchvision
    network, transform = load(name, weights)
    return ImageNetwork(network.eval().to(device), transform, device)


def _weights_file(weights: str) -> str:
    """Find the file of weights for ``--weights``; ``default`` stays as it is."""
    if weights == DEFAULT or Path(weights).is_file():
        return weights

    packaged = packaged_files(weights, WEIGHT_FILES)
    if len(packaged) > 1:
        found = ", ".join(map(str, packaged))
        raise DataError(
            f"--weights: the package {weights} carries several files of weights, name one of "
            f"{found}"
        )
    if not packaged:
        raise DataError(
            f"--weights: there is no file {weights}; allowed is a file, an installed package that "
            f"carries one, or {DEFAULT}"
        )
    return str(packaged[0])


def _timm(name: str, weights: str) -> tuple[Module, Callable[[Image], Tensor]]:
    """Make a network of timm."""
    import timm
    from timm.data import create_transform, resolve_model_data_config
    from timm.models import load_state_dict

    if not timm.is_model(name):
        raise DataError(f"--model: timm has no network '{name}'{nearest(name, timm.list_models())}")

    pretrained = weights == DEFAULT
    # num_classes=0 leaves out the classifier.
    with offline_unless_reachable() if pretrained else nullcontext("") as refusal:
        network = _downloading(
            name, lambda: timm.create_model(name, pretrained=pretrained, num_classes=0), refusal
        )

    if not pretrained:
        # timm names one classifier, several, or none.
        classifiers = network.pretrained_cfg.get("classifier") or ()
        classifiers = (classifiers,) if isinstance(classifiers, str) else classifiers
        state = _read(weights, lambda: load_state_dict(weights))
        _load(network, state, classifiers, weights, name)
    return network, create_transform(**resolve_model_data_config(network), is_training=False)


def _torchvision(name: str, weights: str) -> tuple[Module, Callable[[Image], Tensor]]:
    """Make a network of torchvision. Its last linear layer is its classifier."""
    import torch
    from timm.models import load_state_dict
    from torchvision import models

    known = models.list_models(module=models)
    if name not in known:
        raise DataError(f"--model: torchvision has no network '{name}'{nearest(name, known)}")

    chosen = models.get_model_weights(name).DEFAULT
    downloaded = chosen if weights == DEFAULT else None
    network = _downloading(name, lambda: models.get_model(name, weights=downloaded))

    linear = []
    for place, module in network.named_modules():
        if isinstance(module, torch.nn.Linear):
            linear.append(place)
    if not linear:
        raise DataError(
            f"--model: torchvision's {name} has no linear classifier to leave out; try --library "
            "timm"
        )
    parent, _, child = linear[-1].rpartition(".")
    setattr(network.get_submodule(parent), child, torch.nn.Identity())

    if weights != DEFAULT:
        state = _read(weights, lambda: load_state_dict(weights))
        _load(network, state, linear[-1:], weights, name)

    # Images are prepared as for the published weights, even if a file has other ones.
    return network, chosen.transforms()


def _downloading(name: str, create: Callable[[], Made], refusal: str = "") -> Made:
    """Make a network, and explain a failed download.

    Args:
        name: Name of the network.
        create: Makes it.
        refusal: The reason, if it is known already.

    Raises:
        DataError: The weights cannot be downloaded, or the network cannot be made.
    """
    try:
        return create()
    except OSError as error:
        reason = refusal or one_line(error, LONGEST_REASON)
        raise DataError(
            no_download("--model", name, "its weights with --weights FILE", reason)
        ) from None
    except (RuntimeError, ValueError) as error:
        raise DataError(
            f"--model: {name} cannot be made: {one_line(error, LONGEST_REASON)}"
        ) from None


def _read(weights: str, read: Callable[[], Mapping[str, Tensor]]) -> Mapping[str, Tensor]:
    try:
        return read()
    except Exception as error:
        # Of many kinds: a file with other content makes its reader raise anything.
        raise DataError(
            f"--weights: {weights} holds no weights: {one_line(error, LONGEST_REASON)}"
        ) from None


def _load(
    network: Module,
    state: Mapping[str, Tensor],
    classifiers: Sequence[str],
    weights: str,
    name: str,
) -> None:
    """Load weights of the whole network into one without classifier; all must fit."""
    prefixes = tuple(f"{place}." for place in classifiers)
    kept = {key: value for key, value in state.items() if not key.startswith(prefixes)}

    # torch's load is strict: a missing or a further tensor is refused.
    try:
        network.load_state_dict(kept)
    except RuntimeError as error:
        raise DataError(
            f"--weights: {weights} does not fit {name}: {one_line(error, LONGEST_REASON)}"
        ) from None
