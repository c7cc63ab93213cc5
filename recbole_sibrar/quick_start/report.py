"""``recbole-sibrar report``: one page, and figures as files, about a comparison of ``run_recbole_group``."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from importlib.metadata import version
from pathlib import Path

import pandas as pd
from tqdm import tqdm

from recbole_sibrar.config import ConfigError
from recbole_sibrar.data.files import check_writable, replacing
from recbole_sibrar.evaluator.missing_modality import COLUMNS
from recbole_sibrar.plugin import MODELS
from recbole_sibrar.quick_start import missing
from recbole_sibrar.quick_start.comparison_folder import ComparisonFolder, FinishedRun, read_comparisons, read_table
from recbole_sibrar.quick_start.report_sections import GAP, MISSING, build_part, named
from recbole_sibrar.report.chart_file import save
from recbole_sibrar.report.page import Part, render

PAGE = "report.html"
"""Name of the page, unless another one is asked for."""


def run(
    folder: Path, output: Path | None = None, figures: Path | None = None, with_missing: bool = False
) -> tuple[Path, Path, int]:
    """Write the page and the figures.

    Args:
        folder: The ``--output`` of ``run_recbole_group``.
        output: The page; None for ``report.html`` in ``folder``.
        figures: Folder of the figures; None for one beside the page, named after it.
        with_missing: Whether to evaluate the checkpoints with missing modalities where that has not been done; the
            results are kept in ``missing/missing.csv``.

    Returns:
        The page, the folder of the figures, and the number of figures.

    Raises:
        ConfigError: There is no comparison with results, or one of its files cannot be read.
        DataError: The page or the figures cannot be written.
    """
    comparisons = read_comparisons(folder)
    output = output or folder / PAGE
    figures = figures or output.with_name(f"{output.stem}_figures")
    check_writable(output, "--output")
    check_writable(figures / PAGE, "--figures")
    parts = [build_part(data, _missing(data, with_missing), _gap(data)) for data in comparisons]
    title = f"Results: {folder.absolute().name}"
    made = datetime.now().astimezone().strftime("%Y-%m-%d %H:%M")
    text = render(title, parts, f"Made by recbole-sibrar {version('recbole-sibrar')} on {made}.")
    n_figures = _save_figures(parts, figures)
    with replacing(output) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return output, figures, n_figures


def _save_figures(parts: Sequence[Part], folder: Path) -> int:
    """Write all figures; those of several comparisons in a folder each."""
    charts = [
        (folder / part.name if len(parts) > 1 else folder, chart)
        for part in parts
        for section in part.sections
        for chart_set in section.chart_sets
        for chart in chart_set.charts
    ]
    for path, chart in tqdm(charts, desc="figures", unit="figure"):
        path.mkdir(exist_ok=True)
        save(chart, path)
    return len(charts)


def _missing(data: ComparisonFolder, compute: bool) -> pd.DataFrame | None:
    """The study of missing modalities: one that lies in the folder, or else a new one where that is asked for."""
    path = _find(data, MISSING)
    if path is None and compute:
        path = data.folder / MISSING[0]
        check_writable(path, "--missing")
        plan = missing.read_plan("item", None, missing.RATES, "5")
        frame, _ = missing.run(_checkpoints(data, "--missing"), plan, None, tqdm.write)
        missing.write_table(frame, path)
    if path is None:
        return None
    frame = read_table(path)
    _check_columns(path, frame, COLUMNS)
    return named(frame, data)


def _gap(data: ComparisonFolder) -> pd.DataFrame | None:
    path = _find(data, GAP)
    return named(read_table(path), data) if path else None


def _find(data: ComparisonFolder, names: Sequence[str]) -> Path | None:
    return next((path for name in names if (path := data.folder / name).is_file()), None)


def _check_columns(path: Path, frame: pd.DataFrame, columns: Sequence[str]) -> None:
    lacking = [column for column in columns if column not in frame]
    if lacking:
        raise ConfigError(f"{path}: no column {', '.join(lacking)}, expected are {', '.join(columns)}")


def _checkpoints(data: ComparisonFolder, option: str) -> list[str]:
    """The checkpoints of models that encode modalities."""

    def encodes(run: FinishedRun) -> bool:
        return run.model in MODELS and run.checkpoint is not None

    found = [str(run.checkpoint) for run in data.runs if encodes(run)]
    if not found:
        raise ConfigError(
            f"{option}: {data.folder} has no checkpoint of a model that encodes modalities: {', '.join(MODELS)}"
        )
    return found
