"""Configuration of the documentation site: ``sphinx-build -W -b html docs OUT`` (extra ``docs``)."""

from __future__ import annotations

import sys
from pathlib import Path

from sphinx.application import Sphinx

sys.path.insert(0, str(Path(__file__).parent))

import site_pages

import recbole_sibrar

site_pages.write_pages()  # before Sphinx looks for pages

project = "recbole-sibrar"
author = "the authors of recbole-sibrar"
release = version = recbole_sibrar.__version__

extensions = [
    "myst_nb",  # Markdown, and notebooks that are run
    "sphinx.ext.autodoc",
    "sphinx.ext.doctest",
    "sphinx.ext.mathjax",
    "sphinx.ext.napoleon",  # docstrings in Google's form
    "sphinx_copybutton",
]

# Markdown: the pages are written for GitHub first

myst_heading_anchors = 4  # links to headings, as GitHub makes them
myst_enable_extensions = ["colon_fence"]
suppress_warnings = [
    "ref.python",  # a type named without its module, such as Plan, which several modules have
]

# Notebooks

nb_execution_mode = (
    "cache"  # run again when their code has changed; "off" with -D nb_execution_mode=off
)
nb_execution_in_temp = True  # they write data sets, models and logs
nb_execution_raise_on_error = True
nb_execution_timeout = 600
nb_execution_show_tb = True
nb_merge_streams = True

# Reference from the docstrings

autodoc_default_options = {"show-inheritance": True, "ignore-module-all": False}
autodoc_member_order = "bysource"
autodoc_typehints = "description"
napoleon_google_docstring = True
napoleon_numpy_docstring = False

# Examples: sphinx-build -b doctest

doctest_test_doctest_blocks = "default"
trim_doctest_flags = True

# Addresses: sphinx-build -b linkcheck

linkcheck_ignore = [r"http://(127\.0\.0\.1|localhost)"]  # servers of the examples

# Pages

html_theme = "furo"
html_title = "recbole-sibrar"
html_static_path = ["static"]
html_css_files = ["site.css"]
html_js_files = ["accessible.js"]
html_show_sourcelink = False
html_copy_source = False
copyright = "the authors of recbole-sibrar, MIT licence"
copybutton_prompt_text = ">>> "


def setup(app: Sphinx) -> None:
    """Mend the links that leave this folder."""
    app.connect("source-read", site_pages.mend_links)
