"""Chromium for the tests of pages."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from selenium import webdriver


def chromium_options(*logs: str) -> webdriver.ChromeOptions:
    """Make the options of Chromium without a screen.

    Args:
        logs: Chromium's logs to keep, with all lines.
    """
    options = webdriver.ChromeOptions()
    options.binary_location = _program("chromium", "chromium-browser", "google-chrome")
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", dict.fromkeys(logs, "ALL"))
    return options


def start_chromium(options: webdriver.ChromeOptions) -> webdriver.Chrome:
    """Start Chromium; the test fails with an advice where it is not installed."""
    return webdriver.Chrome(
        options=options, service=webdriver.ChromeService(_program("chromedriver"))
    )


def serious_faults(browser: webdriver.Chrome) -> list[str]:
    """List the serious faults of accessibility of a page; the test is skipped without axe-core."""
    file = Path(os.environ.get("AXE_CORE", "node_modules/axe-core/axe.min.js"))
    if not file.is_file():
        how = "npm install --no-save axe-core, or name its axe.min.js in AXE_CORE"
        pytest.skip(f"axe-core is not installed: {how} (no {file})")

    browser.execute_script(file.read_text(encoding="utf-8"))
    fault = "`${x.impact} ${x.id} ${x.nodes[0].html}`"
    run = f"axe.run().then((found) => arguments[0](found.violations.map((x) => {fault})))"
    faults: list[str] = browser.execute_async_script(run)
    return [fault for fault in faults if fault.startswith(("serious", "critical"))]


def _program(*names: str) -> str:
    found = next(filter(None, map(shutil.which, names)), None)
    if found is None:
        pytest.fail(
            f"no {names[0]}: apt-get install -y chromium chromium-driver (Debian) installs what this test needs"
        )
    return found
