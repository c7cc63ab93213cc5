"""Pages of the documentation: links, tables of keys, and the length of cells."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
import recbole
import yaml

ROOT = Path(__file__).parents[1]
PAGES = sorted(
    [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("benchmarks/*.md"), *ROOT.glob(".github/*.md")]
)
IDS = [str(page.relative_to(ROOT)) for page in PAGES]

MAX_WORDS = 20

FENCE = re.compile(r"^ *```.*?^ *```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)\s]+)\)")
CODE = re.compile(r"`[^`]+`")
CELL_BORDER = re.compile(r"(?<!\\)\|")


@cache
def text_of(page: Path) -> str:
    """Text of a page without its code blocks."""
    return FENCE.sub("", page.read_text(encoding="utf-8"))


def anchors_of(page: Path) -> set[str]:
    """Anchors of the headings of a page, as GitHub makes them."""
    headings = re.findall(r"^#+ +(.+)$", text_of(page), re.MULTILINE)
    plain = (re.sub(r"[^\w\- ]", "", LINK.sub("", heading)).strip().lower() for heading in headings)
    return {heading.replace(" ", "-") for heading in plain}


def tables_of(page: Path) -> Iterator[list[list[str]]]:
    """Tables of a page: rows of cells, first the head."""
    for block in re.findall(r"(?:^\|.*\n?)+", text_of(page), re.MULTILINE):
        lines = block.strip().splitlines()
        rows = [[cell.strip() for cell in CELL_BORDER.split(line)[1:-1]] for line in lines]
        yield [rows[0], *rows[2:]]


@cache
def known_keys() -> set[str]:
    """Names of the configuration keys with a default, also with the prefix of a side."""
    folders = (ROOT / "properties", Path(recbole.__file__).parent / "properties")
    files = [file for folder in folders for file in (folder / "overall.yaml", *folder.glob("model/*.yaml"))]
    keys = {key for file in files for key in yaml.safe_load(file.read_text(encoding="utf-8")) or ()}
    return {f"{side}{key}" for side in ("", "user_", "item_") for key in keys}


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_links_lead_somewhere(page: Path) -> None:
    for link in LINK.findall(text_of(page)):
        if "://" in link:
            continue

        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{link}: there is no such file"
        assert not anchor or anchor in anchors_of(target), f"{link}: there is no such heading"


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_cells_of_tables_are_short(page: Path) -> None:
    for table in tables_of(page):
        for cell in (cell for row in table for cell in row):
            words = CODE.sub("code", cell).split()
            assert len(words) <= MAX_WORDS, f"{len(words)} words: {cell}"


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_rows_have_as_many_cells_as_heads(page: Path) -> None:
    for table in tables_of(page):
        assert {len(row) for row in table} == {len(table[0])}, table[0]


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_keys_in_tables_exist(page: Path) -> None:
    for head, *rows in tables_of(page):
        if head[0] not in ("key", "keys"):
            continue

        names = {name.partition(":")[0] for row in rows for name in re.findall(r"`([^`]+)`", row[0])}
        assert names <= known_keys(), names - known_keys()


def test_all_pages_are_found() -> None:
    assert {"README.md", "CONTRIBUTING.md", "docs/architecture.md", "docs/guide/data.md"} <= set(IDS)
    assert "normalize_numbers" in known_keys()


def test_readme_names_every_guide_page() -> None:
    linked = {(ROOT / link.partition("#")[0]).resolve() for link in LINK.findall(text_of(ROOT / "README.md"))}
    assert {page for page in PAGES if page.parent.name == "guide"} <= linked
