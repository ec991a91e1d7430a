"""Text from outside made harmless for the place where it is shown."""

from __future__ import annotations

_MARKUP = frozenset("\\`*_{}[]()#!|~")
# A comment behind the sign keeps the sites that render it from calling the person of that name.
_HTML = {"<": "&lt;", ">": "&gt;", "&": "&amp;", "@": "@<!-- -->"}


def plain(text: str) -> str:
    r"""Return *text* on one line of characters that a terminal only draws.

    Runs of white space become one space. Control characters (C0, C1, so escape sequences), bidirectional and
    other invisible format characters, lone surrogates and unassigned code points are shown as ``\x1b``.
    """
    return "".join(map(_visible, " ".join(text.split())))


def _visible(character: str) -> str:
    return character if character.isprintable() else character.encode("unicode_escape").decode("ascii")


def shortened(text: str, length: int) -> str:
    """Return *text* cut to *length* characters, with ``...`` where something is missing; *length* >= 3."""
    return text if len(text) <= length else f"{text[: length - 3].rstrip()}..."


def markdown(text: str) -> str:
    """Return *text* as Markdown that shows it: on one line, without markup, HTML, links or mentions of people."""
    return "".join(map(_unmarked, plain(text)))


def _unmarked(character: str) -> str:
    if character in _HTML:
        return _HTML[character]
    return f"\\{character}" if character in _MARKUP else character
