"""Pages of the documentation: links, tables of keys, the length of cells, commands, and the pages of the site."""

from __future__ import annotations

import re
import runpy
import shlex
import sys
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest
import recbole
import yaml
from PIL import Image

from recbole_sibrar.cli import COMMANDS, PROGRAMS
from recbole_sibrar.errors import OptionParser

ROOT = Path(__file__).parents[1]
GENERATED = ROOT / "docs" / "generated"
PAGES = sorted(
    page
    for pattern in ("*.md", "docs/**/*.md", "benchmarks/*.md", ".github/*.md")
    for page in ROOT.glob(pattern)
    if not page.is_relative_to(GENERATED)
)
IDS = [str(page.relative_to(ROOT)) for page in PAGES]

MAX_WORDS = 20

FENCE = re.compile(r"^ *```.*?^ *```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)\s]+)\)")
CODE = re.compile(r"`[^`]+`")
CELL_BORDER = re.compile(r"(?<!\\)\|")


@cache
def load(name: str) -> SimpleNamespace:
    """Load a module of the site, which Sphinx need not be installed for."""
    sys.path.insert(0, str(ROOT / "docs"))
    try:
        return SimpleNamespace(**runpy.run_path(str(ROOT / "docs" / f"{name}.py")))
    finally:
        sys.path.pop(0)


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
    files = [
        file
        for folder in folders
        for file in (folder / "overall.yaml", *folder.glob("model/*.yaml"))
    ]
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

        names = {
            name.partition(":")[0] for row in rows for name in re.findall(r"`([^`]+)`", row[0])
        }
        assert names <= known_keys(), names - known_keys()


def test_all_pages_are_found() -> None:
    assert {"README.md", "CONTRIBUTING.md", "docs/architecture.md", "docs/guide/data.md"} <= set(
        IDS
    )
    assert "normalize_numbers" in known_keys()


def test_index_names_every_page() -> None:
    index = ROOT / "docs" / "index.md"
    linked = {
        (index.parent / link.partition("#")[0]).resolve() for link in LINK.findall(text_of(index))
    }
    assert {page for page in PAGES if page.parent.name == "guide"} <= linked


def test_site_has_every_page() -> None:
    site = load("site_pages")
    listed = {
        name for pages in site.TREE.values() for name in pages if not name.startswith("generated/")
    }
    folder = ROOT / "docs"
    found = {
        str(page.relative_to(folder).with_suffix(""))
        for page in PAGES
        if page.is_relative_to(folder)
    }
    assert listed == found - {"index"}


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_site_mends_every_link(page: Path) -> None:
    site = load("site_pages")
    if not page.is_relative_to(site.DOCS) and str(page.relative_to(ROOT)) not in site.COPIED:
        return

    folder = site.GENERATED / "x"  # any place of the site
    text = FENCE.sub("", site.relinked(page.read_text(encoding="utf-8"), page.parent, folder))
    for link in LINK.findall(text):
        path = link.partition("#")[0]
        assert "://" in link or not path or (folder / path).resolve().is_relative_to(site.DOCS), (
            link
        )


def test_reference_has_every_public_name() -> None:
    site = load("site_reference")
    pages = site.pages()
    assert len(pages) > 300
    assert "recbole_sibrar.serving.recommender" in pages
    assert ":members: register\n" in pages["recbole_sibrar"]
    assert "`recbole_sibrar.model.SiBraR <" in pages["recbole_sibrar"]
    assert all(site.file_of(module).is_file() for module in pages)


def test_script_of_a_page() -> None:
    page = """
```bash
ls a.py
```
```
example
```
```bash needs a GPU
nvidia-smi
```
```python
# a.py
x = 1
```
```python
x = 2
```
"""
    script = load("run_page").script_of(page)
    head, *blocks = script.split("\n\n")
    assert head.splitlines()[0] == "set -euo pipefail"
    assert blocks == [
        "ls a.py",
        "cat > a.py <<'END_OF_BLOCK'\n# a.py\nx = 1\nEND_OF_BLOCK",
        "python - <<'END_OF_BLOCK'\nx = 2\nEND_OF_BLOCK\n",
    ]


def test_a_page_ends_with_its_servers(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("```bash\nsleep 300 &\necho $! > pid\nfalse\n```\n", encoding="utf-8")
    folder = tmp_path / "folder"
    folder.mkdir()
    assert load("run_page").run([page], folder) == 1
    with suppress(psutil.NoSuchProcess):
        psutil.Process(int((folder / "pid").read_text())).wait(30)


def test_every_command_runs_or_says_why_not() -> None:
    runner = load("run_page")
    run_together = [page.name for pages in runner.groups() for page in pages]
    assert len(set(run_together)) == len(run_together)
    for page in (ROOT / "docs" / "guide").glob("*.md"):
        blocks = runner.blocks_of(page.read_text(encoding="utf-8"))
        assert all(len(block.needs.split()) <= MAX_WORDS for block in blocks)
        runs = [block.text for block in blocks if not block.needs]
        assert (page.name in run_together) == bool(runs)
        assert not re.search(r"<\w+>|\.\.\.", "".join(runs)), page.name

    workflow = (ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8")
    assert "docs/run_page.py --all" in workflow


def test_readme_fits_one_screen() -> None:
    lines = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()
    assert len(lines) <= 85
    picture = ROOT / "docs" / "images" / "report.png"
    assert picture.stat().st_size < 150_000


def test_picture_of_results_is_of_the_table() -> None:
    page = (ROOT / "docs" / "guide" / "results.md").read_text(encoding="utf-8")
    head, _, _ = page.partition("\n## ")
    with Image.open(ROOT / "docs" / "images" / "results.png") as picture:
        # drawn by docs/results_picture.py
        assert picture.text["Description"] in head  # type: ignore[attr-defined]


def test_first_steps_are_ten() -> None:
    page = (ROOT / "docs" / "guide" / "first_steps.md").read_text(encoding="utf-8")
    assert re.findall(r"^## (\d+)\. ", page, re.MULTILINE) == [
        str(number) for number in range(1, 11)
    ]


def commands_of(page: Path) -> Iterator[list[str]]:
    """Yield our commands in the blocks of a page that are marked as ``bash``, as lists of words."""
    for block in re.findall(
        r"^ *```bash[^\n]*\n(.*?)^ *```", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    ):
        for line in block.replace("\\\n", " ").splitlines():
            words = line.strip()
            if re.match(r"(recbole-sibrar|run_recbole|run_recbole_group|run_hyper) ", words):
                yield shlex.split(words.removesuffix("&"), comments=True)


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_commands_have_their_options(page: Path) -> None:
    for program, *arguments in commands_of(page):
        if program == "recbole-sibrar":
            name, *arguments = arguments
            if page.name == "CONTRIBUTING.md" and name == "models":  # the example of a new command
                continue
            command = COMMANDS[name]
        else:
            command = PROGRAMS[program]

        module = import_module(f"recbole_sibrar.{command.module}")
        # prepare has a parser for each converter
        if not hasattr(module, "add_arguments") or hasattr(module, "main"):
            continue

        parser = OptionParser(prog=program, allow_abbrev=False)
        module.add_arguments(parser)
        _, keys = parser.parse_known_args(arguments)
        assert all(key.startswith("--") and "=" in key for key in keys), (program, keys)
        assert command.takes_keys or not keys, (program, keys)
