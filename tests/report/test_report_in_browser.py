from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import pandas as pd
import pytest
from chromium import chromium_options, start_chromium
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import Select, WebDriverWait

from recbole_sibrar.report import build as report

pytestmark = [pytest.mark.slow, pytest.mark.browser]

STRANGE = "<b>A & $B$</b>"

PLOT = "document.querySelector('#p0-results .plot')"


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Chrome]:
    """Chromium, of the size of a phone or a desk at will."""
    options = chromium_options("browser", "performance")
    downloads = tmp_path_factory.mktemp("downloads")
    options.add_experimental_option("prefs", {"download.default_directory": str(downloads)})
    driver = start_chromium(options)
    driver.downloads = downloads
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
    WebDriverWait(browser, 20).until(lambda _: browser.execute_script("return document.documentElement.dataset.ready"))
    yield browser
    assert browser.get_log("browser") == []


def _emulate(browser: webdriver.Chrome, width: int, scheme: str) -> None:
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    media = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", media)


def _column(browser: webdriver.Chrome, table: str, column: int) -> list[str]:
    script = (
        "return [...document.getElementById(arguments[0]).tBodies[0].rows].map(r => r.cells[arguments[1]].innerText)"
    )
    return browser.execute_script(script, table, column)


def _head(browser: webdriver.Chrome, table: str, column: int) -> WebElement:
    return browser.find_elements(By.CSS_SELECTOR, f"#{table} thead th")[column]


def _background(browser: webdriver.Chrome) -> str:
    return browser.execute_script("return getComputedStyle(document.body).backgroundColor")


def test_nothing_is_asked_from_anywhere(opened: webdriver.Chrome) -> None:
    log = [entry["message"] for entry in opened.get_log("performance")]
    sent = [message for message in log if "Network.requestWillBeSent" in message]
    assert len(sent) >= 1
    assert not [message for message in sent if '"url":"http' in message or '"url":"ws' in message]
    entries = opened.execute_script("return performance.getEntriesByType('resource').map(entry => entry.name)")
    assert [name for name in entries if not name.startswith(("data:", "blob:", "file:"))] == []


def test_tables_sort_by_click_and_key(opened: webdriver.Chrome, page: Path) -> None:
    results = pd.read_csv(page.parent / "results.csv")
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


def test_figures_have_data_and_texts(opened: webdriver.Chrome, page: Path) -> None:
    plots = opened.execute_script(
        "return [...document.querySelectorAll('.plot')].map(p => [p.data.map(t => t.y.length),"
        "p.getAttribute('aria-label'), p.querySelectorAll('.point, .points path').length, p.getAttribute('role')])"
    )
    assert len(plots) == 5  # results, groups, curves, missing modalities, gap
    for lengths, label, marks, role in plots:
        assert lengths
        assert min(lengths) > 0
        assert marks >= sum(lengths)
        assert "SiBraR" in label
        assert role == "img"
    places = opened.execute_script(f"return {PLOT}.data.map(trace => trace.x)")
    groups = pd.read_csv(page.parent / "results.csv").groupby("name", sort=False)["ndcg@10"]
    assert places[:3] == [pytest.approx(values.tolist()) for _, values in groups]  # the seeds
    assert places[3:] == [[pytest.approx(mean)] for mean in groups.mean()]
    ticks = opened.find_elements(By.CSS_SELECTOR, "#p0-results .plot .ytick")
    assert [tick.text for tick in sorted(ticks, key=lambda tick: tick.rect["y"])] == ["SiBraR", STRANGE, "Pop"]


def test_another_metric_can_be_chosen(opened: webdriver.Chrome) -> None:
    opened.find_element(By.CSS_SELECTOR, "#p0-results details.values summary").send_keys(Keys.ENTER)
    Select(opened.find_element(By.CSS_SELECTOR, "#p0-results .chart-choice")).select_by_visible_text("Gini@10")
    assert opened.execute_script(f"return {PLOT}.data[3].x[0]") == pytest.approx(0.67)
    rows = opened.find_elements(By.CSS_SELECTOR, "#p0-results details.values tbody tr")
    assert [row.find_elements(By.TAG_NAME, "td")[2].text for row in rows] == ["0.67", "0.85", "0.94"]
    assert opened.find_element(By.CSS_SELECTOR, "#p0-results figcaption").text.startswith("Test Gini@10 of each model")


