"""Photograph the first screen of a page for the documentation: ``python docs/picture.py PAGE PICTURE``.

Needs Chromium, chromedriver and Selenium (extra ``test``).
"""

from __future__ import annotations

import argparse
import io
import shutil
from pathlib import Path

from PIL import Image
from selenium import webdriver


def photograph(page: Path, width: int, height: int) -> Image.Image:
    """Take a picture of the top of a page, in the light theme."""
    options = webdriver.ChromeOptions()
    options.binary_location = (
        shutil.which("chromium") or shutil.which("google-chrome") or "chromium"
    )
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"):
        options.add_argument(argument)

    with webdriver.Chrome(
        options=options, service=webdriver.ChromeService(shutil.which("chromedriver"))
    ) as browser:
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        browser.get(page.resolve().as_uri())
        browser.implicitly_wait(10)
        browser.find_element("css selector", "svg, table")
        return Image.open(io.BytesIO(browser.get_screenshot_as_png())).convert("RGB")


def main() -> None:
    """Take the picture."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("page", type=Path, help="HTML file")
    parser.add_argument("picture", type=Path, help="PNG file to write")
    parser.add_argument("--width", type=int, default=1100)
    parser.add_argument("--height", type=int, default=925)
    options = parser.parse_args()

    picture = photograph(options.page, options.width, options.height)
    picture.save(options.picture, optimize=True)


if __name__ == "__main__":
    main()
