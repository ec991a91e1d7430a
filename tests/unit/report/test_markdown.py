"""A comparison as Markdown."""

from __future__ import annotations

from compared import ended, facts, measured, quiet_side, side
from hypothesis import given
from hypothesis import strategies as st

from pytest_sdbatch.analysis.comparison import compare
from pytest_sdbatch.report.escape import markdown
from pytest_sdbatch.report.markdown import comparison_markdown


def test_the_verdicts_come_first_and_the_worst_case_before_all() -> None:
    """A count, a table from regressed to unchanged, a block for what regressed."""
    base = quiet_side("base", 5, {1: 1.0, 2: 1.0, 4: 1.0})
    new = quiet_side("new", 1, {1: 1.0, 2: 0.8, 4: 1.2})

    lines = comparison_markdown(compare(base, new), lines=("kept: here",)).splitlines()

    assert lines[2].startswith("**3 cases compared: 1 regressed, 1 improved, 1 unchanged, 0 inconclusive; besides")
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
    for sign in "*_[]|`#!~{}()":
        assert found.count(sign) == found.count(f"\\{sign}") + (found.count("@<!-- -->") if sign == "!" else 0)
    assert "<" not in found.replace("@<!-- -->", "")
