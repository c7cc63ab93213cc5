from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import pandas as pd
import pytest
from chromium import chromium_options, start_chromium
from selenium import webdriver
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import Select, WebDriverWait

from recbole_sibrar.report import build as report

pytestmark = [pytest.mark.slow, pytest.mark.browser]

STRANGE = "<b>A & $B$</b>"


@pytest.fixture(scope="module")
def browser() -> Iterator[webdriver.Chrome]:
    """Chromium, of the size of a phone or a desk at will."""
    driver = start_chromium(chromium_options("browser", "performance"))
    yield driver
    driver.quit()


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory, make_comparison: Callable[..., Path]) -> Path:
    """The page of a small comparison."""
    folder = make_comparison(tmp_path_factory.mktemp("page") / "comparison")
    return report.run(folder)[0]


@pytest.fixture
def opened(browser: webdriver.Chrome, page: Path) -> webdriver.Chrome:
    """The page, ready, in a light system and 1280 pixels wide."""
    browser.get_log("browser")
    browser.get_log("performance")
    _emulate(browser, 1280, "light")
    browser.get(page.as_uri())
    browser.execute_script("localStorage.clear()")
    WebDriverWait(browser, 20).until(
        lambda _: browser.execute_script("return document.documentElement.dataset.ready")
    )
    yield browser
    assert browser.get_log("browser") == []


def _emulate(browser: webdriver.Chrome, width: int, scheme: str) -> None:
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    media = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", media)


def _column(browser: webdriver.Chrome, table: str, column: int) -> list[str]:
    rows = "[...document.getElementById(arguments[0]).tBodies[0].rows]"
    script = f"return {rows}.map(r => r.cells[arguments[1]].innerText)"
    return browser.execute_script(script, table, column)


def _head(browser: webdriver.Chrome, table: str, column: int) -> WebElement:
    return browser.find_elements(By.CSS_SELECTOR, f"#{table} thead th")[column]


def _shown(browser: webdriver.Chrome, section: str) -> str:
    """Caption of the figure shown first in a section."""
    shown = "[...document.querySelectorAll(arguments[0])].filter(x => x.checkVisibility())"
    script = f"return {shown}.map(x => x.innerText)[0]"
    return browser.execute_script(script, f"#{section} figcaption")


def _background(browser: webdriver.Chrome) -> str:
    return browser.execute_script("return getComputedStyle(document.body).backgroundColor")


def test_nothing_is_asked_from_anywhere(opened: webdriver.Chrome) -> None:
    log = [entry["message"] for entry in opened.get_log("performance")]
    sent = [message for message in log if "Network.requestWillBeSent" in message]
    assert len(sent) >= 1
    assert not [message for message in sent if '"url":"http' in message or '"url":"ws' in message]
    entries = opened.execute_script(
        "return performance.getEntriesByType('resource').map(entry => entry.name)"
    )
    assert [name for name in entries if not name.startswith(("data:", "blob:", "file:"))] == []


def test_tables_sort_by_click_and_key(opened: webdriver.Chrome, page: Path) -> None:
    results = pd.read_csv(page.parent / "results.csv")
    opened.find_element(By.CSS_SELECTOR, "#p0-runs summary").click()
    head = _head(opened, "p0-table-runs", 4)
    for keys, order, descending in (
        (None, "descending", True),
        (Keys.ENTER, "ascending", False),
        (" ", "descending", True),
    ):
        button = head.find_element(By.TAG_NAME, "button")
        button.click() if keys is None else button.send_keys(keys)
        assert head.get_attribute("aria-sort") == order
        shown = [float(text) for text in _column(opened, "p0-table-runs", 4)]
        assert shown == pytest.approx(sorted(results["ndcg@10"], reverse=descending), abs=5e-5)
    name = _head(opened, "p0-table-runs", 0)
    name.find_element(By.TAG_NAME, "button").click()
    assert _column(opened, "p0-table-runs", 0) == sorted(results["name"], key=str.lower)
    assert (name.get_attribute("aria-sort"), head.get_attribute("aria-sort")) == ("ascending", None)


def test_figures_have_marks_and_texts(opened: webdriver.Chrome) -> None:
    figures = opened.execute_script(
        "return [...document.querySelectorAll('figure')].filter(x => x.checkVisibility()).map(x => [x.ariaLabel,"
        "[...x.querySelectorAll('.dot, polyline, path')].filter(y => y.getBoundingClientRect().height).length])"
    )
    assert len(figures) == 9  # a figure a section, and the projections
    assert all(label and n_marks for label, n_marks in figures)
    names = opened.find_elements(By.CSS_SELECTOR, "#p0-results figure:not(.other) .row .name")
    assert [name.text for name in sorted(names, key=lambda name: name.rect["y"])] == [
        "SiBraR",
        STRANGE,
        "Pop",
    ]


