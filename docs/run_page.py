"""Run the commands of pages: ``python docs/run_page.py PAGE ... [--folder FOLDER]``, or ``--all``.

Blocks marked ``bash`` and ``python`` run, page after page, in one shell that ends at the first failure. The
shell works in an empty folder. A block of Python whose first line is a comment with a file name, such as
``# my_model.py``, is written to that file. Blocks without a mark are examples and do not run.

A block marked ``bash needs X`` needs something that an empty folder lacks: data to download, Docker, hours. It
does not run, and the program lists it at the end.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

GUIDE = Path(__file__).parent / "guide"

CONTINUED = {
    "first_steps": ("pgvector", "qdrant", "ray_jobs"),
    "using_a_model": ("server",),
}
"""Page -> pages that continue it."""

HEAD = """set -euo pipefail
trap 'kill $(jobs -p) 2> /dev/null || true' EXIT
"""
"""First lines of a script: it ends at the first failure, and its servers end with it."""

BLOCK = re.compile(r"^```(bash|python)(?: needs ([^\n]+))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FILE_NAME = re.compile(r"# (\w+\.py)\n")


@dataclass(frozen=True)
class Block:
    """Commands or code of a page."""

    kind: str
    """``bash`` or ``python``."""
    needs: str
    """Reason not to run it, or empty."""
    text: str
    """Its lines."""


def blocks_of(page: str) -> list[Block]:
    """Find the marked blocks of a page."""
    return [Block(*found) for found in BLOCK.findall(page)]


def script_of(page: str) -> str:
    """Make a shell script of the blocks of a page that run anywhere."""
    parts = [HEAD]
    for block in blocks_of(page):
        if block.needs:
            continue
        if block.kind == "bash":
            parts.append(block.text)
            continue

        file = FILE_NAME.match(block.text)
        command = f"cat > {file.group(1)}" if file else "python -"
        parts.append(f"{command} <<'END_OF_BLOCK'\n{block.text}END_OF_BLOCK\n")
    return "\n".join(parts)


def groups() -> list[list[Path]]:
    """List all pages with commands, each with the pages that continue it."""
    later = {name for names in CONTINUED.values() for name in names}
    first = [page for page in sorted(GUIDE.glob("*.md")) if page.stem not in later]
    return [
        [page, *(GUIDE / f"{name}.md" for name in CONTINUED.get(page.stem, ()))]
        for page in first
        if any(not block.needs for block in blocks_of(page.read_text(encoding="utf-8")))
    ]


def run(pages: Sequence[Path], folder: Path) -> int:
    """Run the commands of pages in a folder.

    Returns:
        Exit status of the first failing command, or 0.
    """
    script = script_of("\n".join(page.read_text(encoding="utf-8") for page in pages))
    with tempfile.TemporaryDirectory() as settings:
        # an answer such as 404 is a failure of curl, which says so on request alone
        (Path(settings) / ".curlrc").write_text("fail-with-body\n", encoding="utf-8")
        environment = {**os.environ, "CURL_HOME": settings}
        shell = subprocess.run(["bash", "-c", script], cwd=folder, env=environment, check=False)
        return shell.returncode


def run_all() -> int:
    """Run the commands of all pages, and list results and blocks that did not run.

    Returns:
        1 if a page failed, or 0.
    """
    results = []
    for pages in groups():
        names = ", ".join(page.stem for page in pages)
        print(f"=== {names}", flush=True)
        start = time.monotonic()
        with tempfile.TemporaryDirectory() as folder:
            status = run(pages, Path(folder))
        results.append((names, status, time.monotonic() - start))

    for page in sorted(GUIDE.glob("*.md")):
        list_left_out(page)
    for names, status, seconds in results:
        print(f"{'passed' if status == 0 else f'FAILED ({status})'}: {names}, {seconds:.0f} s")
    return int(any(status for _, status, _ in results))


def list_left_out(page: Path) -> None:
    """Print the first lines of the blocks of a page that did not run."""
    for block in blocks_of(page.read_text(encoding="utf-8")):
        if block.needs:
            print(f"not run, needs {block.needs}: {page.stem}: {block.text.splitlines()[0]}")


def main() -> int:
    """Run the pages.

    Returns:
        Exit status.
    """
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=form)
    parser.add_argument("pages", type=Path, nargs="*", metavar="PAGE", help="Markdown file")
    parser.add_argument("--all", action="store_true", help="all pages of the guide")
    parser.add_argument(
        "--folder", type=Path, help="empty folder to run in (default: a temporary one)"
    )
    options = parser.parse_args()
    if options.all == bool(options.pages):
        parser.error("give PAGE ... or --all")
    if options.all:
        return run_all()

    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            parser.error(f"--folder: {folder} is not empty")

        status = run(options.pages, folder)
        for page in options.pages:
            list_left_out(page)
        return status


if __name__ == "__main__":
    raise SystemExit(main())
