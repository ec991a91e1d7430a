"""Elements of HTML."""

from __future__ import annotations

from pytest_sdbatch.report.layout import Column
from pytest_sdbatch.report.page.markup import bullets, heading, paragraph, table


def test_text_is_text_in_every_element() -> None:
    """No element lets markup through."""
    evil = '<img src=x onerror="x">'
    columns = (Column("a", evil, left=True), Column("b", "b"))

    whole = "".join(
        [paragraph(evil), heading(evil), bullets([evil]), table(columns, [{"a": evil, "b": evil}], caption=evil)]
    )

    assert "<img" not in whole
    assert whole.count("&lt;img src=x onerror=&quot;x&quot;&gt;") == 8


def test_a_table_can_be_read_and_scrolled_without_a_mouse() -> None:
    """Headings are of columns and rows; figures stand to the right; long texts are broken."""
    columns = (Column("a", "case", left=True), Column("b", "per\ncall"))

    text = table(columns, [{"a": "b1", "b": "1 s"}, {"a": "c" * 50, "b": "2 s"}], caption="T", marked={0: "good"})

    assert text.startswith('<div class=scroll tabindex=0 role=region aria-label="T"><table><caption>T</caption>')
    assert "<th scope=col>case</th><th scope=col class=n>per call</th>" in text
    assert "<tr class=good><th scope=row>b1</th><td class=n>1 s</td></tr>" in text
    assert "<th scope=row class=long>ccc" in text


def test_a_list_of_nothing_is_nothing() -> None:
    """An empty list is read out as one."""
    assert bullets([]) == ""
