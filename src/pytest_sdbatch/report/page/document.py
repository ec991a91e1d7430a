"""The page as one file: sections, their data, the script that draws it, and a policy that lets nothing else run."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from importlib import resources
from typing import Any

from pytest_sdbatch import units
from pytest_sdbatch.report.escape import html, plain, script_data
from pytest_sdbatch.report.page import answers, breakdown, curves, listing, memory
from pytest_sdbatch.report.page.markup import Section
from pytest_sdbatch.report.page.subject import Subject, subject_of
from pytest_sdbatch.report.sources import Reported

# The page, from top to bottom. A page about something else is another list.
ANSWERS: tuple[Callable[[Subject], Section], ...] = (
    answers.which_split,
    answers.what_cost,
    answers.what_regressed,
    answers.what_fits,
)
MEASUREMENTS: tuple[Callable[[Subject], Section], ...] = (
    curves.throughput,
    curves.seconds,
    memory.stages,
    breakdown.stage_split,
    breakdown.trade_offs,
    memory.time_line,
    breakdown.every_round,
)
LISTS: tuple[Callable[[Subject], Section], ...] = (listing.all_cases, listing.where)
_SCRIPTS = ("draw.js", "page.js")
_STYLE = "page.css"
_MOST_NAMED = 6  # sources below the title
_MUCH = 2**20  # characters of data


def page(reported: Reported) -> str:
    """Return *reported* as a page that needs no other file, asks no network and runs nothing but its own script."""
    subject = subject_of(reported)
    parts = [[make(subject) for make in makers] for makers in (ANSWERS, MEASUREMENTS, LISTS)]
    return document(
        title="Batch size or batch count?",
        about=_about(subject),
        parts=parts,
        views=[plain(view.name) for view in subject.views],
        cases=listing.case_data(subject),
    )


def document(
    *, title: str, about: str, parts: Sequence[Sequence[Section]], views: Sequence[str], cases: dict[str, Any]
) -> str:
    """Return a page of sections.

    Args:
        title: of the page.
        about: what it shows, in a sentence.
        parts: three lists of sections: what does not depend on the view, what does, and what does not again.
        views: what there is to select from, harmless text.
        cases: columns of the table of all cases.

    """
    script, style = _asset(*_SCRIPTS), _asset(_STYLE)
    sections = [section for part in parts for section in part]
    data = {
        "views": list(views),
        "sections": {s.id: [[block.data() for block in view] for view in s.blocks] for s in sections if s.blocks},
        "none": {section.id: section.none for section in sections if section.blocks},
        "cases": cases,
    }
    return "\n".join(
        [
            "<html lang=en>",
            "<head>",
            '<meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{_policy(script, style)}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            '<meta name="color-scheme" content="light dark">',
            '<meta name="referrer" content="no-referrer">',
            '<link rel="icon" href="data:,">',
            f"<title>{html(title)} - pytest-sdbatch</title>",
            f"<style>{style}</style>",
            "</head>",
            "<body>",
            *_body(title, about, parts),
            _data(json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":"))),
            f"<script>{script}</script>",
            "</body>",
            "</html>",
            "",
        ]
    )


def _about(subject: Subject) -> str:
    runs = sum(len(source.runs) for source in subject.sources)
    days = sorted({run.started_at[:10] for source in subject.sources for run in source.runs})
    when = days[0] if len(days) == 1 else f"{days[0]} to {days[-1]}"
    told = subject.sources[: _MOST_NAMED if len(subject.sources) > _MOST_NAMED + 1 else None]
    names = "; ".join(source.name for source in told)
    more = len(subject.sources) - len(told)
    names += f"; and {units.count(more, 'other')}" if more else ""
    return f"{units.count(subject.cases, 'case')} of {units.count(runs, 'run')}, {when}: {names}"


def _body(title: str, about: str, parts: Sequence[Sequence[Section]]) -> Iterator[str]:
    yield '<a class=skip href="#main">Skip to the answers</a>'
    links = "".join(f'<li><a href="#{s.id}">{html(s.title)}</a></li>' for part in parts for s in part)
    yield f"<header><h1>{html(title)}</h1><p>{html(about)}</p><nav aria-label=Sections><ul>{links}</ul></nav></header>"
    yield "<main id=main>"
    before, drawn, after = parts
    yield "<div class=answers>"
    yield from map(_section, before)
    yield "</div>"
    yield "<div class=choose hidden><label for=view>Measurements of</label> <select id=view></select></div>"
    yield "<noscript><p>The figures and the table of all cases need JavaScript; the answers do not.</p></noscript>"
    yield from map(_section, drawn)
    yield from map(_section, after)
    yield "</main>"
    yield "<footer><p>Made by pytest-sdbatch from its own files. Nothing here was read from elsewhere.</p></footer>"


def _section(section: Section) -> str:
    lead = f"<p class=lead>{html(section.lead)}</p>" if section.lead else ""
    room = "<div class=blocks></div>" if section.blocks else ""
    head = f"<h2 id={section.id}-title>{html(section.title)}</h2>"
    return f"<section id={section.id} aria-labelledby={section.id}-title>{head}{lead}{section.content}{room}</section>"


def _data(text: str) -> str:
    """Return the element that holds the data: as it is, or compressed where it is much."""
    if len(text) < _MUCH:
        return f'<script type="application/json" id="data">{script_data(text)}</script>'
    packed = base64.b64encode(gzip.compress(text.encode("utf-8", "backslashreplace"), mtime=0)).decode()
    return f'<script type="application/gzip" id="data">{packed}</script>'


def _policy(script: str, style: str) -> str:
    """Return a policy under which these two texts are all that runs, and nothing is loaded or sent."""
    own, look = (base64.b64encode(hashlib.sha256(text.encode("utf-8")).digest()).decode() for text in (script, style))
    return (
        f"default-src 'none'; script-src 'sha256-{own}'; style-src 'sha256-{look}'; img-src data:;"
        " base-uri 'none'; form-action 'none'"
    )


@cache
def _asset(*names: str) -> str:
    folder = resources.files("pytest_sdbatch.report.page")
    return "\n".join(folder.joinpath(name).read_text(encoding="utf-8") for name in names)
