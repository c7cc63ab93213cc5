from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from chromium import chromium_options, serious_faults, start_chromium
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import Select, WebDriverWait
from served_example import serving, write_example

from recbole_sibrar.serving.recommender import Recommender

pytestmark = [pytest.mark.slow, pytest.mark.browser, pytest.mark.processes]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str]]:
    """Folder of the model, and address of its server."""
    folder = tmp_path_factory.mktemp("page") / "films.sibrar"
    write_example(folder)
    with serving(folder) as (_, address):
        yield folder, address


@pytest.fixture(scope="module")
def browser() -> Iterator[webdriver.Chrome]:
    driver = start_chromium(chromium_options("browser"))
    yield driver
    driver.quit()


@pytest.fixture
def model(served: tuple[Path, str]) -> Recommender:
    return Recommender.load(served[0])


@pytest.fixture
def page(browser: webdriver.Chrome, served: tuple[Path, str]) -> Iterator[webdriver.Chrome]:
    """The page in a light system, 1280 pixels wide; its console stays empty."""
    browser.get_log("browser")
    _emulate(browser, 1280, "light")
    _open(browser, served[1])
    yield browser
    assert browser.get_log("browser") == []


def _open(browser: webdriver.Chrome, address: str) -> None:
    browser.get(address)
    browser.execute_script("localStorage.clear()")
    WebDriverWait(browser, 20).until(
        lambda _: browser.execute_script("return document.documentElement.dataset.ready")
    )


def _emulate(browser: webdriver.Chrome, width: int, scheme: str) -> None:
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    media = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", media)


def _wait_for_text(browser: webdriver.Chrome, where: str, text: str) -> None:
    WebDriverWait(browser, 20).until(lambda _: text in browser.find_element(By.ID, where).text)


def _names(browser: webdriver.Chrome, ranking: str) -> list[str]:
    return [row.text for row in browser.find_elements(By.CSS_SELECTOR, f"#{ranking} li strong")]


def _ask_for_ann(browser: webdriver.Chrome) -> None:
    browser.find_element(By.ID, "user").send_keys("ann", Keys.ENTER)
    _wait_for_text(browser, "who-message", "3 items")


def test_known_user(page: webdriver.Chrome, model: Recommender) -> None:
    _ask_for_ann(page)
    expected = model.recommend(["ann"], 10)
    assert _names(page, "items") == expected["item"].tolist()
    scores = [row.text for row in page.find_elements(By.CSS_SELECTOR, "#items .score")]
    assert scores == [f"{score:.3f}" for score in expected["score"]]


def test_bars_are_the_parts(page: webdriver.Chrome, model: Recommender) -> None:
    _ask_for_ann(page)
    script = (
        "return [...document.querySelectorAll('#items svg')].map("
        "chart => [...chart.querySelectorAll('rect')].map(bar => Number(bar.getAttribute('width'))))"
    )
    widths = page.execute_script(script)
    parts = [
        model.explain("ann", item).groupby("item_modality")["part"].sum()
        for item in _names(page, "items")
    ]
    ratios = [sum(row) / part.abs().sum() for row, part in zip(widths, parts, strict=True)]
    assert ratios == pytest.approx([ratios[0]] * len(ratios))
    labels = [
        bar.get_attribute("aria-label") for bar in page.find_elements(By.CSS_SELECTOR, "#items svg")
    ]
    assert all(
        name in label for label, part in zip(labels, parts, strict=True) for name in part.index
    )


def test_modality_is_switched_off(page: webdriver.Chrome) -> None:
    _ask_for_ann(page)
    before = [row.text for row in page.find_elements(By.CSS_SELECTOR, "#items .score")]
    page.find_element(By.ID, "item-modality-year").send_keys(" ")
    _wait_for_text(page, "who-message", "with the change of place")
    assert [row.text for row in page.find_elements(By.CSS_SELECTOR, "#items .score")] != before
    assert "year +" not in page.find_element(By.ID, "items").text
    page.find_element(By.ID, "item-modality-year").send_keys(" ")
    WebDriverWait(page, 20).until(
        lambda _: page.find_element(By.ID, "who-message").text == "3 items"
    )
    assert [row.text for row in page.find_elements(By.CSS_SELECTOR, "#items .score")] == before


