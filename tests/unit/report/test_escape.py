"""Text from outside on a terminal, in HTML, in a script, in CSV. Markdown: test_markdown.py."""

from __future__ import annotations

import csv
import io
import json
import re
import unicodedata
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_sdbatch.report.escape import csv_text, html, plain, script_data, shortened


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


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("::error::boo", r"\x3a:error::boo"),
        ("x ::set-output name=a::b", r"x \x3a:set-output name=a::b"),
        ("::Add-Mask::secret", r"\x3a:Add-Mask::secret"),
        ("##[error]boo", r"\x23#[error]boo"),
        ("test_x.py::error_handling", "test_x.py::error_handling"),
        ("a.py::TestWarning::test_x[a::b]", "a.py::TestWarning::test_x[a::b]"),
        ("C# [x] # [y]", "C# [x] # [y]"),
    ],
)
def test_a_log_of_a_job_is_given_no_command(text: str, shown: str) -> None:
    """What a job's log would obey is spelled out wherever it stands: a line may be broken before it. Node ids stay."""
    assert plain(text) == shown


@given(st.text(st.sampled_from("<>&\"'/!-aé\u202e\x00\u2028=@;:#[]`$\\ ")))
def test_html_is_text_wherever_it_stands(text: str) -> None:
    """A parser of HTML reads the text back, in an element and in an attribute, and finds no markup in it."""
    found: list[str] = []

    class Reader(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            assert tag == "p"
            assert [name for name, _ in attrs] == ["title"]
            found.append(attrs[0][1] or "")

        def handle_data(self, data: str) -> None:
            found.append(data)

    reader = Reader()
    reader.feed(f'<p title="{html(text)}">{html(text)}</p>')
    reader.close()

    assert found[0] == plain(text)
    assert "".join(found[1:]) == plain(text)


@given(
    st.recursive(
        st.text() | st.integers() | st.none(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
    )
)
def test_data_of_a_script_is_the_same_value_without_markup(value: object) -> None:
    """Nothing in it ends the element or begins another, and JSON reads it as it was."""
    data = script_data(json.dumps(value, ensure_ascii=False))

    assert not set(data) & set("<>&\u2028\u2029")
    assert json.loads(data) == value


@given(st.text(st.sampled_from("=+-@;|\t\n\r ,'\"a1\uff1d\uff0b")))
def test_no_cell_begins_a_formula(text: str) -> None:
    """Neither as it is, nor where a spreadsheet divides cells at a semicolon or a bar."""
    for part in re.split(r"[;|]", csv_text(text)):
        assert not re.match(r"\s*[=+\-@\uff1d\uff0b]", part)


@given(st.text())
def test_a_cell_of_csv_is_read_back_whole(text: str) -> None:
    """Commas, quotes and line breaks divide nothing."""
    out = io.StringIO()
    csv.writer(out).writerow([csv_text(text), "next"])

    assert list(csv.reader(io.StringIO(out.getvalue()))) == [[csv_text(text), "next"]]
