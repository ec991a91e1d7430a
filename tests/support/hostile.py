"""Names that try to be more than text somewhere."""

from __future__ import annotations

from hypothesis import strategies as st

PIECES = (
    "<img src=x onerror=alert(1)>", "</script>", "| @team", "\n::error::pwned", " ::warning file=x::pwned",
    "##[error]pwned", "\x1b[31m", "\u202e", "\u2066", "[b]bold[/b]", "=cmd()", "%0A::error::pwned", "%25", "`", "|",
    "\r", "\x00", "\x9b31m", "\ud800", "\u2028", ",title=x", ": y", "a" * 700, "猫", "[link](javascript:x)", "#1",
    "GH-1", "http://evil.example/", "www.evil.example", ":tada:", "$x$", "$", "- - -", "1. ",
)  # fmt: skip
names = st.lists(st.sampled_from(PIECES) | st.text(st.characters(), max_size=5), min_size=1, max_size=6).map("".join)


def markup_in(text: str) -> set[str]:
    """Return the signs of HTML and of mentions in Markdown of ours, but for those that keep names harmless."""
    ours = text.replace("@<!-- -->", "").replace("<span>&#36;</span>", "").replace("<!-- -->", "")
    return {"<", ">", "@"} & set(ours)
