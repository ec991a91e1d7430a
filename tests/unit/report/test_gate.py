"""What the gate in pytest says."""

from __future__ import annotations

import pytest
from compared import GIB, ended, facts, measured, quiet_side, side

from pytest_sdbatch.analysis.comparison import compare
from pytest_sdbatch.analysis.exact_rules import exact_regression
from pytest_sdbatch.report.gate import counted, own_failure, regression, settling


def test_a_test_that_failed_by_itself_says_what_and_against_which_baseline() -> None:
    """Memory with its budget; an outcome without one."""
    larger = exact_regression([measured(1)], measured(1, peak_bytes=[5 * GIB] * 6))
    gone = exact_regression([measured(1)], ended(1, "oom", "no room"))

    memory = own_failure("x.py::t[b1x1]", broken=[], worse=larger, baseline="main", memory_tolerance=0.01)
    outcome = own_failure("x.py::t[b1x1]", broken=[], worse=gone, baseline="main", memory_tolerance=0.01)

    assert memory.splitlines() == [
        "regressed: x.py::t[b1x1]",
        "  peak memory: 4.00 GiB before, 5.00 GiB now, 20.5 MiB allowed (+25 %)",
        "  budget: 1 %, at least 2.00 MiB",
        "  baseline: main",
    ]
    assert outcome.splitlines()[1:] == ["  outcome: ok before, oom now: no room", "  baseline: main"]


def test_each_limit_that_is_broken_has_a_line() -> None:
    """No baseline is named: there may be none."""
    text = own_failure("x.py::t[b1x1]", broken=["too slow", "too large"], worse=None, baseline=None, memory_tolerance=0)

    assert text.splitlines() == ["over limit: x.py::t[b1x1]", "  limit: too slow", "  limit: too large"]


def test_control_characters_of_a_test_do_not_reach_the_terminal() -> None:
    """Parameters may hold anything."""
    assert "\x1b" not in own_failure("t[\x1b[2J]", broken=["x\x1b"], worse=None, baseline=None, memory_tolerance=0)


def test_a_regressed_case_says_on_how_many_runs_that_stands() -> None:
    """Numbers, interval, budget, and the runs of either side that had it."""
    base, new = quiet_side("base", 5, {1: 1.0, 4: 2.0}), quiet_side("new", 2, {1: 1.2, 4: 2.0})
    found = compare(base, new)

    text = regression(found.cases[0], found, baseline="main")

    assert text.splitlines()[0].startswith("regressed: benchmarks/test_x.py::test_it[")
    assert "time: 1.00 s -> 1.20 s per call, +20 %" in text
    assert "budget: 1 %, and 3 % of drift" in text
    assert text.endswith("baseline: main, 5 runs of it and 2 runs of this code")


@pytest.mark.parametrize(
    ("then", "now", "said"),
    [
        ("abc123abc123abc123", "def", "both versions side by side settle it: sdbatch ab --base abc123abc123 -- "),
        (None, "def", "both versions side by side settle it: sdbatch ab --base REF -- "),
        ("abc", "abc", "another version beside it settles it: sdbatch ab --base REF -- "),
        ("abc", "abc with changes", "both versions side by side settle it: sdbatch ab --base HEAD -- "),
        ("abc with changes", "abc with changes", "another version beside it settles it: sdbatch ab --base REF -- "),
    ],
)
def test_what_is_inconclusive_has_a_command_that_settles_it(then: str | None, now: str, said: str) -> None:
    """With the commit of the baseline where it is another version; nothing is said where nothing is open."""
    states = ((then or "").partition(" "), now.partition(" "))
    base, new = ({"facts": facts(shown={"commit": of or None, "dirty": bool(dirty)})} for of, _, dirty in states)
    unclear = compare(quiet_side("base", 2, {1: 1.0}, **base), quiet_side("new", 1, {1: 1.0}, **new))
    clear = compare(quiet_side("base", 5, {1: 1.0}), quiet_side("new", 1, {1: 1.0}))

    line = settling(unclear, arguments="benchmarks/ -k a")

    assert line is not None
    assert line.endswith(f"{said}benchmarks/ -k a")
    assert settling(clear, arguments="") is None


def test_where_rounds_alone_are_missing_no_other_command_is_given() -> None:
    """It would not settle it: the note of the case says what does."""
    unclear = compare(side("base", [measured(seconds=[1.0] * 3)]), side("new", [measured()]))

    assert settling(unclear, arguments="benchmarks/") is None


def test_the_last_line_counts_what_there_is() -> None:
    """Verdicts that no case has are left out of it: it is one line."""
    base = quiet_side("base", 5, {1: 1.0, 2: 1.0, 4: 1.0})
    new = quiet_side("new", 1, {1: 1.1, 2: 1.0, 8: 1.0})

    assert counted(compare(base, new)) == "2 cases compared, 1 regressed, 1 new, 1 missing"
    assert counted(compare(base, base)) == "3 cases compared, none regressed"
