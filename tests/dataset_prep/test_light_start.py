"""Help and misspelt options wait for no library."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from recbole_sibrar.dataset_prep.converters import CONVERTERS

HEAVY = {"numpy", "pandas", "pyarrow", "scipy", "torch", "recbole", "transformers", "PIL", "tqdm"}

CODE = """
import json, sys
from recbole_sibrar.cli import main
try:
    status = main({arguments})
except SystemExit as end:
    status = end.code
print(json.dumps([status, sorted(sys.modules)]))
"""


@pytest.mark.parametrize(
    ("arguments", "expected_status"),
    [
        (["prepare", "--help"], 0),
        *((["prepare", name, "--help"], 0) for name in CONVERTERS),
        (["encode-text", "--help"], 0),
        (["encode-image", "--help"], 0),
        (["prepare", "generc"], 2),
        (["prepare", "ml-1m", "--input_path=a", "--output_path=b", "--datset=x"], 2),
        (["prepare", "ml-1m", "--input_path=a", "--output_path=b", "--encode=title"], 2),
        (["encode-text", "--input=a", "--model=b", "--outptu=c"], 2),
        (["encode-image", "--input=a", "--model=b", "--output=c.npz", "--bath_size=3"], 2),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_options_need_no_library(arguments: list[str], expected_status: int) -> None:
    code = CODE.format(arguments=arguments)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout, done.stderr

    status, modules = json.loads(done.stdout.splitlines()[-1])
    assert status == expected_status
    assert not HEAVY & set(modules)
