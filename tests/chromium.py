"""Chromium for the tests of pages."""

from __future__ import annotations

import shutil

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


def _program(*names: str) -> str:
    found = next(filter(None, map(shutil.which, names)), None)
    if found is None:
        pytest.fail(
            f"no {names[0]}: apt-get install -y chromium chromium-driver (Debian) installs what this test needs"
        )
    return found
