"""Draw the first table of the results: ``python docs/results_picture.py docs/images/results.png``.

The picture keeps the table as its description, so that a test sees a picture of an earlier table.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from pathlib import Path

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from recbole_sibrar.files import replacing
from recbole_sibrar.plotting.style import COLOURS, STYLE, wrapped

PAGE = Path(__file__).parent / "guide" / "results.md"

GREY = "#777777"


def first_table(page: str) -> str:
    """Return the first table of a page, as it is written."""
    found = re.search(r"(?:^\|.*\n)+", page, re.MULTILINE)
    assert found, "the page has no table"
    return found.group()


def read(table: str) -> tuple[list[str], dict[str, list[float | None]]]:
    """Read the settings, and the values of each model in them; None for an empty cell."""
    rows = [
        [cell.strip() for cell in line.replace("*", "").strip("|").split("|")]
        for line in table.strip().splitlines()
    ]
    models = {name: [float(cell) if cell else None for cell in cells] for name, *cells in rows[2:]}
    return rows[0][1:], models


def draw(settings: Sequence[str], models: dict[str, list[float | None]]) -> Figure:
    """Draw a panel for each setting, with a dot for each model; SiBraR in colour."""
    width = 2.0 + 1.75 * len(settings)
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(width, 0.8 + 0.24 * len(models)), layout="constrained")
        panels = figure.subplots(1, len(settings), sharey=True, squeeze=False)[0]
        for number, (panel, setting) in enumerate(zip(panels, settings, strict=True)):
            _draw_panel(panel, {name: values[number] for name, values in models.items()})
            panel.set_title(wrapped(setting, 1.7), fontsize=9)

        # The first row of the table is on top.
        panels[0].invert_yaxis()
        figure.supxlabel("test nDCG@10", fontsize=9)
    return figure


def _draw_panel(panel: Axes, values: dict[str, float | None]) -> None:
    """Draw the dots of a setting; the best one has its value beside it."""
    best = max(value for value in values.values() if value is not None)
    for row, (name, value) in enumerate(values.items()):
        if value is None:
            continue
        colour = COLOURS[1] if name.startswith("SiBraR") else GREY
        panel.plot([0, value], [row, row], color=colour, linewidth=1, alpha=0.5)
        panel.plot([value], [row], "o", color=colour, markersize=5)
        if value == best:
            text = f"{value:.4f}".removeprefix("0")
            panel.annotate(text, (value, row), (5, 0), textcoords="offset points", va="center")

    panel.set_yticks(range(len(values)), list(values))
    panel.set_xlim(0, best * 1.35)
    panel.set_xticks([0, 0.2, 0.4])
    panel.margins(y=0.06)
    panel.grid(visible=False, axis="y")


def main() -> None:
    """Draw the picture."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("picture", type=Path, help="PNG file to write")
    options = parser.parse_args()

    table = first_table(PAGE.read_text(encoding="utf-8"))
    with replacing(options.picture) as temporary:
        draw(*read(table)).savefig(
            temporary, format="png", dpi=120, metadata={"Description": table}
        )


if __name__ == "__main__":
    main()
