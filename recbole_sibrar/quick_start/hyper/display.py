"""Figure of a search as an HTML page that works without a network."""

from __future__ import annotations

import html
from collections.abc import Iterable
from pathlib import Path

import plotly.graph_objects as plotly

from recbole_sibrar.files import replacing
from recbole_sibrar.quick_start.hyper.record import Record, Status

__all__ = ["write"]

_SERIES = ((Status.OK, "complete", "#0072B2"), (Status.STOPPED, "stopped", "#E69F00"))
"""Status, label and colour of the points."""

_PAGE = """<!DOCTYPE html>
<html lang="en">
<head><meta charset="utf-8"><title>{title}</title></head>
<body>
{body}
</body>
</html>
"""


def write(record: Record, metric: str, title: str, file: Path, more: Iterable[plotly.Figure] = ()) -> None:
    """Write the page.

    Args:
        record: The trials; those without a score are left out.
        metric: Metric of the scores.
        title: Title of the figure.
        file: The page.
        more: Further figures.
    """
    parts = [_scores(record, metric, title).to_html(full_html=False, include_plotlyjs=True)]
    parts += [figure.to_html(full_html=False, include_plotlyjs=False) for figure in more]
    page = _PAGE.format(title=html.escape(title), body="\n".join(parts))

    with replacing(file) as temporary:
        temporary.write_text(page, encoding="utf-8")


def _scores(record: Record, metric: str, title: str) -> plotly.Figure:
    """Draw the score of each trial."""
    scored = [trial for trial in record.ended if trial.score is not None]
    figure = plotly.Figure(layout={"title": title, "template": "plotly_white"})

    for status, name, color in _SERIES:
        trials = [trial for trial in scored if trial.status == status]
        figure.add_scatter(
            x=[trial.number for trial in trials],
            y=[trial.score for trial in trials],
            text=[trial.text().replace(", ", "<br>") for trial in trials],
            mode="markers",
            marker={"color": color, "size": 9},
            name=name,
        )

    figure.update_xaxes(title="trial")
    figure.update_yaxes(title=f"validation {metric}")
    return figure
