"""One run of a comparison, in a process of its own.

``python -m recbole_sibrar.quick_start.group.single_run FOLDER PARENT`` runs it.

``PARENT`` is the id of the process that starts it, with whose end it ends too.
"""

from __future__ import annotations

import json
import os
import re
import resource
import sys
import threading
import time
from pathlib import Path
from typing import Any

import yaml

import recbole_sibrar  # noqa: F401  # registers the plugin in this process
from recbole_sibrar.files import replacing

SPECIFICATION, RESULT, CHECKPOINT = "run.yaml", "result.json", "checkpoint/model.pth"
"""What a run's folder holds before it starts, and when it is finished."""


def main(folder: Path) -> None:
    """Run what the folder's specification says, and write the result there.

    Args:
        folder: Holds ``run.yaml`` with ``model``, ``dataset``, ``config_files``, ``keys`` and, if RecBole's logs shall
            not go where this is started, ``working_directory``.
    """
    import recbole.quick_start

    specification: dict[str, Any] = yaml.safe_load((folder / SPECIFICATION).read_text(encoding="utf-8"))
    folder = folder.absolute()
    os.chdir(specification.get("working_directory", "."))
    sys.argv = sys.argv[:1]  # RecBole would read the arguments of this process as keys
    start = time.perf_counter()
    result = recbole.quick_start.run_recbole(
        specification["model"],
        specification["dataset"],
        specification["config_files"] or None,
        {**specification["keys"], "checkpoint_dir": str((folder / CHECKPOINT).parent)},
    )
    name_checkpoint(folder, specification["model"])
    finished = {
        "test_result": {key: float(value) for key, value in result["test_result"].items()},
        "best_valid_result": {key: float(value) for key, value in (result["best_valid_result"] or {}).items()},
        "best_valid_score": float(result["best_valid_score"]),
        "seconds": time.perf_counter() - start,
        "peak_memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }
    with replacing(folder / RESULT) as temporary:
        temporary.write_text(json.dumps(finished, indent=1), encoding="utf-8")


def name_checkpoint(folder: Path, model: str) -> None:
    """Give the checkpoint, which RecBole names by the time of day, a name that can be known in advance.

    States to go on from, which lie beside it under longer names, are removed: the run has ended.
    """
    found = sorted((folder / CHECKPOINT).parent.glob(f"{model}-*.pth"), key=lambda file: file.stat().st_mtime_ns)
    time_of_day = re.compile(re.escape(model) + r"-\w+-\d+-\d+_\d+-\d+-\d+\.pth")
    best = [file for file in found if time_of_day.fullmatch(file.name)]
    if best:
        best[-1].replace(folder / CHECKPOINT)
    for file in found:
        file.unlink(missing_ok=True)


def end_with(parent: int) -> None:
    """End this process when the one that has started it is gone, which could not end it if it was killed."""
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(1)


if __name__ == "__main__":
    parent = int(sys.argv[2]) if len(sys.argv) > 2 else os.getppid()
    threading.Thread(target=end_with, args=(parent,), daemon=True).start()
    main(Path(sys.argv[1]))
