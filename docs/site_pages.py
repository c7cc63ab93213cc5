"""Pages of the site from files outside of ``docs/``, and the links to them.

The Markdown files are read on GitHub too, where ``../CHANGELOG.md`` and ``../../properties/model`` lead somewhere. On
the site these links lead to pages in ``docs/generated/``.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

import site_reference

if TYPE_CHECKING:
    from sphinx.application import Sphinx

DOCS = Path(__file__).parent
ROOT = DOCS.parent
GENERATED = DOCS / "generated"

COPIED = {
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "benchmarks/README.md": "benchmarks.md",
    "benchmarks/results.md": "benchmark_results.md",
}
"""Markdown files of the project -> their pages."""

KEYS = "keys.md"
"""Page with the files of ``properties/``."""

TREE = {
    "Start": [
        "guide/first_steps",
        "guide/installation",
        "notebooks/cold_start",
        "notebooks/missing_and_gap",
    ],
    "Data": ["guide/data", "guide/datasets", "guide/encoding", "guide/add_a_converter"],
    "Training and evaluation": [
        "guide/models",
        "guide/evaluation",
        "guide/running",
        "guide/tuning",
        "guide/scaling",
        "guide/large_data",
    ],
    "Studies and results": [
        "guide/report",
        "guide/missing_modalities",
        "guide/modality_gap",
        "guide/results",
    ],
    "Use": [
        "guide/using_a_model",
        "guide/server",
        "guide/container",
        "guide/pgvector",
        "guide/qdrant",
        "guide/ray_jobs",
    ],
    "Extension": ["guide/your_own_model", "architecture", "generated/contributing"],
    "Reference": [
        "generated/reference",
        "generated/keys",
        "generated/benchmarks",
        "generated/benchmark_results",
        "generated/changelog",
    ],
}
"""Pages by section, in the order of the site."""

REFERENCE = """# Reference

All public names, from their docstrings. Most programs need few of them:
[using a trained model](../guide/using_a_model.md) and [running](../guide/running.md) show these.

```{toctree}
:maxdepth: 1

api/recbole_sibrar
```
"""

LINK = re.compile(r"(?<=\]\()([^)\s:#]+)((?:#[^)\s]*)?)(?=\))")
FENCE = re.compile(r"(^ *```.*?^ *```[^\n]*$)", re.MULTILINE | re.DOTALL)


def write_pages() -> None:
    """Write the pages whose sources lie outside of ``docs/``."""
    (GENERATED / "api").mkdir(parents=True, exist_ok=True)
    for source, page in COPIED.items():
        text = (ROOT / source).read_text(encoding="utf-8")
        _write(GENERATED / page, relinked(text, (ROOT / source).parent, GENERATED))
    _write(GENERATED / KEYS, _page_of_keys())
    _write(GENERATED / "reference.md", REFERENCE)

    for module, text in site_reference.pages().items():
        _write(GENERATED / "api" / f"{module}.rst", text)


def mend_links(app: Sphinx, name: str, content: list[str]) -> None:
    """Change links of a page that leave ``docs/``; Sphinx calls this before it reads the page."""
    folder = (DOCS / name).parent
    if folder != GENERATED and (DOCS / f"{name}.md").is_file():
        content[0] = relinked(content[0], folder, folder)
    if name == "index":
        content[0] += "".join(_toctree(caption, pages) for caption, pages in TREE.items())


def relinked(text: str, source: Path, page: Path) -> str:
    """Change the relative links of a text.

    Args:
        text: Markdown.
        source: Folder to which the links are relative.
        page: Folder of the page, to which they shall be.
    """
    parts = FENCE.split(text)  # fenced blocks have odd positions
    for position in range(0, len(parts), 2):
        parts[position] = LINK.sub(lambda link: _target(link, source, page), parts[position])
    return "".join(parts)


def _target(link: re.Match[str], source: Path, page: Path) -> str:
    path, anchor = (source / link.group(1)).resolve(), link.group(2)
    name = path.relative_to(ROOT).as_posix()

    if path.is_relative_to(DOCS):
        target = path
    elif name in COPIED:
        target = GENERATED / COPIED[name]
    elif name.startswith("properties/"):
        target, anchor = GENERATED / KEYS, f"#{anchor_of(path)}"
    elif name == "README.md":
        target = DOCS / "index.md"
    elif path.suffix == ".py" or (path / "__init__.py").is_file():
        target = GENERATED / "api" / f"{name.removesuffix('.py').replace('/', '.')}.rst"
    else:
        raise ValueError(f"{link.group(0)}: the site has no page for {name}")
    return f"{os.path.relpath(target, page)}{anchor}"


def _toctree(caption: str, pages: list[str]) -> str:
    listed = "\n".join(pages)
    return f"\n```{{toctree}}\n:hidden:\n:caption: {caption}\n\n{listed}\n```\n"


def anchor_of(path: Path) -> str:
    """Return the anchor of a file or folder on the page of keys."""
    name = path.name if path.is_dir() else f"{path.parent.name}{path.name}"
    return re.sub(r"[^\w-]", "", name).lower()


def _page_of_keys() -> str:
    """Show the files with defaults, ready-made configurations and search ranges."""
    folder = ROOT / "properties"
    parts = [
        "# Keys and their defaults\n",
        "Each line has a key with its default and its meaning.\n",
    ]
    groups = {
        "Every model": [folder / "overall.yaml"],
        "model": sorted((folder / "model").glob("*.yaml")),
        "quick_start_config": sorted((folder / "quick_start_config").glob("*.yaml")),
        "hyper": sorted((folder / "hyper").glob("*.hyper")),
    }
    for heading, files in groups.items():
        parts.append(f"## {heading}\n")
        for file in files:
            parts.append(f"### {file.parent.name}/{file.name}\n")
            text = file.read_text(encoding="utf-8")
            parts.append(
                f"```yaml\n{text}```\n" if file.suffix == ".yaml" else f"```text\n{text}```\n"
            )
    return "\n".join(parts)


def _write(path: Path, text: str) -> None:
    """Write a page if it has changed, so that Sphinx reads only what is new."""
    if not path.is_file() or path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8")
