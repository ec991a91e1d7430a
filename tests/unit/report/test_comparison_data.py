"""A comparison for machines."""

from __future__ import annotations

import json

from compared import ended, facts, measured, quiet_side, side

from pytest_sdbatch.analysis.comparison import compare
from pytest_sdbatch.report.comparison_data import comparison_data

CROWDED = "1 thread had 0.4 of 1 core free: something else was running"


def test_all_that_is_shown_is_in_it() -> None:
    """Shares of 1, seconds, verdicts by name; it is JSON without NaN."""
    base, new = quiet_side("base", 5, {1: 1.0}), quiet_side("new", 1, {1: 1.1, 2: 1.0})

    data = json.loads(json.dumps(comparison_data(compare(base, new), status=10), allow_nan=False))

    assert (data["schema"], data["exit_status"], data["tolerance"], data["more_runs_needed"]) == (1, 10, 0.01, 0)
    assert [run["id"] for run in data["base"]] == [f"base{number}" for number in range(5)]
    assert data["counts"] == {
        "compared": 1, "regressed": 1, "improved": 0, "unchanged": 0, "inconclusive": 0, "new": 1, "missing": 0,
        "incomparable": 0, "accepted": 0,
    }  # fmt: skip
    slower, only_new = data["cases"]
    assert slower["verdict"] == slower["time"]["verdict"] == "regressed"
    assert 0.09 < slower["time"]["interval"][0] < slower["time"]["estimate"] < slower["time"]["interval"][1] < 0.11
    assert slower["peak_memory"]["verdict"] == "unchanged"
    assert (only_new["verdict"], only_new["time"]) == ("new", None)


def test_outcomes_and_what_moved_are_in_it() -> None:
    """By key, with both values, and as text with each case."""
    new = [ended(1, "oom", "no memory", facts=facts(shown={"commit": "def"}))]

    data = comparison_data(compare(side("base", [measured()]), side("new", new)), status=10)

    assert data["moved"] == [{"key": "commit", "weight": "shown", "before": "abc", "after": "def", "cases": 1}]
    assert data["cases"][0]["moved"] == ["commit abc -> def"]
    assert data["cases"][0]["outcome"]["reason"] == "ok before, oom now: no memory"


def test_what_is_to_be_doubted_in_the_runs_is_among_the_notes() -> None:
    """A page that is made of it has no other place for what the screen shows above the table."""
    base = quiet_side("base", 4, {1: 1.0})
    (calm,) = quiet_side("new", 1, {1: 1.0})
    (busy,) = quiet_side("busy", 1, {1: 1.5}, contention=CROWDED)

    data = comparison_data(compare(base, [calm, busy]), status=0, notes=["and this"])

    assert data["notes"] == [
        f"candidate: beside other work: something else may have slowed {next(iter(calm.cases))} in run 2",
        "base, now and change: of the runs that nothing disturbed, where they are enough; what is told of runs has all",
        "and this",
    ]
