"""Reader of the page about a comparison, for tests."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path

VOID = ("meta", "link", "br", "hr", "img", "input", "wbr")


class Reader(HTMLParser):
    """Reads a page as a browser does, and checks that its elements are nested."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.open: list[str] = []
        self.attributes: list[tuple[str, dict[str, str | None]]] = []
        self.rows: dict[str, list[list[str]]] = {}
        self.figures: dict[str, list[tuple[str, str, str]]] = {}
        """Name of a figure -> the texts of its elements, each with its tag and its class."""
        self.lines: dict[str, list[tuple[str, list[tuple[float, float]]]]] = {}
        """Name of a figure -> names of its lines and their points in the units of the axes."""
        self.table, self.text, self.figure, self.marked = "", "", "", ""
        self.continues = False
        self.feed(page.read_text(encoding="utf-8"))
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = dict(attrs)
        self.attributes.append((tag, attributes))
        self.continues = tag == "wbr"
        if tag != "wbr":
            self.marked = attributes.get("class") or ""
        if tag not in VOID:
            self.open.append(tag)
        if tag == "figure":
            self.figure = attributes["data-name"] or ""
            self.figures[self.figure] = []
            self.lines[self.figure] = []
        if tag == "table":
            self.table = attributes.get("id") or f"values of {self.figure}"
            self.rows[self.table] = []
        if tag == "tr":
            self.rows[self.table].append([])
        if tag in ("td", "th"):
            self.rows[self.table][-1].append("")
        if "data-x" in attributes:
            self.axes = [
                [float(end) for end in str(attributes[name]).split(",")]
                for name in ("data-x", "data-y")
            ]
        if "data-name" in attributes and tag == "g":
            self.line = attributes["data-name"] or ""
        if tag == "polyline" and "best" not in self.marked and self.figure:
            self.lines[self.figure].append(
                (self.line, [self.place(pair) for pair in str(attributes["points"]).split()])
            )

    def place(self, pair: str) -> tuple[float, float]:
        shares = [int(number) / 10_000 for number in pair.split(",")]
        (left, right), (low, high) = self.axes
        return left + shares[0] * (right - left), high - shares[1] * (high - low)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag
        self.figure = "" if tag == "figure" else self.figure

    def handle_data(self, data: str) -> None:
        if "script" in self.open or "style" in self.open:
            return
        self.text += data
        if {"td", "th"} & set(self.open):
            self.rows[self.table][-1][-1] += data
        if self.continues and self.figure:
            tag, marked, before = self.figures[self.figure].pop()
            self.figures[self.figure].append((tag, marked, before + data))
            self.continues = False
        elif self.figure and data.strip():
            self.figures[self.figure].append((self.open[-1], self.marked, data))

    def texts(self, figure: str, tag: str, marked: str = "") -> list[str]:
        return [text for own, name, text in self.figures[figure] if own == tag and name == marked]
