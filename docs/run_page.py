"""Run every command of pages in an empty folder: ``python docs/run_page.py PAGE ... [--folder FOLDER]``.

Blocks marked ``bash`` and ``python`` run, page after page, in one shell that ends at the first failure. A block of
Python whose first line is a comment with a file name, such as ``# my_model.py``, is written to that file. Blocks
without a mark are examples and do not run.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import tempfile
from pathlib import Path

BLOCK = re.compile(r"^```(bash|python)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FILE_NAME = re.compile(r"# (\w+\.py)\n")


def script_of(page: str) -> str:
    """Make a shell script of the blocks of a page."""
    parts = ["set -euo pipefail\n"]
    for kind, text in BLOCK.findall(page):
        if kind == "bash":
            parts.append(text)
            continue

        file = FILE_NAME.match(text)
        command = f"cat > {file.group(1)}" if file else "python -"
        parts.append(f"{command} <<'END_OF_BLOCK'\n{text}END_OF_BLOCK\n")
    return "\n".join(parts)


def main() -> int:
    """Run the pages.

    Returns:
        Exit status of its first failing command, or 0.
    """
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("pages", type=Path, nargs="+", metavar="PAGE", help="Markdown file")
    parser.add_argument(
        "--folder", type=Path, help="empty folder to run in (default: a temporary one)"
    )
    options = parser.parse_args()
    script = script_of("\n".join(page.read_text(encoding="utf-8") for page in options.pages))

    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            parser.error(f"--folder: {folder} is not empty")
        return subprocess.run(["bash", "-c", script], cwd=folder, check=False).returncode


if __name__ == "__main__":
    raise SystemExit(main())
