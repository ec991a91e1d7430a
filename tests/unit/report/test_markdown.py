"""A comparison as Markdown."""

from __future__ import annotations

from dataclasses import replace

import pytest
from compared import TEST, ended, facts, measured, quiet_side, side
from hostile import markup_in, names
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_sdbatch.analysis.comparison import compare
from pytest_sdbatch.analysis.sides import Place
from pytest_sdbatch.report.bounded import COMMENT_BYTES
from pytest_sdbatch.report.escape import markdown
from pytest_sdbatch.report.markdown import MARK, comparison_markdown
from pytest_sdbatch.storage.report_file import MARKS, Kind


def test_the_verdicts_come_first_and_the_worst_case_before_all() -> None:
    """A count, a table from regressed to unchanged, a block for what regressed."""
    base = quiet_side("base", 5, {1: 1.0, 2: 1.0, 4: 1.0})
    new = quiet_side("new", 1, {1: 1.0, 2: 0.8, 4: 1.2})

    lines = comparison_markdown(compare(base, new), lines=("kept: here",)).splitlines()

    assert lines[0] == MARK
    assert lines[3].startswith("**3 cases compared: 1 regressed, 1 improved, 1 unchanged, 0 inconclusive; besides")
    assert "- kept: here" in lines
    rows = [line.split(" | ") for line in lines if line.startswith("| benchmarks/test\\_x.py")]
    assert [row[-1].removesuffix(" |") for row in rows] == ["regressed", "improved", "unchanged"]
    assert rows[0][1:4] == ["1.00 s", "1.20 s", "+20 %"]
    assert "**regressed: benchmarks/test\\_x.py::test\\_it\\[sd15-fp16-512x512-s20-b4x1\\]**" in lines


def test_a_case_without_a_plain_verdict_has_its_reason_in_the_row() -> None:
    """Nothing has to be looked up."""
    text = comparison_markdown(compare(side("b", [measured()]), side("n", [measured(), measured(8)])))

    assert "| new: the base did not run it |" in text


def test_text_from_outside_is_shown_and_not_obeyed() -> None:
    """A name, a fact or a reason cannot break the table, add HTML, or call people."""
    evil = facts(must_match={"device_name": "<img src=x> | @all `a` **b**\n# c"})
    lost = compare(
        side("b", [measured(1), measured(2)]), side("n", [measured(1, facts=evil), ended(2, "oom", "a | b")])
    )

    text = comparison_markdown(lost)

    assert "<img" not in text
    assert "&lt;img src=x&gt; \\| @<!-- -->all \\`a\\` \\*\\*b\\*\\* \\# c" in text
    assert "a \\| b" in text


@given(st.text())
def test_escaped_text_is_one_line_without_markup(text: str) -> None:
    """Every sign that means something has a backslash before it, or is an entity."""
    found = markdown(text)

    assert "\n" not in found
    assert not markup_in(found)
    bare = found.replace("<!-- -->", "").replace("<span>&#36;</span>", "")
    for sign in "*_[]|`#!~{}()":
        assert bare.count(sign) == bare.count(f"\\{sign}")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("fixes #1, GH-2 and a/b#3", "fixes \\#<!-- -->1, GH-<!-- -->2 and a/b\\#<!-- -->3"),
        ("C# [x]", "C\\# \\[x\\]"),
        ("https://evil.example www.evil.example", "https:<!-- -->//evil.example www<!-- -->.evil.example"),
        ("a.py::test_x :tada: a:b:c", "a.py::test\\_x :<!-- -->tada: a:<!-- -->b:c"),
        ("8:512:x2, 10:15:30, :100:", "8:512:x2, 10:15:30, :<!-- -->100:"),
        ("$x$", "<span>&#36;</span>x<span>&#36;</span>"),
        ("$`x`$", r"<span>&#36;</span>\`x\`<span>&#36;</span>"),
        ("4x4, $0.41 per 1000; $0.71; $ per", "4x4, $0.41 per 1000; $0.71; $ per"),
        ("US$5 and 5$", "US<span>&#36;</span>5 and 5<span>&#36;</span>"),
        ("- - -", r"\- - -"),
        ("1. first", r"1\. first"),
        ("-5 % .. -3 %", "-5 % .. -3 %"),
    ],
)
def test_what_a_site_obeys_in_plain_text_is_shown(text: str, shown: str) -> None:
    """No reference to an issue, no link, no emoji, no formula, no list: a backslash keeps a site from none of them."""
    assert markdown(text) == shown


@pytest.mark.parametrize("most_bytes", [COMMENT_BYTES, 400_000])
def test_of_more_cases_than_fit_the_worst_stay_and_the_others_are_counted(most_bytes: int) -> None:
    """No row or block is cut in two; the slowest regression is the first row, and what is missing is said."""
    one = compare(quiet_side("base", 5, {1: 1.0}), quiet_side("new", 1, {1: 1.2}))
    (case,) = one.cases
    assert case.time is not None
    many = [
        replace(case, name=f"{case.name[:-5]}b{size}x1]", time=replace(case.time, estimate=0.2 + size / 10_000))
        for size in range(1, 1501)
    ]

    text = comparison_markdown(replace(one, cases=tuple(many)), most_bytes=most_bytes)

    rows = [line for line in text.splitlines() if line.startswith("| benchmarks/")]
    blocks = text.count("**regressed: ")
    assert most_bytes / 2 < len(text.encode()) <= most_bytes
    assert all(row.endswith(" | regressed |") for row in rows)
    assert "s20-b1500x1" in rows[0]
    assert f"{1500 - len(rows):,} more cases without a row here: " in text
    assert f"{1500 - blocks:,} more cases regressed, without their numbers here" in text


def test_the_mark_is_that_of_every_markdown_report() -> None:
    """So a comment is found again whichever command wrote it."""
    assert MARKS[Kind.MARKDOWN] == f"{MARK}\n"


@settings(max_examples=25)
@given(names)
def test_hostile_names_keep_table_size_and_people_in_peace(name: str) -> None:
    """As a test, a device and a reason: one line each, no tag, no mention, no more cells than columns."""
    place = Place(test=f"{TEST}[{name}]", group="g", case="b1x1", batch_size=1)
    evil = facts(must_match={"device_name": name})
    made = compare(side("b", [measured(1, place=place)]), side("n", [ended(1, "oom", name, place=place, facts=evil)]))

    text = comparison_markdown(made, lines=[name])

    assert len(text.encode()) <= COMMENT_BYTES
    head, *rows = [line for line in text.splitlines() if line.startswith("|")]
    assert {row.replace("\\\\", "").replace("\\|", "").count("|") for row in rows} == {head.count("|")}
    assert not markup_in(text.replace(MARK, ""))
    assert text.isprintable() or set(filter(lambda sign: not sign.isprintable(), text)) == {"\n"}
