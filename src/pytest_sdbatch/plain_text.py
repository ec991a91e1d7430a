"""Text from outside as what it is: characters that a terminal only draws, and that the log of a job does not obey."""

from __future__ import annotations

import re

# What a line of a job on GitHub may begin with, or hold, to be obeyed instead of shown.
_COMMAND = (
    r":(?=:(?:add-|debug|echo|end-?group|error|group|internal-|notice|remove-|save-|set-|stop-|warning)"
    r"[\w-]*(?: .*)?::)|#(?=#\[)"
)


def plain(text: str) -> str:
    r"""Return *text* on one line of characters that a terminal only draws, and a job's log does not obey.

    Runs of white space become one space. Control characters (C0, C1, so escape sequences), bidirectional and
    other invisible format characters, lone surrogates and unassigned code points are shown as ``\x1b``, and so is a
    sign of ``::error::`` and its like.
    """
    return _spelled(" ".join(text.split()))


def plain_lines(text: str) -> list[str]:
    """Return the lines of *text*, at least one, each as :func:`plain` makes it but with its spaces."""
    return [_spelled(line.expandtabs()) for line in text.splitlines()] or [""]


def _spelled(text: str) -> str:
    shown = text if text.isprintable() else "".join(map(_visible, text))
    if ":" not in shown and "#" not in shown:
        return shown
    return re.sub(_COMMAND, lambda found: f"\\x{ord(found[0]):02x}", shown, flags=re.IGNORECASE)


def _visible(character: str) -> str:
    return character if character.isprintable() else character.encode("unicode_escape").decode("ascii")
