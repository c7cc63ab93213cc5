"""One run of a comparison, in a process of its own: ``python -m recbole_sibrar.quick_start.single_run FOLDER``."""

from __future__ import annotations

import json
import resource
import sys
import time
from pathlib import Path
from typing import Any

import yaml

import recbole_sibrar  # noqa: F401  # registers the plugin in this process

SPECIFICATION, RESULT = "run.yaml", "result.json"
"""What a run's folder holds before it starts, and when it is finished."""


def main(folder: Path) -> None:
    """Run what the folder's specification says, and write the result there.

    Args:
        folder: Holds ``run.yaml`` with ``model``, ``dataset``, ``config_files`` and ``keys``.
    """
    import recbole.quick_start

    specification: dict[str, Any] = yaml.safe_load((folder / SPECIFICATION).read_text(encoding="utf-8"))
    sys.argv = sys.argv[:1]  # RecBole would read the arguments of this process as keys
    start = time.perf_counter()
    result = recbole.quick_start.run_recbole(
        specification["model"],
        specification["dataset"],
        specification["config_files"] or None,
        {**specification["keys"], "checkpoint_dir": str(folder / "checkpoint")},
    )
    finished = {
        "test_result": {key: float(value) for key, value in result["test_result"].items()},
        "best_valid_result": {key: float(value) for key, value in (result["best_valid_result"] or {}).items()},
        "best_valid_score": float(result["best_valid_score"]),
        "seconds": time.perf_counter() - start,
        "peak_memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }
    temporary = folder / f".{RESULT}"
    temporary.write_text(json.dumps(finished, indent=1), encoding="utf-8")
    temporary.replace(folder / RESULT)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
