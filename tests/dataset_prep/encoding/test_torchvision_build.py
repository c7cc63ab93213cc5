from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

MODULE = Path(__file__).parents[3] / "dataset_prep" / "encoding" / "torchvision_build.py"

SCRIPT = f"""
import warnings; warnings.simplefilter("error")
from importlib.util import module_from_spec, spec_from_file_location
spec = spec_from_file_location("torchvision_build", {str(MODULE)!r})
module = module_from_spec(spec)
spec.loader.exec_module(module)
print(module.import_torchvision(), module.import_torchvision())
from torchvision.transforms.functional import resize
import torch
print(list(resize(torch.zeros(3, 8, 8), [4]).shape))
"""


@pytest.mark.slow
@pytest.mark.skipif(
    find_spec("torchvision") is None, reason="torchvision comes with the extra 'image'"
)
def test_imports_another_torchvision_build() -> None:
    result = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=False
    )
    assert result.stdout.splitlines() == ["True True", "[3, 4, 4]"], result.stderr


def test_a_missing_torchvision_is_no_error() -> None:
    hidden = "import importlib.util; importlib.util.find_spec = lambda name: None\n"
    result = subprocess.run(
        [
            sys.executable,
            "-c",
            SCRIPT.replace("print(module", f"{hidden}print(module").split("from torchvision.")[0],
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.stdout.splitlines() == ["False False"], result.stderr
