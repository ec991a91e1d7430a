"""Text from outside on a terminal."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_sdbatch.report.escape import plain, shortened


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("sd15 [b]bold[/b] <script>", "sd15 [b]bold[/b] <script>"),
        ("\x1b[31mred\x1b[0m", r"\x1b[31mred\x1b[0m"),
        ("\x9b31m", r"\x9b31m"),
        ("bell\x07", r"bell\x07"),
        ("two\r\nlines\tand more", "two lines and more"),
        ("gpj\u202eexe", r"gpj\u202eexe"),
        ("zero\u200bwidth", r"zero\u200bwidth"),
        ("lone\ud800", r"lone\ud800"),
        ("Größe 猫", "Größe 猫"),
    ],
)
def test_what_a_terminal_would_obey_is_spelled_out(text: str, shown: str) -> None:
    """Control, bidirectional and invisible characters become text; letters of any script stay."""
    assert plain(text) == shown


@given(st.text(st.characters()))
def test_plain_text_is_one_line_without_control_characters(text: str) -> None:
    """Whatever comes in, a terminal only draws what comes out, and any UTF-8 file takes it."""
    shown = plain(text)

    assert len(shown.splitlines()) <= 1
    assert not {unicodedata.category(character) for character in shown} & {"Cc", "Cf", "Cs", "Zl", "Zp"}
    assert shown.encode("utf-8").decode("utf-8") == shown
    assert plain(shown) == shown


def test_long_text_is_cut_with_a_sign_of_it() -> None:
    """A cut is visible, and what fits is left alone."""
    assert shortened("0123456789", 10) == "0123456789"
    assert shortened("0123456789a", 10) == "0123456..."
