"""Docstrings open with a verb or a noun of the field, models and metrics have examples, names of tests are short."""

from __future__ import annotations

from pathlib import Path

import pytest
from measures import (
    LONGEST_TEST_NAME,
    ROOT,
    SOURCES,
    Source,
    names_of_tests,
    read_sources,
    wh_openings,
)
from recbole.utils import get_model

from recbole_sibrar.evaluator.metrics import METRICS
from recbole_sibrar.names import OWN_MODELS


def test_no_docstring_opens_with_a_wh_word() -> None:
    found = wh_openings(read_sources([ROOT / name for name in SOURCES]))
    if found:
        pytest.fail("\n".join(found), pytrace=False)


@pytest.mark.parametrize(
    "opening", ["What a run holds.", "Which items are cold.", "  how many there are", "Whose?"]
)
def test_wh_openings_are_found(opening: str) -> None:
    assert wh_openings([Source(Path("module.py"), f'def f():\n    """{opening}"""\n')])


@pytest.mark.parametrize("opening", ["Read a file.", "Whatever is left.", "Howell's test."])
def test_other_openings_pass(opening: str) -> None:
    assert not wh_openings([Source(Path("module.py"), f'VALUE = 1\n"""{opening}"""\n')])


@pytest.mark.parametrize(
    "shown", [*map(get_model, OWN_MODELS), *METRICS], ids=lambda shown: shown.__name__
)
def test_models_and_metrics_have_examples(shown: type) -> None:
    assert ">>>" in (shown.__doc__ or "")


def test_names_of_tests_are_short() -> None:
    names = names_of_tests(read_sources([ROOT / "tests"]))
    assert [name for name in names if len(name) > LONGEST_TEST_NAME] == []
