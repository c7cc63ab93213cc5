"""Importing torchvision beside a torch of another build."""

from __future__ import annotations

import functools
import importlib
import importlib.util
import re
import warnings
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch.library import Library

_DECLARED: list[Library] = []


@functools.cache
def import_torchvision() -> bool:
    """Import torchvision, if it is installed, for later imports.

    PyPI's torchvision for Linux is built for CUDA. Its native library cannot be loaded beside a
    torch built for the CPU.

    Returns:
        True if torchvision is installed.

    Raises:
        RuntimeError: It is, but cannot be imported for another reason.
    """
    if importlib.util.find_spec("torchvision") is None:
        return False

    # Without the native library the imports of torchvision, of timm and of transformers (a part of
    # sentence-transformers) end in "operator torchvision::nms does not exist": torchvision
    # describes the results of two operators for object detection, and the library should have
    # declared them. They are declared here instead. Encoding calls neither of them: Pillow reads
    # the images, and the networks consist of torch's own operators.
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

    library = Library("torchvision", "FRAGMENT")  # type: ignore[no-untyped-call, unused-ignore]
    signature = f"{operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
    library.define(signature)  # type: ignore[no-untyped-call, unused-ignore]

    # Its declarations end with the object.
    _DECLARED.append(library)
