"""Networks for images, of timm and torchvision, up to what their classifier gets."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recbole_sibrar.config.values import nearest
from recbole_sibrar.data.atomic import DataError

from . import encoder_options as options
from .model_lookup import offline_unless_reachable, packaged_files
from .torchvision_build import import_torchvision

DEFAULT = "default"
"""The value of ``--weights`` for those that the library downloads."""

WEIGHT_FILES = ("*.safetensors", "*.pth", "*.pt", "pytorch_model.bin")
"""Patterns of the names of files of weights."""


@dataclass(frozen=True)
class ImageNetwork:
    """A network without its classifier, and how an image is prepared for it."""

    network: Any
    """``torch.nn.Module``: images float32 ``[n, 3, height, width]`` -> features ``[n, d]``."""
    transform: Callable[[Any], Any]
    """A Pillow image (RGB) -> float32 ``[3, height, width]``, as the network's authors do it for evaluation."""
    device: str
    """Where the network is."""


def load_network(library: str, name: str, weights: str, device: str) -> ImageNetwork:
    """Load a network, ready to encode.

    Args:
        library: ``timm`` or ``torchvision``.
        name: The network's name there.
        weights: A file of weights, an installed package that carries one, or ``default`` for those of the library.
        device: cpu or cuda.

    Raises:
        DataError: The library has no network of this name, the weights cannot be downloaded, or the file is not there
            or holds those of another network.
    """
    import_torchvision()
    weights = _weights_file(weights)
    network, transform = (_timm if library == "timm" else _torchvision)(name, weights)
    return ImageNetwork(network.eval().to(device), transform, device)


def _weights_file(weights: str) -> str:
    """The file of weights that ``--weights`` names; ``default`` stays as it is."""
    if weights == DEFAULT or Path(weights).is_file():
        return weights

    packaged = packaged_files(weights, WEIGHT_FILES)
    if len(packaged) > 1:
        found = ", ".join(map(str, packaged))
        raise DataError(f"--weights: the package {weights} carries several files of weights, name one of {found}")
    if not packaged:
        raise DataError(
            f"--weights: there is no file {weights}; allowed is a file, an installed package that carries one, or "
            f"{DEFAULT}"
        )
    return str(packaged[0])


def _timm(name: str, weights: str) -> tuple[Any, Any]:
    import timm
    from timm.data import create_transform, resolve_model_data_config
    from timm.models import load_state_dict

    if not timm.is_model(name):
        raise DataError(f"--model: timm has no network '{name}'{nearest(name, timm.list_models())}")
    pretrained = weights == DEFAULT
    with offline_unless_reachable() if pretrained else nullcontext("") as refusal:
        network = _downloading(name, lambda: timm.create_model(name, pretrained=pretrained, num_classes=0), refusal)
    if weights != DEFAULT:
        classifiers = network.pretrained_cfg.get("classifier") or ()
        classifiers = (classifiers,) if isinstance(classifiers, str) else classifiers
        _load(network, _read(weights, lambda: load_state_dict(weights)), classifiers, weights, name)
    return network, create_transform(**resolve_model_data_config(network), is_training=False)


def _torchvision(name: str, weights: str) -> tuple[Any, Any]:
    import torch
    from timm.models import load_state_dict
    from torchvision import models

    if name not in models.list_models(module=models):
        known = models.list_models(module=models)
        raise DataError(f"--model: torchvision has no network '{name}'{nearest(name, known)}")
    chosen = models.get_model_weights(name).DEFAULT
    network = _downloading(name, lambda: models.get_model(name, weights=chosen if weights == DEFAULT else None))
    linear = [place for place, module in network.named_modules() if isinstance(module, torch.nn.Linear)]
    if not linear:
        raise DataError(f"--model: torchvision's {name} has no linear classifier to leave out; try --library timm")
    parent, _, child = linear[-1].rpartition(".")
    setattr(network.get_submodule(parent), child, torch.nn.Identity())
    if weights != DEFAULT:
        _load(network, _read(weights, lambda: load_state_dict(weights)), linear[-1:], weights, name)
    return network, chosen.transforms()


def _downloading(name: str, create: Callable[[], Any], refusal: str = "") -> Any:
    """Make a network, and say why its weights cannot be downloaded: for ``refusal`` if that is known already."""
    try:
        return create()
    except OSError as error:
        reason = refusal or options.one_line(error)
        raise DataError(options.no_download("--model", name, "its weights with --weights FILE", reason)) from None
    except (RuntimeError, ValueError) as error:
        raise DataError(f"--model: {name} cannot be made: {options.one_line(error)}") from None


def _read(weights: str, read: Callable[[], Mapping[str, Any]]) -> Mapping[str, Any]:
    try:
        return read()
    except Exception as error:  # of many kinds: whatever a file that holds something else makes its reader raise
        raise DataError(f"--weights: {weights} holds no weights: {options.one_line(error)}") from None


def _load(network: Any, state: Mapping[str, Any], classifiers: Sequence[str], weights: str, name: str) -> None:
    """Load weights of the whole network into one without classifier; all must fit."""
    kept = {key: value for key, value in state.items() if not key.startswith(tuple(f"{at}." for at in classifiers))}
    try:
        network.load_state_dict(kept)
    except RuntimeError as error:
        raise DataError(f"--weights: {weights} does not fit {name}: {options.one_line(error)}") from None
