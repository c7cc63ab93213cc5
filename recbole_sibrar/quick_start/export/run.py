"""Export at the end of a run."""

from __future__ import annotations

from logging import getLogger
from pathlib import Path
from typing import Any

from recbole_sibrar.errors import CheckpointError
from recbole_sibrar.quick_start.export.checkpoint import ExportOptions, describe, export

__all__ = ["export_run"]


def export_run(result: dict[str, Any], folder: Path, data_path: str | None = None) -> None:
    """Write the model of a run as a portable one, with the results of its validation and test.

    Args:
        result: What RecBole's ``run_recbole`` returns, with ``checkpoint``.
        folder: Folder to write.
        data_path: Folder of the data.

    Raises:
        CheckpointError: The run has saved no checkpoint.
    """
    checkpoint = result["checkpoint"]
    if checkpoint is None:
        raise CheckpointError("--export: the run has saved no checkpoint to export")

    metrics = {"validation": result["best_valid_result"] or {}, "test": result["test_result"] or {}}
    content = export(checkpoint, folder, ExportOptions(modalities=True), data_path, metrics)
    getLogger().info(f"written: {folder} ({describe(content)})")
