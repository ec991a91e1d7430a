"""Verdicts in words."""

from __future__ import annotations

from dataclasses import replace

from compared import ended, facts, measured, quiet_side, side

from pytest_sdbatch.analysis.comparison import compare
from pytest_sdbatch.analysis.sides import SideRun
from pytest_sdbatch.analysis.verdict_list import VerdictList
from pytest_sdbatch.report import verdicts
from pytest_sdbatch.report.comparison import heading, summary_line
from pytest_sdbatch.report.comparison_data import comparison_data
from pytest_sdbatch.storage.verdict_file import verdicts_of


def told(base: tuple[SideRun, ...], candidate: tuple[SideRun, ...]) -> VerdictList:
    """Return the verdicts on these sides."""
    return verdicts_of(comparison_data(compare(base, candidate), status=0))


def test_the_headline_is_that_of_the_terminal() -> None:
    """One count, whoever prints it."""
    base, new = quiet_side("base", 5, {1: 1.0, 2: 1.0}), quiet_side("new", 1, {1: 1.2, 2: 1.0})

    assert verdicts.headline(told(base, new)) == summary_line(compare(base, new))


def test_a_case_that_regressed_says_by_how_much_and_why() -> None:
    """And stands before one that did not."""
    found = told(quiet_side("base", 5, {1: 1.0, 2: 1.0}), quiet_side("new", 1, {1: 1.0, 2: 1.2}))

    worst, other = map(verdicts.cells, verdicts.ranked(found))
    assert worst["verdict"] == "regressed"
    assert (worst["base"], worst["now"], worst["change"]) == ("1.00 s", "1.20 s", "+20 %")
    assert worst["why"].startswith("time: slower by more than")
    assert (other["verdict"], other["why"]) == ("unchanged", "")


def test_a_case_without_times_has_signs_for_unknown() -> None:
    """A case that no longer works has no seconds now."""
    found = told(side("b", [measured(2), measured(1)]), side("n", [ended(2, "oom", "no room"), measured(1)]))

    cells = verdicts.cells(verdicts.ranked(found)[0])
    assert (cells["verdict"], cells["now"], cells["change"], cells["detects"]) == ("regressed", "-", "-", "-")


def test_what_moved_says_what_that_means() -> None:
    """A driver weakens a comparison, a device forbids it."""
    other = facts(must_match={"device_name": "Other"}, drift={"driver": "590.1"})
    lines = list(verdicts.lines(told(side("b", [measured()]), side("n", [measured(facts=other)]))))

    assert lines[0] == "base: 1 run: b.json"
    assert "incomparable: device name Card -> Other" in lines
    assert "at most inconclusive: driver 580.1 -> 590.1" in lines


def test_of_sides_that_ran_in_turn_the_lines_are_those_of_the_terminal() -> None:
    """A driver weakens nothing there, a device forbids it all the same, and the commits are no news."""
    other = facts(must_match={"device_name": "Other"}, drift={"driver": "590.1"}, shown={"commit": "def"})
    stored = compare(quiet_side("b", 5, {1: 1.0}), side("n", *[[measured(facts=other)]] * 5))
    paired = replace(stored, pairs=5)

    lines = list(verdicts.lines(verdicts_of(comparison_data(paired, status=0))))

    moved = [line for line in heading(paired) if " -> " in line]
    assert moved == ["incomparable: device name Card -> Other", "also differs: driver 580.1 -> 590.1"]
    assert [line for line in lines if " -> " in line] == moved


def test_of_one_verdict_the_slowest_case_comes_first() -> None:
    """As in Markdown, and as which rows stay where there are too many."""
    found = told(quiet_side("base", 5, {1: 1.0, 2: 1.0}), quiet_side("new", 5, {1: 1.2, 2: 1.5}))

    assert [case.name[-5:] for case in verdicts.ranked(found)] == ["b2x1]", "b1x1]"]
