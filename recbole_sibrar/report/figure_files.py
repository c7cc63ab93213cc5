"""Files of the figures: drawn on request, in parallel, and only after a change."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path

from joblib import Parallel, delayed

from recbole_sibrar.files import replacing
from recbole_sibrar.plotting.chart import Chart
from recbole_sibrar.plotting.chart_file import save
from recbole_sibrar.plotting.square import Square

__all__ = ["DRAWN", "save_changed"]

DRAWN = "figures.json"
"""Fingerprint of the content of each drawn figure, in the folder of the figures."""

_CHARTS_PER_PROCESS = 8
"""A process needs some seconds to start, as long as it takes to draw about so many figures."""


def save_changed(folders: Mapping[Path, Sequence[Chart | Square]]) -> int:
    """Write figures as PDF and PNG; files of an unchanged figure stay.

    Args:
        folders: Folder -> its figures.

    Returns:
        Number of the drawn figures.
    """
    changed = []
    prints = {}
    for folder, charts in folders.items():
        folder.mkdir(exist_ok=True, parents=True)
        known = _read(folder / DRAWN)
        prints[folder] = {chart.name: _fingerprint(chart) for chart in charts}
        for chart in charts:
            # A known figure may have lost its files since.
            there = all((folder / f"{chart.name}.{suffix}").is_file() for suffix in ("pdf", "png"))
            if not there or known.get(chart.name) != prints[folder][chart.name]:
                changed.append((chart, folder))

    # The fingerprints last: an interrupted drawing is done again.
    _draw(changed)
    for folder, names in prints.items():
        with replacing(folder / DRAWN) as temporary:
            temporary.write_text(json.dumps(names, indent=1), encoding="utf-8")
    return len(changed)


def _draw(charts: Sequence[tuple[Chart | Square, Path]]) -> None:
    """Draw figures in as many processes as pay."""
    if len(charts) < 2 * _CHARTS_PER_PROCESS:
        for chart, folder in charts:
            save(chart, folder)
        return
    # In processes, because Matplotlib is not safe in threads.
    Parallel(n_jobs=-1)(delayed(save)(chart, folder) for chart, folder in charts)


def _fingerprint(chart: Chart | Square) -> str:
    # Another version may draw the same content in another way.
    content = f"{version('recbole-sibrar')} {chart!r}"
    return hashlib.sha256(content.encode()).hexdigest()[:16]


def _read(file: Path) -> dict[str, str]:
    """Read the fingerprints; a file that cannot be read counts as none, and all is drawn again."""
    try:
        known: dict[str, str] = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return known
