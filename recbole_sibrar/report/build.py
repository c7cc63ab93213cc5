"""``recbole-sibrar report``: a page and figures about a comparison of ``run_recbole_group``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from recbole_sibrar.errors import DataError
from recbole_sibrar.files import check_writable, replacing
from recbole_sibrar.plotting.chart import Chart
from recbole_sibrar.plotting.square import Square
from recbole_sibrar.quick_start.group.folder import read_comparisons
from recbole_sibrar.report.figure_files import save_changed
from recbole_sibrar.report.page import Part, render
from recbole_sibrar.report.records import configuration_section, versions_section
from recbole_sibrar.report.sections import Material, build_part
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
) -> tuple[Path, int]:
    """Write the page and, on request, the figures.

    Args:
        folder: The ``--output`` of ``run_recbole_group``.
        output: The page; None for ``report.html`` in ``folder``.
        figures: Folder of the figures as PDF and PNG; None for no such files.
        with_missing: True to evaluate the checkpoints with missing modalities, unless
            ``missing/missing.csv`` holds the results already.
        with_gap: True to measure the modality gap, unless ``gap/gap.csv`` holds the measures
            already.
        data_path: Folder of the data, if they have moved since training.

    Returns:
        The page, and the number of figures drawn; those in the folder with the same content are not
        drawn again.

    Raises:
        ConfigError: There is no comparison with results, or one of its files cannot be read.
        DataError: The page or the figures cannot be written.
    """
    comparisons = read_comparisons(folder)
    output = output or folder / PAGE

    # Before the studies, which take long.
    check_writable(output, "--output")
    if figures is not None:
        check_writable(figures / PAGE, "--figures")

    parts = []
    for data in comparisons:
        missing = missing_study(data, with_missing, data_path)
        gap, projection = gap_study(data, with_gap, data_path)
        parts.append(build_part(Material(data, missing, gap, projection)))

    title = " | ".join(dict.fromkeys(part.title for part in parts))
    appendix = [configuration_section(comparisons), versions_section(comparisons)]
    text = render(title, parts, appendix)
    try:
        n_figures = 0 if figures is None else save_changed(_charts(parts, figures))
        with replacing(output) as temporary:
            temporary.write_text(text, encoding="utf-8")
    except OSError as error:
        reason = error.strerror or error
        raise DataError(f"cannot write the page or a figure: {reason} ({output})") from error
    return output, n_figures


def _charts(parts: Sequence[Part], folder: Path) -> dict[Path, list[Chart | Square]]:
    """Assign the figures to folders; several comparisons have a folder each."""
    assigned = {}
    for part in parts:
        place = folder / part.name if len(parts) > 1 else folder
        assigned[place] = list(_charts_of(part))
    return assigned


def _charts_of(part: Part) -> Iterator[Chart | Square]:
    """Yield the figures of a part in their order on the page."""
    for section in part.sections:
        for place in section.chart_sets:
            for figure in place.figures:
                yield from figure.charts
