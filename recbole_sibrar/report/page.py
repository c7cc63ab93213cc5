"""The page: one HTML file about a comparison, without any external resource."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib import resources

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from recbole_sibrar.report.chart_page import ChartSet, describe
from recbole_sibrar.report.page_tables import Table

__all__ = ["STYLES", "Part", "Section", "render"]

STYLES = ("theme.css", "page.css", "table.css", "chart.css", "media.css")
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
    """Its tables."""
    folded: Sequence[Table] = field(default_factory=list)
    """Long tables, folded until a reader opens them."""
    tables_first: bool = False
    """True to put tables above figures."""


@dataclass(frozen=True)
class Part:
    """Part of the page about one comparison."""

    name: str
    """Identifier on the page, and name among several parts."""
    title: str
    """Split and data set in words."""
    lead: str
    """First sentences: the best model."""
    keys: str
    """Data set and keys as they were given."""
    facts: Sequence[tuple[str, str]]
    """Names of facts and facts, such as the number of runs."""
    sections: Sequence[Section]
    """In order."""


def render(title: str, parts: Sequence[Part], footer: str) -> str:
    """Write the page.

    Args:
        title: Its title.
        parts: The comparisons.
        footer: A sentence about the making of the page.

    Returns:
        HTML. Every text is escaped. The page contains style, script and Plotly; its content security policy forbids
        loading anything.
    """
    environment = Environment(
        loader=PackageLoader("recbole_sibrar.report", "assets"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    texts = {"style": Markup("\n").join(map(_asset, STYLES)), "script": _asset("page.js"), "plotly": _plotly()}
    template = environment.get_template("page.html")
    return template.render(title=title, parts=parts, footer=footer, describe=describe, **texts)


def _asset(name: str) -> Markup:
    return Markup((resources.files("recbole_sibrar.report") / "assets" / name).read_text(encoding="utf-8"))


@cache
def _plotly() -> Markup:
    """Return Plotly's script; Plotly is a requirement of RecBole."""
    from plotly.offline import get_plotlyjs  # a second to load, for this command alone

    return Markup(get_plotlyjs())
