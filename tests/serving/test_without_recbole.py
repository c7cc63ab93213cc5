"""A portable model is used where RecBole is not installed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

CODE = """
import sys

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("recbole", "ray", "sklearn"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Blocked())
from recbole_sibrar import Recommender

model = Recommender.load(sys.argv[1])
model.add_items([{"item_id": "new", "kind": "c1", "text": [1, 2, 3, 4, 5]}])
print(len(model.recommend(["u1"], k=3)), len(model.recommend_for(["i1"], {"age": 20}, k=4)), model.n_items)
"""


@pytest.mark.slow
@pytest.mark.processes
def test_loads_without_recbole(portable: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", CODE, str(portable)], capture_output=True, text=True, check=False
    )
    assert done.stdout.split() == ["3", "4", "41"], done.stderr
