"""Figures of a page as views, from which the templates write HTML with inline SVG.

Marks have places in percent of their panel and texts are HTML. A figure therefore fills any width,
its texts keep their size, wrap, and can be searched.
"""

from recbole_sibrar.report.drawing.dots import Dots, draw_dots
from recbole_sibrar.report.drawing.lines import Lines, draw_lines
from recbole_sibrar.report.drawing.scale import Scale, Tick

__all__ = ["Dots", "Lines", "Scale", "Tick", "draw_dots", "draw_lines"]
