"""The square of significance as a file: content, colours of the page, names inside the figure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path

import pytest
from matplotlib.colors import to_hex
from matplotlib.text import Text

from recbole_sibrar.plotting import chart_file
from recbole_sibrar.plotting.square import Square, SquareCell, draw_square
from recbole_sibrar.report import page

NAMES = (
    "SiBraR",
    "SiBraR contrastive_temperature=0.125,user_modalities=none,learning_rate=0.00025",
    "<b>A & $B$</b>",
    "a_name_of_one_very_long_word_without_any_space_at_all_at_all_at_all",
    "MuBraR",
    "Pop",
)


def square_of(names: Sequence[str]) -> Square:
    """Every model is significantly better than those after the next one."""
    rows = []
    for i in range(len(names)):
        row = []
        for j in range(len(names)):
            verdict = "" if abs(i - j) < 2 else "better" if i < j else "worse"
            p = "p < 0.0001" if verdict else "p = 0.21"
            row.append(SquareCell("") if i == j else SquareCell(f"{j - i:+.4f}", p, verdict))
        rows.append(row)
    return Square("pairs", "nDCG@10 of the model of a row minus that of a column", names, rows)


@pytest.mark.parametrize("n_models", range(2, 7))
def test_texts_are_whole_and_apart(n_models: int) -> None:
    figure = draw_square(square_of(NAMES[:n_models]))
    figure.canvas.draw()
    texts = [text for text in figure.findobj(Text) if text.get_text() and text.get_visible()]
    boxes = [(text.get_text(), text.get_window_extent()) for text in texts]

    shown = [re.sub(r"\s", "", text) for text, _ in boxes]
    for name in NAMES[:n_models]:
        assert shown.count(re.sub(r"\s", "", name)) == 2
    for name, box in boxes:
        assert min(box.x0, box.y0) > -1, name
        assert box.x1 < figure.bbox.width + 1, name
        assert box.y1 < figure.bbox.height + 1, name
    for (a, first), (b, second) in combinations(boxes, 2):
        assert not first.overlaps(second), (a, b)


def test_cells_have_values_and_grounds() -> None:
    axes = draw_square(square_of(NAMES[:3])).axes[0]
    texts = {text.get_position(): text.get_text() for text in axes.texts}
    values = {place: text for place, text in texts.items() if place[1] % 1 < 0.5}
    expected = {(0, 1): "+1.0000", (0, 2): "+2.0000*", (1, 0): "-1.0000", (2, 0): "-2.0000*"}
    for (row, column), text in expected.items():
        found = [
            x for (across, down), x in values.items() if (int(down), int(across)) == (row, column)
        ]
        assert found == [text]

    grounds = {(int(x.get_y()), int(x.get_x())): to_hex(x.get_facecolor()) for x in axes.patches}
    style = (Path(page.__file__).parent / "assets" / "theme.css").read_text(encoding="utf-8")
    better, worse = re.findall(r"--(?:better|worse): light-dark\((#\w+)", style)
    assert grounds[0, 2] == better
    assert grounds[2, 0] == worse
    assert grounds[0, 1] == "#ffffff"


def test_files_are_a_pdf_and_a_png(tmp_path: Path) -> None:
    files = chart_file.save(square_of(NAMES[:3]), tmp_path)
    assert [file.name for file in files] == ["pairs.pdf", "pairs.png"]
    assert files[0].read_bytes().startswith(b"%PDF")
    assert files[1].read_bytes().startswith(b"\x89PNG")
