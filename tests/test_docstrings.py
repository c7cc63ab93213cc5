"""Docstrings open with a verb or a noun of the field."""

from __future__ import annotations

from pathlib import Path

import pytest
from measures import ROOT, SOURCES, Source, read_sources, wh_openings


def test_no_docstring_opens_with_a_wh_word() -> None:
    found = wh_openings(read_sources([ROOT / name for name in SOURCES]))
    if found:
        pytest.fail("\n".join(found), pytrace=False)


@pytest.mark.parametrize("opening", ["What a run holds.", "Which items are cold.", "  how many there are", "Whose?"])
def test_wh_openings_are_found(opening: str) -> None:
    assert wh_openings([Source(Path("module.py"), f'def f():\n    """{opening}"""\n')])


@pytest.mark.parametrize("opening", ["Read a file.", "Whatever is left.", "Howell's test."])
def test_other_openings_pass(opening: str) -> None:
    assert not wh_openings([Source(Path("module.py"), f'VALUE = 1\n"""{opening}"""\n')])