def test_a_metric_is_chosen_everywhere(opened: webdriver.Chrome) -> None:
    Select(
        opened.find_element(By.CSS_SELECTOR, "#p0-results .chart-choice")
    ).select_by_visible_text("Gini@10")
    assert _shown(opened, "p0-results").startswith("Test Gini@10 of each model")
    # which have no other metric
    assert _shown(opened, "p0-curves").startswith("Validation nDCG@10")
    Select(opened.find_element(By.CSS_SELECTOR, "#p0-curves .chart-choice")).select_by_visible_text(
        "Training loss"
    )
    assert _shown(opened, "p0-curves").startswith("Training loss")
    assert _shown(opened, "p0-results").startswith("Test Gini@10 of each model")
    Select(
        opened.find_element(By.CSS_SELECTOR, "#p0-results .chart-choice")
    ).select_by_visible_text("nDCG@10")
    assert _shown(opened, "p0-curves").startswith("Validation nDCG@10")


def test_pointer_reads_all_lines(opened: webdriver.Chrome) -> None:
    panel = opened.find_element(By.CSS_SELECTOR, "#p0-curves figure:not(.other) .panel")
    ActionChains(opened).scroll_to_element(panel).move_to_element(panel).perform()
    head, *lines = opened.find_element(By.CLASS_NAME, "tip").text.splitlines()
    assert head.endswith(": 1")  # the epoch in the middle
    assert lines[0].split("  ") == ["0.175", "SiBraR, seed 2"]
    assert len(lines) == 6


def test_pairs_are_restricted_to_a_metric(opened: webdriver.Chrome) -> None:
    opened.find_element(By.CSS_SELECTOR, "#p0-significance summary").click()
    choice = Select(opened.find_element(By.ID, "p0-table-significance-choice"))
    assert [option.text for option in choice.options] == ["all", "nDCG@10"]
    rows = opened.find_elements(By.CSS_SELECTOR, "#p0-table-significance tbody tr")
    assert [row.is_displayed() for row in rows] == [True] * 3


def test_theme_follows_the_system(opened: webdriver.Chrome) -> None:
    dot = "return getComputedStyle(document.querySelector('#p0-results .dot')).fill"
    light, light_dot = _background(opened), opened.execute_script(dot)
    _emulate(opened, 1280, "dark")
    WebDriverWait(opened, 5).until(lambda _: opened.execute_script(dot) != light_dot)
    assert _background(opened) != light
    theme = Select(opened.find_element(By.ID, "theme"))
    theme.select_by_value("light")
    assert (_background(opened), opened.execute_script(dot)) == (light, light_dot)
    opened.refresh()
    WebDriverWait(opened, 20).until(
        lambda _: opened.execute_script("return document.documentElement.dataset.ready")
    )
    assert _background(opened) == light


def test_a_wide_table_shows_that_it_goes_on(opened: webdriver.Chrome) -> None:
    _emulate(opened, 390, "light")
    opened.find_element(By.CSS_SELECTOR, "#p0-runs summary").click()
    table = opened.find_element(By.CSS_SELECTOR, "#p0-runs .scroll")
    frame = opened.find_element(By.CSS_SELECTOR, "#p0-runs .frame")
    WebDriverWait(opened, 5).until(lambda _: "more" in frame.get_attribute("class"))
    place = "return document.querySelector('#p0-runs tbody th').getBoundingClientRect().left"
    first = opened.execute_script(place)
    opened.execute_script("arguments[0].scrollLeft = 10000", table)
    WebDriverWait(opened, 5).until(lambda _: "more" not in frame.get_attribute("class"))
    assert opened.execute_script(place) == first
    assert "before" in frame.get_attribute("class")


def test_keyboard_reaches_every_control(opened: webdriver.Chrome) -> None:
    script = (
        "return [...document.querySelectorAll('button, select, a[href], summary, .scroll')].filter("
        "element => element.checkVisibility() && element.tabIndex < 0).length"
    )
    assert opened.execute_script(script) == 0
    unnamed = (
        "return [...document.querySelectorAll('select, button')].filter("
        "e => !e.textContent.trim() || (e.matches('select') && !e.labels.length)).length"
    )
    assert opened.execute_script(unnamed) == 0
    levels = opened.execute_script(
        "return [...document.querySelectorAll('h1, h2, h3, h4')].map(h => Number(h.tagName[1]))"
    )
    assert levels[:3] == [1, 2, 3]
    assert max(b - a for a, b in pairwise(levels)) == 1
    assert opened.execute_script("return document.documentElement.lang") == "en"
