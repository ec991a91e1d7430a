"""Which runs of a comparison count, and what those that do not count do not tell."""

from __future__ import annotations

import pytest
from compared import ended, facts, measured, quiet_side, side

from pytest_sdbatch.analysis.comparison import Comparison, compare
from pytest_sdbatch.analysis.config import Config
from pytest_sdbatch.analysis.contention import contended
from pytest_sdbatch.records import Round


def verdicts(comparison: Comparison) -> dict[str, str]:
    """Return the verdict by split."""
    return {case.place.case: case.verdict.value for case in comparison.cases}


CROWDED = "1 thread had 0.4 of 1 core free: something else was running"


@pytest.mark.parametrize(
    ("crowded", "factor", "verdict"),
    [
        ("new", 1.1, "inconclusive"),  # it may have waited
        ("new", 1.0, "unchanged"),
        ("new", 0.9, "improved"),  # although it waited
        ("base", 1.1, "regressed"),  # although the base waited
        ("base", 1.0, "inconclusive"),  # it was faster than it looks
        ("base", 0.9, "inconclusive"),
    ],
)
def test_what_waiting_for_cores_may_have_caused_is_inconclusive(crowded: str, factor: float, verdict: str) -> None:
    """Where every run of a side waited for something else; what would hold without that stands."""
    base, new = (
        quiet_side(name, runs, {1: call_s}, contention=CROWDED if name == crowded else None)
        for name, runs, call_s in (("base", 5, 1.0), ("new", 2, factor))
    )

    (case,) = compare(base, new).cases

    assert case.verdict.value == verdict
    if verdict == "inconclusive":
        where = "2 of 2 runs of the candidate" if crowded == "new" else "5 of 5 runs of the base"
        assert case.reason.startswith(f"time: something else used the cores in {where}: measure on a quiet machine")
        assert case.disturbed


def test_threads_that_wait_for_each_other_are_nobody_elses_fault() -> None:
    """It is so on both sides, and more threads may be what regressed."""
    said = contended([Round(wall_s=1.0, cpu_s=1.0, call_s=(1.0,))] * 5, threads=2, cores=1)
    base, new = quiet_side("base", 5, {1: 1.0}), quiet_side("new", 2, {1: 1.1}, contention=said)

    assert said is not None
    assert verdicts(compare(base, new)) == {"b1x1": "regressed"}


def test_runs_beside_other_work_do_not_count_where_there_are_enough_others() -> None:
    """Neither in the change, nor in what is shown."""
    base = quiet_side("base", 3, {1: 1.0})
    crowded = quiet_side("new", 3, {1: 1.5}, contention=CROWDED)

    (case,) = compare(base, [*crowded, *quiet_side("calm", 2, {1: 1.0})]).cases

    assert case.verdict.value == "unchanged"
    assert case.candidate_call_s == pytest.approx(1.0, abs=0.01)


def test_what_does_not_count_explains_nothing() -> None:
    """Neither a stage of a disturbed run, nor a line through a case that is not called regressed."""
    base = quiet_side("base", 5, {1: 1.0, 4: 2.0}, stages_ns={"denoiser": [9 * 10**8] * 6})
    slow = quiet_side("new", 4, {1: 1.1, 4: 2.2}, stages_ns={"denoiser": [10**9] * 6})
    busy = quiet_side("busy", 4, {1: 2.0, 4: 4.0}, contention=CROWDED, stages_ns={"denoiser": [9 * 10**9] * 6})

    regressed, only_busy = compare(base, [*slow, *busy]), compare(base, busy)

    assert [case.verdict.value for case in regressed.cases] == ["regressed"] * 2
    assert len(regressed.explanations) == 1
    assert regressed.cases[0].causes == ("stage: denoiser 900 ms -> 1.00 s per call, 100 % of what was added",)
    assert [case.verdict.value for case in only_busy.cases] == ["inconclusive"] * 2
    assert only_busy.explanations == ()
    assert all(case.causes == () for case in only_busy.cases)


def test_other_cases_do_not_ask_for_runs_that_help_nobody() -> None:
    """Those of too few rounds need rounds, and those that drifted a baseline."""
    short = measured(4, seconds=[1.0] * 4)
    base = side("base", *[[measured(1), short]] * 5)
    new = side("new", *[[measured(1, call_s=1.02), short]] * 2)

    assert verdicts(compare(base, new)) == {"b1x1": "inconclusive", "b4x1": "inconclusive"}
    assert compare(base, new).more_runs == 0


def test_what_must_match_is_seen_whatever_the_first_run_came_to() -> None:
    """Of a run that was not measured less is known."""
    unmeasured = ended(1, "skipped", facts=facts(must_match={"prompts": None}))
    base = side("base", [unmeasured], *[[measured(facts=facts(must_match={"prompts": "aaaa"}))]] * 4)
    new = side("new", [measured(facts=facts(must_match={"prompts": "bbbb"}))])

    assert verdicts(compare(base, new)) == {"b1x1": "incomparable"}


@pytest.mark.parametrize(
    ("factor", "verdict", "reason"),
    [
        (1.05, "unchanged", "time: within its budget of 10 %, whatever the machine drifted"),
        (1.09, "inconclusive", "time: looks slower, but not clearly by more than 10 %"),
        (1.2, "regressed", "time: slower by more than 3 %, beyond chance, and by its budget of 10 % or more"),
    ],
)
def test_a_budget_beyond_the_drift_is_named(factor: float, verdict: str, reason: str) -> None:
    """What keeps it is told as that, and no run more is asked for."""
    base, new = quiet_side("base", 5, {1: 1.0}), quiet_side("new", 4, {1: factor})

    found = compare(base, new, Config(tolerance=0.1))

    (case,) = found.cases
    assert case.time is not None
    assert (found.suspects == ()) is (verdict == "unchanged")
    assert (case.verdict.value, f"time: {case.time.reason}") == (verdict, reason)


def test_runs_that_are_lacking_are_those_that_count() -> None:
    """A case that only some runs have lacks more."""
    base = side("base", [measured(1), measured(4)], [measured(1)], [measured(1)])
    new = side("new", [measured(1), measured(4)], [measured(1), measured(4)])

    found = compare(base, new)

    assert verdicts(found) == {"b1x1": "unchanged", "b4x1": "inconclusive"}
    assert found.more_runs == 2


def test_what_drifted_in_a_run_that_does_not_count_excuses_nothing() -> None:
    """The others are of one driver."""
    base = quiet_side("base", 5, {1: 1.0})
    busy = quiet_side("busy", 1, {1: 2.0}, contention=CROWDED, facts=facts(drift={"driver": "590.1"}))

    found = compare(base, [*quiet_side("new", 2, {1: 1.2}), *busy])

    assert verdicts(found) == {"b1x1": "regressed"}
    assert found.moved() == {}
