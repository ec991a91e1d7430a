"""Rows of tables in Markdown, their cells cut to a length that a page can hold."""

from __future__ import annotations

from collections.abc import Iterable

from pytest_sdbatch.report.escape import markdown, plain, shortened
from pytest_sdbatch.report.layout import Column

_LONGEST = 500  # characters of a cell or a point, before its signs are escaped


def bounded_text(text: str) -> str:
    """Return *text* from outside, cut and escaped."""
    return markdown(shortened(plain(text), _LONGEST))


def table_head(columns: Iterable[Column]) -> tuple[str, str]:
    """Return the two lines that a table of *columns* begins with."""
    there = list(columns)
    return table_row(column.title for column in there), f"|{'|'.join('---' if c.left else '---:' for c in there)}|"


def table_row(texts: Iterable[str]) -> str:
    """Return the line of a row with these cells."""
    return f"| {' | '.join(bounded_text(text.strip()) for text in texts)} |"
