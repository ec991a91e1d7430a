"""Cases that did not end well on either side."""

from __future__ import annotations

import pytest
from compared import ended, measured

from pytest_sdbatch.analysis.outcomes import compare_outcomes, invalid_environment, state_of_base, state_of_candidate
from pytest_sdbatch.analysis.sides import Measured
from pytest_sdbatch.analysis.verdict import Verdict


def of(state: str) -> Measured:
    """Return a case that ended so."""
    return measured() if state == "ok" else ended(1, state, "because")


@pytest.mark.parametrize(
    ("before", "now", "verdict", "reason"),
    [
        ("ok", "oom", Verdict.REGRESSED, "ok before, oom now: because"),
        ("ok", "spilled", Verdict.REGRESSED, "ok before, spilled now: because"),
        ("ok", "invalid-output", Verdict.REGRESSED, "ok before, invalid-output now: because"),
        ("ok", "crashed", Verdict.REGRESSED, "ok before, crashed now: because"),
        ("ok", "test failed", Verdict.REGRESSED, "ok before, test failed now: because"),
        ("ok", "without rounds", Verdict.REGRESSED, "ok before, without rounds now: because"),
        ("oom", "ok", Verdict.IMPROVED, "oom before, ok now: because"),
        ("crashed", "ok", Verdict.IMPROVED, "crashed before, ok now: because"),
        ("oom", "oom", Verdict.UNCHANGED, "oom on both sides"),
        ("over-limit", "over-limit", Verdict.UNCHANGED, "over-limit on both sides"),
        ("crashed", "crashed", Verdict.MISSING, "failed on both sides: crashed"),
        ("timeout", "timeout", Verdict.MISSING, "failed on both sides: timeout"),
        ("test failed", "test failed", Verdict.MISSING, "failed on both sides: test failed"),
        ("oom", "crashed", Verdict.INCONCLUSIVE, "oom before, crashed now: because"),
        ("ok", "throttled", Verdict.INCONCLUSIVE, "ok before, throttled now: because"),
        ("throttled", "ok", Verdict.INCONCLUSIVE, "throttled before, ok now: because"),
        ("throttled", "throttled", Verdict.INCONCLUSIVE, "throttled on both sides"),
        ("invalid-environment", "oom", Verdict.INCONCLUSIVE, "invalid-environment before, oom now: because"),
        ("ok", "skipped", Verdict.MISSING, "skipped now: because"),
        ("oom", "skipped", Verdict.MISSING, "skipped now: because"),
        ("skipped", "skipped", Verdict.MISSING, "skipped by both sides"),
        ("skipped", "ok", Verdict.NEW, "the base skipped it: because"),
        ("skipped", "oom", Verdict.NEW, "the base skipped it: because"),
    ],
)
def test_what_two_outcomes_say(before: str, now: str, verdict: Verdict, reason: str) -> None:
    """What worked and does not any more is a regression, whatever the clock says."""
    found = compare_outcomes(of(before), of(now))

    assert found is not None
    assert (found.verdict, found.reason) == (verdict, reason)


def test_where_both_are_well_the_numbers_decide() -> None:
    """There is nothing to say of the outcome."""
    assert compare_outcomes(measured(), measured()) is None


@pytest.mark.parametrize(
    ("states", "base", "candidate"),
    [
        (("oom", "ok"), "ok", "oom"),
        (("skipped", "throttled", "ok"), "ok", "ok"),
        (("skipped", "throttled"), "throttled", "throttled"),
        (("throttled", "crashed"), "crashed", "crashed"),
        (("skipped",), "skipped", "skipped"),
    ],
)
def test_of_several_runs_one_stands_for_all(states: tuple[str, ...], base: str, candidate: str) -> None:
    """A base that went well once could; a candidate that failed once does: a gate fails closed."""
    found = [of(state) for state in states]

    assert (state_of_base(found).state, state_of_candidate(found).state) == (base, candidate)


@pytest.mark.parametrize(
    ("sides", "said"),
    [
        ([["ok"], ["invalid-environment"]], "invalid environment: because"),
        ([["throttled"], ["throttled"]], "1 case throttled in every round"),
        ([["ok", "ok"], ["throttled", "throttled"]], "1 case throttled in every round"),
        ([["ok", "ok"], ["throttled", "ok"]], None),
        ([["ok"], []], None),
        ([["ok"], ["oom"]], None),
    ],
)
def test_an_environment_that_cannot_be_believed_is_told_apart(sides: list[list[str]], said: str | None) -> None:
    """One process that met other users of the GPU is enough; throttling must be in every run of a side."""
    assert invalid_environment([[of(state) for state in side] for side in sides]) == said


def test_other_processes_on_the_device_are_told() -> None:
    """Be it in one run of one side: what was slower there may be theirs."""
    crowded = [measured(foreign_processes=0), measured(foreign_processes=1)]

    assert invalid_environment([[measured()], crowded]) == "other processes used the device during 1 case"
