"""Suspects that ran again in fresh processes."""

from __future__ import annotations

import pytest
from compared import GIB, ended, facts, measured, quiet_side, side

from pytest_sdbatch.analysis.comparison import Comparison, compare
from pytest_sdbatch.analysis.fresh import confirmed, without_failures

CROWDED = "1 thread had 0.4 of 1 core free: something else was running"


def verdicts(comparison: Comparison) -> dict[str, str]:
    """Return the verdict by split."""
    return {case.place.case: case.verdict.value for case in comparison.cases}


@pytest.mark.parametrize(("fresh", "verdict"), [(0, "inconclusive"), (1, "inconclusive"), (2, "regressed")])
def test_the_run_that_raised_a_suspicion_needs_two_more_to_be_red(fresh: int, verdict: str) -> None:
    """Fresh processes may die: what is left of them is too little, and said so. The rest stands."""
    base = quiet_side("base", 5, {1: 1.0, 4: 2.0})
    first, *again = quiet_side("new", 1 + fresh, {1: 1.1, 4: 2.0})

    found = confirmed(compare(base, [first, *again]), again, processes=3)

    assert verdicts(found) == {"b1x1": verdict, "b4x1": "unchanged"}
    if verdict == "inconclusive":
        assert (
            found.cases[0].reason
            == f"time: {fresh} of 3 fresh processes measured it again, whole and undisturbed, 2 are needed"
        )
        assert found.cases[0].time is not None
        assert found.cases[0].time.estimate == pytest.approx(0.1, abs=0.01)


def test_an_explanation_goes_with_the_verdict_that_it_explained() -> None:
    """Unconfirmed cases, and those whose surroundings drifted, have none."""
    base = quiet_side("base", 5, {1: 1.0, 4: 2.0})
    new = quiet_side("new", 1, {1: 1.1, 4: 2.2})
    drifted = quiet_side("new", 1, {1: 1.1, 4: 2.2}, facts=facts(drift={"driver": "590.1"}))

    assert compare(base, new).explanations
    assert confirmed(compare(base, new), [], processes=3).explanations == ()
    assert compare(base, drifted).explanations == ()


def test_a_time_that_was_not_confirmed_explains_no_memory_that_grew() -> None:
    """The case is regressed all the same, for its memory."""
    base = quiet_side("base", 5, {1: 1.0, 4: 2.0})
    new = quiet_side("new", 1, {1: 1.1, 4: 2.2}, peak_bytes=[5 * GIB] * 6)

    found = confirmed(compare(base, new), [], processes=3)

    assert verdicts(found) == {"b1x1": "regressed", "b4x1": "regressed"}
    assert found.explanations == ()


def test_a_failure_of_a_fresh_process_alone_is_no_measurement() -> None:
    """The case had ended well in the run that it was to confirm; one that fails there, too, stands."""
    base = quiet_side("base", 5, {1: 1.0, 4: 2.0})
    (own,) = side("own", [measured(1, call_s=1.1), ended(4, "crashed", "it fell")])
    (calm, fell) = side("again", [measured(1, call_s=1.1)], [ended(1, "oom", "no room"), ended(4, "crashed")])

    kept, failed = without_failures(own, [calm, fell])
    found = confirmed(compare(base, [own, *kept]), kept, processes=3)

    assert [list(run.cases) for run in kept] == [list(calm.cases), list(fell.cases)[1:]]
    assert [(name, one.reason) for name, one in failed.items()] == [(next(iter(calm.cases)), "no room")]
    assert verdicts(found) == {"b1x1": "inconclusive", "b4x1": "regressed"}


@pytest.mark.parametrize("calm", [0, 1, 2])
def test_what_is_slower_than_waiting_explains_is_confirmed_by_processes_that_waited(calm: int) -> None:
    """Twenty times as slow, beside something that took a tenth of a core: no machine does that, however many waited."""
    base = quiet_side("base", 5, {1: 1.0})
    first, *again = [
        *quiet_side("calm", calm, {1: 20.0}),
        *quiet_side("busy", 4 - calm, {1: 20.0}, contention=CROWDED, waited=0.1),
    ]

    (case,) = confirmed(compare(base, [first, *again]), again, processes=3).cases

    assert case.verdict.value == "regressed"
    assert case.reason.endswith(", and by more than what else used the cores explains") is (calm == 0)


def test_fresh_processes_of_too_few_rounds_confirm_nothing() -> None:
    """They have no location with an error."""
    base, (first,) = quiet_side("base", 5, {1: 1.0}), quiet_side("new", 1, {1: 1.3})
    again = side("again", *[[measured(seconds=[1.0] * 4)]] * 3)

    found = confirmed(compare(base, [first, *again]), again, processes=3)

    assert verdicts(found) == {"b1x1": "inconclusive"}
    assert found.cases[0].candidate_call_s == pytest.approx(1.3, abs=0.01)  # what the change is of


def test_fresh_processes_that_waited_confirm_nothing() -> None:
    """Two of the three have to be undisturbed."""
    base, (first, calm) = quiet_side("base", 5, {1: 1.0}), quiet_side("new", 2, {1: 1.1})
    again = [calm, *quiet_side("again", 2, {1: 1.1}, contention=CROWDED)]

    found = confirmed(compare(base, [first, *again]), again, processes=3)

    assert (
        found.cases[0].reason == "time: 1 of 3 fresh processes measured it again, whole and undisturbed, 2 are needed"
    )


def test_what_is_exact_needs_no_confirmation() -> None:
    """Memory that repeats to the byte, and a case that no longer works, are red without a further run."""
    base = quiet_side("base", 5, {1: 1.0, 4: 2.0})
    new = side("new", [measured(1, peak_bytes=[5 * GIB] * 6), ended(4, "crashed")])

    assert verdicts(confirmed(compare(base, new), [], processes=3)) == {"b1x1": "regressed", "b4x1": "regressed"}


@pytest.mark.parametrize(("over", "verdict"), [(0, "regressed"), (1, "regressed"), (2, "regressed"), (3, "regressed")])
def test_a_limit_that_fresh_processes_break_is_no_want_of_theirs(over: int, verdict: str) -> None:
    """One alone is left out, and the others judge; two say what the run itself was near to."""
    base = quiet_side("base", 5, {1: 1.0})
    own, *calm = quiet_side("new", 4 - over, {1: 1.2})
    broken = side("again", *[[ended(1, "over-limit", "1.20 s, at most 1.10 s")]] * over)

    kept, failed = without_failures(own, [*calm, *broken])
    found = confirmed(compare(base, [own, *kept]), kept, processes=3)

    assert verdicts(found) == {"b1x1": verdict}
    assert len(failed) == (over == 1)
    assert ("over-limit now" in found.cases[0].reason) is (over >= 2)


def test_memory_that_varies_is_confirmed_by_runs_that_have_it() -> None:
    """One without peaks, or with few, says nothing of them."""

    def peaks(mib: int) -> list[int]:
        return [(mib + k % 3) * 2**20 for k in range(6)]

    base = side("base", *[[measured(peak_bytes=peaks(4096))]] * 5)
    (own,) = side("own", [measured(peak_bytes=peaks(6000))])
    blind = side("again", *[[measured(peak_bytes=[])]] * 3)
    seen = side("again", *[[measured(peak_bytes=peaks(6000))]] * 3)

    found = [confirmed(compare(base, [own, *again]), again, processes=3).cases[0] for again in (blind, seen)]

    assert [case.verdict.value for case in found] == ["inconclusive", "regressed"]
