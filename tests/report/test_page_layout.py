"""Chromium at three widths, in both themes and on paper: no text is cut, none covers another, nothing is faulty."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pandas as pd
import pytest
from chromium import chromium_options, serious_faults, start_chromium
from selenium import webdriver

from recbole_sibrar.quick_start.group.variants import file_name
from recbole_sibrar.quick_start.hyper.plan import Plan
from recbole_sibrar.quick_start.hyper.record import Record
from recbole_sibrar.report import build as report
from recbole_sibrar.report import search_page

pytestmark = [pytest.mark.slow, pytest.mark.browser]

LONG = "SiBraR contrastive_temperature=0.125,user_modalities=none,learning_rate=0.00025"

SCREENS = [(width, theme) for width in (1280, 768, 390) for theme in ("light", "dark")]
PAPER = 718
"""Width of A4 between the margins of Chromium, in pixels."""

PLACES = """
const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
const places = [];
while (walker.nextNode()) {
  const node = walker.currentNode, element = node.parentElement;
  if (!node.data.trim() || !element.checkVisibility({visibilityProperty: true})) continue;
  if (element.closest('.hidden, .skip, script, style, option, svg title')) continue;
  const range = document.createRange();
  range.selectNodeContents(node);
  const boxes = [...range.getClientRects()].filter((box) => box.width && box.height);
  for (const box of boxes) places.push({element, text: node.data.trim(), box, whole: boxes.length === 1});
}
"""
"""Visible texts with their boxes, a line of text each."""

CUT = (
    PLACES
    + """
return places.filter(({element, box}) => {
  const outer = element.closest('section, .strip, nav, header, main, footer').getBoundingClientRect();
  const aside = element.closest('.scroll, nav') && !matchMedia('print').matches;
  const leaves = !aside && (box.left < outer.left - 0.5 || box.right > outer.right + 0.5);
  return leaves || box.top < outer.top - 1 || box.bottom > outer.bottom + 1;
}).map(({text}) => text);
"""
)

COVERED = (
    PLACES
    + """
const found = [];
for (const figure of document.querySelectorAll('.view, .strip')) {
  const inside = places.filter(({element}) => figure.contains(element));
  inside.forEach((a, i) => inside.slice(i + 1).forEach((b) => {
    const wide = Math.min(a.box.right, b.box.right) - Math.max(a.box.left, b.box.left);
    const high = Math.min(a.box.bottom, b.box.bottom) - Math.max(a.box.top, b.box.top);
    if (wide > 1 && high > 4 && a.element !== b.element) found.push(`${a.text} | ${b.text}`);
  }));
}
return found;
"""
)


def _write_comparison(folder: Path, make_comparison: Callable[..., Path]) -> Path:
    """Write the page of a comparison with a model of a long name and eight metrics."""
    make_comparison(folder)
    results = pd.read_csv(folder / "results.csv")
    for metric in ("recall", "precision", "map", "mrr", "f1", "coverage"):
        results[f"{metric}@10"] = results["ndcg@10"]
    results.to_csv(folder / "results.csv", index=False)
    for name in ("results.csv", "significance.csv"):
        text = (folder / name).read_text(encoding="utf-8")
        text = text.replace("Pop,Pop,", f'"{LONG}",Pop,').replace(",Pop,60", f',"{LONG}",60')
        (folder / name).write_text(text, encoding="utf-8")
    for run in folder.glob("runs/Pop-*"):
        run.rename(run.with_name(run.name.replace("Pop", file_name(LONG))))
    return report.run(folder)[0]


@pytest.fixture(scope="module", params=["comparison", "hard", "bare", "search"])
def browser(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    make_comparison: Callable[..., Path],
    comparisons: dict[str, Callable[[Path], Path]],
    make_search: Callable[..., tuple[Record, Plan]],
) -> Iterator[webdriver.Chrome]:
    """Chromium with a page."""
    folder = tmp_path_factory.mktemp("page")
    if request.param in comparisons:
        page = report.run(comparisons[request.param](folder / "comparison"))[0]
    elif request.param == "comparison":
        page = _write_comparison(folder / "comparison", make_comparison)
    else:
        page = folder / "search.html"
        search_page.write(*make_search(folder), page)
    driver = start_chromium(chromium_options("browser"))
    driver.get(page.as_uri())
    yield driver
    driver.quit()


def _emulate(browser: webdriver.Chrome, width: int, theme: str, media: str = "") -> None:
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    features = [{"name": "prefers-color-scheme", "value": theme}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": media, "features": features})
    browser.execute_script(
        "document.querySelectorAll('details').forEach((x) => { x.open = arguments[0]; })", not media
    )
    time.sleep(0.1)  # the observers of the tables


@pytest.mark.parametrize(("width", "theme"), SCREENS)
def test_no_text_is_cut(browser: webdriver.Chrome, width: int, theme: str) -> None:
    _emulate(browser, width, theme)
    assert browser.execute_script(CUT) == []
    assert browser.execute_script(COVERED) == []
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    assert browser.get_log("browser") == []


def test_no_text_is_cut_on_paper(browser: webdriver.Chrome) -> None:
    _emulate(browser, PAPER, "dark", "print")
    assert browser.execute_script(CUT) == []
    assert browser.execute_script(COVERED) == []
    assert (
        browser.execute_script("return getComputedStyle(document.querySelector('.lead')).color")
        == "rgb(26, 29, 33)"
    )
    _emulate(browser, 1280, "light")


@pytest.mark.parametrize("width", [1280, 768, 390])
def test_no_piece_of_a_name_is_broken(browser: webdriver.Chrome, width: int) -> None:
    _emulate(browser, width, "light")
    broken = (
        PLACES
        + "return places.filter((x) => !x.whole && x.element.closest('.name, th, .ends')).map((x) => x.text)"
    )
    assert [text for text in browser.execute_script(broken) if "=" in text or "0." in text] == []


def test_every_column_is_in_sight_at_a_desk(browser: webdriver.Chrome) -> None:
    _emulate(browser, 1280, "light")
    script = "return [...document.querySelectorAll('#p0-results .scroll, #p0-best .scroll')]"
    assert (
        browser.execute_script(
            f"{script}.map((x) => x.scrollWidth - x.clientWidth).filter((x) => x > 0)"
        )
        == []
    )


def test_faults_would_be_found(browser: webdriver.Chrome) -> None:
    _emulate(browser, 390, "light")
    fault = "figcaption { margin-left: 100vw } .ticks span { left: 50% !important }"
    add = "const x = document.createElement('style'); x.id = 'fault'; x.textContent = arguments[0];"
    browser.execute_script(f"{add} document.head.append(x)", fault)
    found = [browser.execute_script(CUT), browser.execute_script(COVERED)]
    browser.execute_script("document.getElementById('fault').remove()")
    assert all(found)


@pytest.mark.parametrize(("width", "theme"), [(1280, "light"), (390, "dark")])
def test_axe_finds_no_serious_fault(browser: webdriver.Chrome, width: int, theme: str) -> None:
    _emulate(browser, width, theme)
    assert serious_faults(browser) == []
