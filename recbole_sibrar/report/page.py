"""The page: one HTML file about a comparison or a search, without any external resource."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from importlib import resources
from importlib.metadata import version

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from recbole_sibrar.plotting.colours import Colour
from recbole_sibrar.report.chart_page import ChartSet
from recbole_sibrar.report.data_strip import DataStrip
from recbole_sibrar.report.page_tables import Table

__all__ = ["STYLES", "Finding", "Part", "Section", "render"]

STYLES = ("theme.css", "page.css", "table.css", "chart.css", "panel.css", "media.css")
"""Style sheets of the page; later files override earlier ones."""


@dataclass(frozen=True)
class Section:
    """A part of the page with a heading."""

    name: str
    """Identifier on the page."""
    title: str
    """Its heading."""
    text: str = ""
    """A paragraph about it."""
    absent: str = ""
    """Advice on getting the data of the section, if they are missing."""
    chart_sets: Sequence[ChartSet] = field(default_factory=list)
    """Its figures."""
    tables: Sequence[Table] = field(default_factory=list)
    """Its tables, below the figures."""
    folded: Sequence[Table] = field(default_factory=list)
    """Long tables, folded until a reader opens them."""
    is_printed: bool = True
    """False for a section without meaning on paper, where folded tables are left out."""


@dataclass(frozen=True)
class Finding:
    """A sentence below the lead, with the question it answers."""

    label: str
    """The question in a word or two."""
    text: str
    """The answer."""


@dataclass(frozen=True)
class Part:
    """Part of the page about one comparison or one search."""

    name: str
    """Identifier on the page, and name among several parts."""
    title: str
    """Its subject in words, such as split and data set."""
    lead: str
    """First sentence: the best model."""
    keys: str
    """Options in small print."""
    sections: Sequence[Section]
    """In order."""
    findings: Sequence[Finding] = field(default_factory=list)
    """Findings, below the lead."""
    strip: DataStrip = field(default_factory=DataStrip)
    """Size of the data."""


def render(title: str, parts: Sequence[Part], appendix: Sequence[Section]) -> str:
    """Write the page.

    Args:
        title: Its title.
        parts: Its parts.
        appendix: Sections about all parts, at the end.

    Returns:
        HTML. Every text is escaped. The page contains style and script; its content security policy
        forbids loading anything.
    """
    environment = Environment(
        loader=PackageLoader("recbole_sibrar.report", "assets"),
        autoescape=True,
        # A wrong name in a template is an error, not an empty text.
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["css"] = _css
    environment.filters["soft"] = _soft
    texts = {"style": Markup("\n").join(map(_asset, STYLES)), "script": _asset("page.js")}
    template = environment.get_template("page.html")
    made = datetime.now().astimezone().strftime("%Y-%m-%d %H:%M")
    footer = f"Made by recbole-sibrar {version('recbole-sibrar')} on {made}."
    return template.render(title=title, parts=parts, appendix=appendix, footer=footer, **texts)


def _asset(name: str) -> Markup:
    file = resources.files("recbole_sibrar.report") / "assets" / name
    # Markup: style and script are ours, and would break if they were escaped.
    return Markup(file.read_text(encoding="utf-8"))


def _css(colour: Colour) -> str:
    """Write the colour of a model in both themes."""
    return f"light-dark({colour.light},{colour.dark})"


def _soft(text: str, signs: str = "=,:_/+@") -> Markup:
    """Let a long name break after its signs, and so not inside a number or a word."""
    # Markup escapes the pieces, and a lookbehind keeps the signs.
    return Markup("<wbr>").join(re.split(rf"(?<=[{signs}])", str(text)))
