"""Elements of HTML, and the shape of a section."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from pytest_sdbatch.report.escape import html
from pytest_sdbatch.report.layout import Column
from pytest_sdbatch.report.page.figures import Block

_LONG = 40  # characters of a cell that is broken into lines


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """One part of the page."""

    id: str  # of its element: letters and dashes
    title: str
    lead: str = ""  # one sentence: what one sees here
    content: str = ""  # HTML, made by the functions of this module
    blocks: tuple[tuple[Block, ...], ...] = ()  # by view; empty: the section does not depend on it
    none: str = ""  # what is said of a view without blocks


def paragraph(text: str, kind: str = "") -> str:
    """Return a paragraph of text."""
    return f"<p{_class(kind)}>{html(text)}</p>"


def heading(text: str, level: int = 3) -> str:
    """Return a heading."""
    return f"<h{level}>{html(text)}</h{level}>"


def bullets(texts: Iterable[str], kind: str = "") -> str:
    """Return a list; nothing where there is nothing in it."""
    items = "".join(f"<li>{html(text)}</li>" for text in texts)
    return f"<ul{_class(kind)}>{items}</ul>" if items else ""


def tagged(word: str, kind: str, text: str) -> str:
    """Return a paragraph of text behind a word that stands out."""
    return f'<p><strong class="{f"tag {kind}".strip()}">{html(word)}</strong> {html(text)}</p>'


def details(summary: str, content: str) -> str:
    """Return *content*, HTML, behind a word that shows it."""
    return f"<details><summary>{html(summary)}</summary>{content}</details>"


def table(
    columns: Sequence[Column],
    lines: Iterable[Mapping[str, str]],
    *,
    caption: str,
    marked: Mapping[int, str] | None = None,
) -> str:
    """Return a table that scrolls by itself where it is wider than the screen, with or without a mouse.

    Args:
        columns: of the table.
        lines: texts by column.
        caption: what it is, for those who do not see it.
        marked: classes of rows by their number.

    """
    marks = marked or {}
    heads = "".join(f"<th scope=col{'' if column.left else ' class=n'}>{html(column.title)}</th>" for column in columns)
    body = "".join(
        f"<tr{f' class={marks[at]}' if at in marks else ''}>{_cells(columns, line)}</tr>"
        for at, line in enumerate(lines)
    )
    inner = f"<table><caption>{html(caption)}</caption><thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table>"
    return f'<div class=scroll tabindex=0 role=region aria-label="{html(caption)}">{inner}</div>'


def _class(kind: str) -> str:
    return f' class="{kind}"' if kind else ""


def _cells(columns: Sequence[Column], line: Mapping[str, str]) -> str:
    texts = [line[column.key].strip() for column in columns]
    first = f"<th scope=row{' class=long' if len(texts[0]) > _LONG else ''}>{html(texts[0])}</th>"
    return first + "".join(map(_cell, columns[1:], texts[1:]))


def _cell(column: Column, text: str) -> str:
    kind = " class=long" if len(text) > _LONG else "" if column.left else " class=n"
    return f"<td{kind}>{html(text)}</td>"
