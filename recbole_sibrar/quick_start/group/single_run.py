"""Process of a run: ``python -m recbole_sibrar.quick_start.group.single_run FOLDER PARENT``.

``PARENT`` is the id of the process that starts it; the run ends together with it.
"""

from __future__ import annotations

import json
import os
import re
import resource
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

import recbole_sibrar  # noqa: F401  # registers the plugin in this process
from recbole_sibrar.files import replacing

__all__ = ["CHECKPOINT", "RESULT", "SPECIFICATION", "end_with", "main", "name_checkpoint"]

SPECIFICATION = "run.yaml"
"""Input of the run, in its folder."""

RESULT = "result.json"
"""Result of the run; marks it as finished."""

CHECKPOINT = "checkpoint/model.pth"
"""Trained model."""

_PARENT_CHECK_SECONDS = 0.5


def main(folder: Path) -> None:
    """Run the specification in a folder and write the result there.

    Args:
        folder: Has ``run.yaml`` with ``model``, ``dataset``, ``config_files``, ``keys`` and
            optionally ``working_directory``, the folder of RecBole's logs.
    """
    import recbole.quick_start

    specification: dict[str, Any] = yaml.safe_load(
        (folder / SPECIFICATION).read_text(encoding="utf-8")
    )
    folder = folder.absolute()
    os.chdir(specification.get("working_directory", "."))
    # RecBole would read the arguments of this process as keys.
    sys.argv = sys.argv[:1]

    start = time.perf_counter()
    result = recbole.quick_start.run_recbole(
        specification["model"],
        specification["dataset"],
        specification["config_files"] or None,
        {**specification["keys"], "checkpoint_dir": str((folder / CHECKPOINT).parent)},
    )
    name_checkpoint(folder, specification["model"])

    finished = {
        "test_result": _to_floats(result["test_result"]),
        "best_valid_result": _to_floats(result["best_valid_result"] or {}),
        "best_valid_score": float(result["best_valid_score"]),
        "seconds": time.perf_counter() - start,
        "peak_memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }
    with replacing(folder / RESULT) as temporary:
        temporary.write_text(json.dumps(finished, indent=1), encoding="utf-8")


def _to_floats(result: Mapping[str, float]) -> dict[str, float]:
    return {key: float(value) for key, value in result.items()}


def name_checkpoint(folder: Path, model: str) -> None:
    """Give the checkpoint its name, and remove states for resuming.

    Args:
        folder: Folder of the ended run.
        model: Name of the model.
    """
    files = (folder / CHECKPOINT).parent.glob(f"{model}-*.pth")
    found = sorted(files, key=lambda file: file.stat().st_mtime_ns)
    # RecBole names a checkpoint by the time of day.
    time_of_day = re.compile(re.escape(model) + r"-\w+-\d+-\d+_\d+-\d+-\d+\.pth")

    best = [file for file in found if time_of_day.fullmatch(file.name)]
    if best:
        # The last one; an interrupted attempt may have left another.
        best[-1].replace(folder / CHECKPOINT)
    for file in found:
        file.unlink(missing_ok=True)


def end_with(parent: int) -> None:
    """End this process after its parent; a killed parent cannot do so itself.

    Args:
        parent: Id of the parent process.
    """
    while os.getppid() == parent:
        time.sleep(_PARENT_CHECK_SECONDS)
    os._exit(1)


if __name__ == "__main__":
    parent = int(sys.argv[2]) if len(sys.argv) > 2 else os.getppid()
    threading.Thread(target=end_with, args=(parent,), daemon=True).start()
    main(Path(sys.argv[1]))
