"""The example as a portable model in a folder, and the server of it as a process."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from recbole_sibrar.serving.bundle.writing import write
from recbole_sibrar.serving.example import example_content

TOKEN = "a-token-for-the-tests"
AUTHORIZED = {"Authorization": f"Bearer {TOKEN}"}


def write_example(folder: Path, overwrite: bool = False, model: str = "SiBraR") -> None:
    """Write the example as a portable model."""
    content = example_content()
    write(replace(content, manifest=replace(content.manifest, model=model)), folder, overwrite)


@contextmanager
def serving(folder: Path, *options: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Start ``recbole-sibrar serve`` at a free port; its process and address."""
    log = folder.with_name("log")
    program = "import sys; from recbole_sibrar.cli import main; sys.exit(main())"
    command = [sys.executable, "-c", program, "serve", str(folder), "--port", "0", *options]
    with log.open("w", encoding="utf-8") as stream:
        process = subprocess.Popen(command, stdout=stream, stderr=stream, text=True)
    try:
        yield process, _address(process, log)
    finally:
        process.kill() if process.poll() is None and "--workers" not in options else process.terminate()
        process.wait(60)


def _address(process: subprocess.Popen[str], log: Path) -> str:
    """Wait until the server is ready."""
    for _ in range(600):
        text = log.read_text("utf-8")
        found = re.search(r"serving at (\S+)", text)
        if found and "startup complete" in text:
            return found.group(1)
        if process.poll() is not None:
            break
        time.sleep(0.1)
    raise AssertionError(log.read_text("utf-8"))
