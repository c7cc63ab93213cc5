"""Importing torchvision beside a torch of another build."""

from __future__ import annotations

import functools
import importlib
import importlib.util
import re
import warnings
from typing import Any

_DECLARED: list[Any] = []


@functools.cache
def import_torchvision() -> bool:
    """Import torchvision, if it is installed, so that whatever imports it later finds it.

    PyPI's torchvision for Linux is built for CUDA. Beside a torch that is built for the CPU its native library cannot
    be loaded, and then its import, that of timm and that of transformers (which sentence-transformers needs) end in
    "operator torchvision::nms does not exist": torchvision describes the results of two operators for detecting
    objects, which that library would declare. They are declared here instead. Nothing that encodes texts or images
    calls them: images are read by Pillow, and the networks consist of torch's own operators.

    Returns:
        Whether torchvision is installed.

    Raises:
        RuntimeError: It is, but cannot be imported for another reason.
    """
    if importlib.util.find_spec("torchvision") is None:
        return False
    while True:
        try:
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", "Failed to load image Python extension")
                importlib.import_module("torchvision")
            return True
        except RuntimeError as error:
            operator = re.search(r"operator torchvision::(q?nms) does not exist", str(error))
            if operator is None:
                raise
            _declare(operator[1])


def _declare(operator: str) -> None:
    from torch.library import Library

    library = Library("torchvision", "FRAGMENT")
    library.define(f"{operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    _DECLARED.append(library)  # what a library declares is forgotten when it is