def test_new_visitor_by_keyboard(page: webdriver.Chrome, model: Recommender) -> None:
    page.find_element(By.CSS_SELECTOR, "input[value=known]").send_keys(Keys.ARROW_RIGHT)
    page.find_element(By.ID, "history").send_keys("alien", Keys.ENTER)
    _wait_for_text(page, "clicks", "alien")
    page.find_element(By.ID, "user-field-country").send_keys("AT", Keys.ENTER)
    _wait_for_text(page, "who-message", "4 items")
    assert (
        _names(page, "items")
        == model.recommend_for(["alien"], {"country": "AT"}, 10)["item"].tolist()
    )
    page.find_element(By.CSS_SELECTOR, "#clicks button").send_keys(Keys.ENTER)
    assert page.find_elements(By.CSS_SELECTOR, "#clicks button") == []


def test_new_item(page: webdriver.Chrome, model: Recommender) -> None:
    assert not page.find_element(By.ID, "item-answers").is_displayed()  # headings of nothing
    assert page.find_element(By.ID, "item-field-genre-hint").text == "labels, separated by spaces"
    page.find_element(By.ID, "item-field-genre").send_keys("scifi")
    page.find_element(By.ID, "item-field-year").send_keys("1999", Keys.ENTER)
    WebDriverWait(page, 20).until(lambda _: _names(page, "audience"))
    new = {"genre": ["scifi"], "year": 1999}
    assert _names(page, "neighbours") == model.similar_items(new, 10)["similar"].tolist()
    assert _names(page, "audience") == model.audience(new, 10)["user"].tolist()


@pytest.mark.parametrize(
    ("place", "text", "message"),
    [
        ("user", "anne", "user 'anne' is unknown"),
        ("item-field-year", "soon", "year: found 'soon', allowed is a number"),
    ],
)
def test_mistakes_are_told(page: webdriver.Chrome, place: str, text: str, message: str) -> None:
    page.find_element(By.ID, place).send_keys(text, Keys.ENTER)
    _wait_for_text(page, "who-message" if place == "user" else "item-message", message)


def test_themes(page: webdriver.Chrome) -> None:
    background = "return getComputedStyle(document.body).backgroundColor"
    light = page.execute_script(background)
    _emulate(page, 1280, "dark")
    WebDriverWait(page, 5).until(lambda _: page.execute_script(background) != light)
    Select(page.find_element(By.ID, "theme")).select_by_value("light")
    assert page.execute_script(background) == light


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("path", ["/", "/docs"])
def test_widths_and_names(
    page: webdriver.Chrome, served: tuple[Path, str], path: str, width: int
) -> None:
    _emulate(page, width, "dark")
    _open(page, served[1] + path)
    if path == "/":
        _ask_for_ann(page)
    assert page.execute_script("return document.documentElement.scrollWidth") <= width
    unnamed = "return [...document.querySelectorAll('input, select')].filter(e => !e.labels.length).map(e => e.id)"
    assert page.execute_script(unnamed) == []
    outside = (
        "return performance.getEntriesByType('resource').map(e => e.name).filter("
        "name => !name.startsWith(arguments[0]) && !name.startsWith('data:'))"
    )
    assert page.execute_script(outside, served[1]) == []
    hidden = "return [...document.querySelectorAll('a, button, input, select')].filter(e => e.tabIndex < 0).length"
    assert page.execute_script(hidden) == 0


@pytest.mark.parametrize(("width", "theme"), [(1280, "light"), (390, "dark")])
@pytest.mark.parametrize("path", ["/", "/docs"])
def test_axe_finds_no_serious_fault(
    page: webdriver.Chrome, served: tuple[Path, str], path: str, width: int, theme: str
) -> None:
    _emulate(page, width, theme)
    _open(page, served[1] + path)
    if path == "/":
        _ask_for_ann(page)
    assert serious_faults(page) == []
