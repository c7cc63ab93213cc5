"""``recbole-sibrar report``: a page and figures about a comparison of ``run_recbole_group``."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from importlib.metadata import version
from pathlib import Path

from tqdm import tqdm

from recbole_sibrar.errors import DataError
from recbole_sibrar.files import check_writable, replacing
from recbole_sibrar.plotting.chart_file import save
from recbole_sibrar.quick_start.group.folder import read_comparisons
from recbole_sibrar.report.page import Part, render
from recbole_sibrar.report.sections import build_part
from recbole_sibrar.report.studies import gap_study, missing_study

__all__ = ["PAGE", "run"]

PAGE = "report.html"
"""Default name of the page."""


def run(
    folder: Path,
    output: Path | None = None,
    figures: Path | None = None,
    with_missing: bool = False,
    with_gap: bool = False,
    data_path: str | None = None,
) -> tuple[Path, Path, int]:
    """Write the page and the figures.

    Args:
        folder: The ``--output`` of ``run_recbole_group``.
        output: The page; None for ``report.html`` in ``folder``.
        figures: Folder of the figures; None for one beside the page, named after it.
        with_missing: True to evaluate the checkpoints with missing modalities, unless ``missing/missing.csv`` holds
            the results already.
        with_gap: True to measure the modality gap, unless ``gap/gap.csv`` holds the measures already.
        data_path: Folder of the data, if they have moved since training.

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

    parts = []
    for data in comparisons:
        missing = missing_study(data, with_missing, data_path)
        gap = gap_study(data, with_gap, data_path)
        parts.append(build_part(data, missing, gap))

    title = f"Results: {folder.absolute().name}"
    made = datetime.now().astimezone().strftime("%Y-%m-%d %H:%M")
    text = render(title, parts, f"Made by recbole-sibrar {version('recbole-sibrar')} on {made}.")
    try:
        n_figures = _save_figures(parts, figures)
        with replacing(output) as temporary:
            temporary.write_text(text, encoding="utf-8")
    except OSError as error:
        raise DataError(f"cannot write the page or a figure: {error.strerror or error} ({output})") from error
    return output, figures, n_figures


def _save_figures(parts: Sequence[Part], folder: Path) -> int:
    """Write all figures; several comparisons have a folder each."""
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