def test_pointer_reads_each_seed(opened: webdriver.Chrome) -> None:
    script = f"Plotly.Fx.hover({PLOT}, [{{curveNumber: 4, pointNumber: 0}}])"
    opened.execute_script(script)
    find = lambda _: opened.find_elements(By.CSS_SELECTOR, "#p0-results .hoverlayer .hovertext")  # noqa: E731
    (label,) = WebDriverWait(opened, 5).until(find)
    assert STRANGE in label.text
    assert "nDCG@10: 0.15" in label.text
    assert "seed 1: 0.2000, seed 2: 0.1000" in label.text


def test_pairs_are_restricted_to_a_metric(opened: webdriver.Chrome) -> None:
    choice = Select(opened.find_element(By.ID, "p0-table-significance-choice"))
    assert [option.text for option in choice.options] == ["all", "nDCG@10"]
    rows = opened.find_elements(By.CSS_SELECTOR, "#p0-table-significance tbody tr")
    assert [row.is_displayed() for row in rows] == [True] * 3


def test_theme_follows_the_system(opened: webdriver.Chrome) -> None:
    paper = f"return {PLOT}.layout.paper_bgcolor"
    light, light_paper = _background(opened), opened.execute_script(paper)
    _emulate(opened, 1280, "dark")
    WebDriverWait(opened, 5).until(lambda _: opened.execute_script(paper) != light_paper)
    assert _background(opened) != light
    theme = Select(opened.find_element(By.ID, "theme"))
    theme.select_by_value("light")
    assert (_background(opened), opened.execute_script(paper)) == (light, light_paper)
    opened.refresh()
    WebDriverWait(opened, 20).until(lambda _: opened.execute_script("return document.documentElement.dataset.ready"))
    assert _background(opened) == light


@pytest.mark.parametrize(("kind", "begin"), [("svg", b"<svg"), ("png", b"\x89PNG")])
def test_a_figure_is_saved(opened: webdriver.Chrome, kind: str, begin: bytes) -> None:
    opened.find_element(By.CSS_SELECTOR, f"#p0-results [data-format={kind}]").click()
    path = opened.downloads / f"results-ndcg-10.{kind}"
    WebDriverWait(opened, 10).until(lambda _: path.is_file() and path.stat().st_size)
    assert path.read_bytes().startswith(begin)


def test_phone_needs_no_sideways_scrolling(opened: webdriver.Chrome) -> None:
    _emulate(opened, 390, "light")
    widths = "return [document.documentElement.scrollWidth, Math.max(...[...document.querySelectorAll('.plot')].map("
    widths += "p => p.querySelector('svg').getBoundingClientRect().right))]"
    WebDriverWait(opened, 5).until(lambda _: max(opened.execute_script(widths)) <= 390)


@pytest.mark.parametrize("width", [1280, 768, 390])
def test_no_text_of_a_figure_is_cut(opened: webdriver.Chrome, width: int) -> None:
    _emulate(opened, width, "light")
    cut = """return [...document.querySelectorAll('.plot')].flatMap(plot => {
        const outer = plot.getBoundingClientRect();
        return [...plot.querySelectorAll('text')].filter(text => {
            const box = text.getBoundingClientRect();
            const leaves = box.left < outer.left - 1 || box.right > outer.right + 1;
            return box.width && (leaves || box.top < outer.top - 1 || box.bottom > outer.bottom + 1);
        }).map(text => text.textContent);
    })"""
    WebDriverWait(opened, 20).until(lambda _: opened.execute_script(cut) == [])


def test_a_wide_table_shows_that_it_goes_on(opened: webdriver.Chrome) -> None:
    _emulate(opened, 390, "light")
    table = opened.find_element(By.CSS_SELECTOR, "#p0-runs .scroll")
    WebDriverWait(opened, 5).until(lambda _: "more" in table.get_attribute("class"))
    opened.execute_script("arguments[0].scrollLeft = 10000", table)
    WebDriverWait(opened, 5).until(lambda _: "more" not in table.get_attribute("class"))


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
