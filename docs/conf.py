"""The site of these pages: ``tox -e docs`` makes it in build/site, and a warning is an error.

Sphinx with MyST and Furo, as pytest and many of its plugins use: it knows a broken link from a good one down to the
heading, and what it writes needs no network, the search included. Pages stay plain Markdown, as a forge shows it.
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

from sphinx.util import logging

if TYPE_CHECKING:
    from sphinx.application import Sphinx

ROOT = Path(__file__).parents[1]
# What a browser fetches by itself: a link that somebody follows is no matter of the page.
FETCHED = re.compile(
    r"""<(?:script|img|iframe|link[^>]*rel="stylesheet"|source)\b[^>]*\b(?:src|href)="(?:https?:)?//"""
)

project = "pytest-sdbatch"
release = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
extensions = ["myst_parser"]
source_suffix = {".md": "markdown"}
myst_heading_anchors = 3  # the anchors that a forge gives headings, so that page.md#a-heading is checked
nitpicky = True
smartquotes = False  # -- stays what it is
html_theme = "furo"
html_title = f"pytest-sdbatch {release}"
html_copy_source = False
html_show_copyright = False
pygments_style = "tango"
pygments_dark_style = "monokai"


def navigate(app: Sphinx, docname: str, source: list[str]) -> None:
    """Make the lists of an index page the navigation: written once, and shown as lists where no Sphinx reads them.

    A page that stands in none of them is a warning of Sphinx, and so an error.
    """
    if docname.rpartition("/")[2] != "index":
        return
    added = ""
    for section in re.split(r"^## ", source[0], flags=re.MULTILINE)[1:]:
        pages = re.findall(r"^- \[.+\]\((?!https?:)([^)#]+)\.md\)$", section, re.MULTILINE)
        if pages:
            title = section.splitlines()[0]
            added += "\n".join(["", "```{toctree}", ":hidden:", f":caption: {title}", "", *pages, "```", ""])
    source[0] += added


def stay_offline(app: Sphinx, error: Exception | None) -> None:
    """Warn of a page that would fetch something from elsewhere when it is read."""
    if error is None and app.builder.format == "html":
        for page in sorted(Path(app.outdir).rglob("*.html")):
            if found := FETCHED.search(page.read_text(encoding="utf-8")):
                logging.getLogger(__name__).warning("%s fetches from elsewhere: %s", page, found[0])


def setup(app: Sphinx) -> dict[str, bool]:
    """Register both."""
    app.connect("source-read", navigate)
    app.connect("build-finished", stay_offline)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
