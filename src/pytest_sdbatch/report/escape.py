"""Text from outside made harmless for the place where it is shown: terminal, Markdown, HTML, script, CSV.

Names of files are made in :func:`pytest_sdbatch.storage.names.safe_file_name`.
"""

from __future__ import annotations

import re

from pytest_sdbatch.plain_text import plain

__all__ = ["csv_text", "html", "markdown", "plain", "script_data", "shortened"]

_MARKUP = frozenset("\\`*_{}[]()#!|~")
_MARKED = {"<": "&lt;", ">": "&gt;", "&": "&amp;"}
# What the sites that render Markdown obey in text, whatever stands before it: people (@team), references (#1, GH-1),
# addresses, emoji (:tada:). An empty comment behind the sign keeps them from it.
_CALLED = re.compile(
    r"@|#(?=\d)|(?<=\bGH)-(?=\d)|:(?=//|(?!\d+:)[\w+-]+:|(?:100|1234):)|(?<=\bww)w(?=\.)", re.IGNORECASE
)
_COMMENT = "<!-- -->"
# Two of these make a formula of what is between them, and no backslash helps. One before a price ends none.
_DOLLAR = re.compile(r"(?<!\S)\$(?=[\d ])|(\$)")
_SAFE_DOLLAR = "<span>&#36;</span>"
_LIST = re.compile(r"([-+])(?=[ -])|\d+([.)])(?= |$)")  # at the beginning of a line, and of a point of a list
_HTML = {"<": "&lt;", ">": "&gt;", "&": "&amp;", '"': "&quot;", "'": "&#39;"}
# What spreadsheets take for the beginning of a formula, in any of the widths that they know.
_FORMULA = re.compile(r"(^|[;|]\s*)(?=[=+\-@\uff1d\uff0b\uff0d\uff20])")


def shortened(text: str, length: int) -> str:
    """Return *text* cut to *length* characters, with ``...`` where something is missing; *length* >= 3."""
    return text if len(text) <= length else f"{text[: length - 3].rstrip()}..."


def markdown(text: str) -> str:
    """Return *text* as Markdown that shows it: one line without markup, HTML, links, formulas, emoji or mentions."""
    shown = plain(text)
    begun = _LIST.match(shown)
    escaped = {begun.end() - 1} if begun else set()
    called = {found.start() for found in _CALLED.finditer(shown)}
    dollars = {found.start() for found in _DOLLAR.finditer(shown) if found[1]}
    return "".join(
        _SAFE_DOLLAR
        if at in dollars
        else _unmarked(character, escaped=at in escaped) + (_COMMENT if at in called else "")
        for at, character in enumerate(shown)
    )


def _unmarked(character: str, *, escaped: bool) -> str:
    if character in _MARKED:
        return _MARKED[character]
    return f"\\{character}" if escaped or character in _MARKUP else character


def html(text: str) -> str:
    """Return *text* for the content of an element or an attribute in quotes: on one line, and nothing but text."""
    return "".join(_HTML.get(character, character) for character in plain(text))


def script_data(json_text: str) -> str:
    """Return JSON for the inside of a ``<script>`` element that holds data: the same value without signs of markup."""
    for sign in "<>&\u2028\u2029":
        json_text = json_text.replace(sign, f"\\u{ord(sign):04x}")
    return json_text


def csv_text(text: str) -> str:
    """Return *text* for a cell that a spreadsheet shows and does not calculate, also where ``;`` ends one."""
    return _FORMULA.sub(r"\1'", plain(text))
