"""The page: one HTML file that shows a comparison and loads nothing from anywhere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib import resources

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from recbole_sibrar.report.chart_page import ChartSet, describe
from recbole_sibrar.report.page_tables import Table

STYLES = ("theme.css", "page.css", "table.css", "chart.css", "media.css")
"""Parts of the page's style, later ones before earlier ones where they disagree."""


@dataclass(frozen=True)
class Section:
    """A part of the page with a heading."""

    name: str
    """Identifies it on the page."""
    title: str
    """Its heading."""
    text: str = ""
    """A paragraph about it."""
    absent: str = ""
    """How to get the data of the section, if they are not there."""
    chart_sets: Sequence[ChartSet] = field(default_factory=list)
    """Its figures."""
    tables: Sequence[Table] = field(default_factory=list)
    """Its tables."""
    folded: Sequence[Table] = field(default_factory=list)
    """Tables that are long and are shown when they are asked for."""
    tables_first: bool = False
    """Whether tables stand above figures."""


@dataclass(frozen=True)
class Part:
    """What the page shows about one comparison."""

    name: str
    """Identifies it on the page, and names it where there are several."""
    title: str
    """What was compared."""
    facts: Sequence[tuple[str, str]]
    """Names of facts and facts, such as the number of runs."""
    sections: Sequence[Section]
    """In order."""


def render(title: str, parts: Sequence[Part], footer: str) -> str:
    """Write the page.

    Args:
        title: Its title.
        parts: The comparisons.
        footer: A sentence about how the page was made.

    Returns:
        HTML. Every text is escaped; style, script and Plotly stand in the page, whose content security policy
        forbids it to load anything.
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
    """Plotly's script, which RecBole's requirement brings along."""
    from plotly.offline import get_plotlyjs  # a second to load, for this command alone

    return Markup(get_plotlyjs())
