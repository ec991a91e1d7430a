"""Stored runs against new ones: one verdict for every case."""

from __future__ import annotations

import re
from typing import Any

import pytest
from compared import GIB, QUIET, ended, facts, measured, quiet_side, side, trained_side
from hypothesis import given
from hypothesis import strategies as st

from pytest_sdbatch.analysis.comparison import COMPARED, Comparison, compare
from pytest_sdbatch.analysis.config import Config
from pytest_sdbatch.analysis.verdict import Verdict

STATES = st.sampled_from(["ok", "oom", "skipped", "throttled", "crashed"])
RUNS = st.lists(st.dictionaries(st.integers(1, 4), STATES), min_size=1, max_size=3)


def verdicts(comparison: Comparison) -> dict[str, str]:
    """Return the verdict by split."""
    return {case.place.case: case.verdict.value for case in comparison.cases}


def test_time_is_judged_by_the_stored_rule() -> None:
    """Five quiet runs against one: 10 % slower is regressed, 10 % faster improved, the same unchanged."""
    base = quiet_side("base", 5, {1: 1.0, 4: 2.0, 8: 3.0})
    new = quiet_side("new", 1, {1: 1.1, 4: 1.8, 8: 3.0})

    found = compare(base, new)

    assert verdicts(found) == {"b1x1": "regressed", "b4x1": "improved", "b8x1": "unchanged"}
    slower = found.cases[0]
    assert slower.time is not None
    assert slower.time.estimate == pytest.approx(0.1, abs=0.005)
    assert slower.reason == "time: slower by more than 3 %, beyond chance"
    assert slower.base_call_s == pytest.approx(1.0, abs=0.01)
    assert slower.candidate_call_s == pytest.approx(1.1, abs=0.01)


@pytest.mark.parametrize(("base", "new", "more"), [(1, 1, 3), (2, 1, 2), (3, 1, 1), (1, 3, 1), (4, 1, 0), (1, 4, 0)])
def test_few_runs_are_inconclusive_and_say_how_many_are_lacking(base: int, new: int, more: int) -> None:
    """A verdict on time takes five runs of both sides together, however slow the candidate is."""
    found = compare(quiet_side("base", base, {1: 1.0}), quiet_side("new", new, {1: 2.0}))

    assert found.more_runs == more
    assert verdicts(found) == {"b1x1": "inconclusive" if more else "regressed"}


def test_the_rules_can_be_set() -> None:
    """What is regressed under a drift of 3 % is not under one of 20 %."""
    sides = quiet_side("base", 5, {1: 1.0}), quiet_side("new", 1, {1: 1.1})

    assert verdicts(compare(*sides)) == {"b1x1": "regressed"}
    assert verdicts(compare(*sides, Config(drift=0.2))) == {"b1x1": "inconclusive"}


@pytest.mark.parametrize(
    ("before", "now", "verdict"),
    [
        ([4 * GIB] * 5, [4 * GIB] * 5, "unchanged"),
        ([4 * GIB] * 5, [5 * GIB] * 5, "regressed"),
        ([5 * GIB] * 5, [4 * GIB] * 5, "improved"),
        ([4 * GIB] * 5, [], "inconclusive"),
        ([], [4 * GIB] * 5, "inconclusive"),
        ([], [], "unchanged"),
    ],
)
def test_peak_memory_is_judged_to_the_byte(before: list[int], now: list[int], verdict: str) -> None:
    """Time being the same, memory decides; known on one side only it is not passed over."""
    base, new = quiet_side("base", 5, {1: 1.0}, peak_bytes=before), quiet_side("new", 1, {1: 1.0}, peak_bytes=now)

    assert verdicts(compare(base, new)) == {"b1x1": verdict}


@pytest.mark.parametrize(("grown", "verdict"), [(1.0, "unchanged"), (1.5, "regressed")])
def test_memory_that_varies_within_a_run_is_decided_as_time(grown: float, verdict: str) -> None:
    """Then chance has a part in it, and both share what a false alarm may cost."""
    bytes_ = [[round(4 * GIB * (1 + luck) * (1 + 0.001 * (k % 3))) for k in range(6)] for luck in QUIET]
    base = side("base", *([measured(peak_bytes=b)] for b in bytes_))
    new = side("new", [measured(peak_bytes=[round(b * grown) for b in bytes_[0]])])

    (case,) = compare(base, new).cases

    assert case.memory is not None
    assert case.memory.interval is not None
    assert case.verdict.value == verdict


def test_a_worse_outcome_is_a_regression_whatever_the_clock_says() -> None:
    """The larger size that was skipped for it is missing, and so shown."""
    base = side("base", [measured(1), measured(4), measured(8)])
    new = side(
        "new", [measured(1), ended(4, "oom", "no memory"), ended(8, "skipped", "batch size 4 ran out of memory")]
    )

    found = compare(base, new)

    assert verdicts(found) == {"b1x1": "inconclusive", "b4x1": "regressed", "b8x1": "missing"}
    assert found.cases[1].reason == "ok before, oom now: no memory"
    assert found.cases[2].reason == "skipped now: batch size 4 ran out of memory"


def test_cases_of_one_side_are_new_or_missing() -> None:
    """They are shown in the order of the base, then of the candidate."""
    found = compare(side("base", [measured(1), measured(2)]), side("new", [measured(8), measured(2)]))

    assert verdicts(found) == {"b1x1": "missing", "b2x1": "inconclusive", "b8x1": "new"}


def test_facts_that_must_match_leave_no_other_verdict() -> None:
    """Another card: neither time nor memory is judged, and every case says why."""
    other = facts(must_match={"device_name": "Other card"})

    (case,) = compare(quiet_side("base", 5, {1: 1.0}), quiet_side("new", 1, {1: 9.0}, facts=other)).cases

    assert (case.verdict, case.reason) == (Verdict.INCOMPARABLE, "device name Card -> Other card")
    assert (case.time, case.memory) == (None, None)


@pytest.mark.parametrize("call_s", [1.0, 0.5, 2.0])
def test_a_drift_leaves_nothing_but_inconclusive(call_s: float) -> None:
    """Another driver may have made it slower, or hide that the code did; the numbers are given all the same."""
    other = facts(drift={"driver": "580.2"})

    (case,) = compare(quiet_side("base", 5, {1: 1.0}), quiet_side("new", 1, {1: call_s}, facts=other)).cases

    assert (case.verdict, case.reason) == (
        Verdict.INCONCLUSIVE,
        "driver 580.1 -> 580.2: the change may not be the code's",
    )
    assert case.time is not None
    assert case.time.minimum_detectable_effect is not None


def test_runs_of_a_side_must_match_each_other() -> None:
    """A base that is put together from two machines is no base."""
    there = [[measured()], [measured(facts=facts(must_match={"device_name": "Other card"}))]]

    assert verdicts(compare(side("base", *there), side("new", [measured()]))) == {"b1x1": "incomparable"}


def test_a_case_that_was_not_measured_knows_less_and_is_compared() -> None:
    """A pipeline that could not be loaded has no digest of prompts: that is no other prompt."""
    known = facts(must_match={"prompts": "p1"})
    base = side("base", [measured(facts=known)])

    lost = compare(base, side("new", [ended(1, "oom", "no memory")]))
    other = compare(base, side("new", [ended(1, "oom", "no memory", facts=facts(must_match={"prompts": "p2"}))]))
    sound = compare(base, side("new", [measured()]))

    assert [verdicts(found)["b1x1"] for found in (lost, other, sound)] == ["regressed", "incomparable", "incomparable"]


def test_what_is_shown_differs_only_where_no_run_of_the_base_has_it() -> None:
    """It explains nothing else: other benchmarks that ran beside a run of either side, say."""
    quiet, crowded = facts(shown={"other_benchmarks": None}), facts(shown={"other_benchmarks": 1})
    base = side("base", [measured(facts=crowded)], [measured(facts=quiet)])

    assert compare(base, side("new", [measured(facts=quiet)], [measured(facts=crowded)])).moved() == {}
    (fact,) = compare(base, side("new", [measured(facts=facts(shown={"other_benchmarks": 2}))])).moved()
    assert str(fact) == "other benchmarks 1 -> 2"


def test_what_moved_is_counted_over_the_cases() -> None:
    """The heaviest first; what is only shown changes no verdict."""
    new = [measured(1, facts=facts(shown={"commit": "def"}))]
    new += [measured(2, facts=facts(shown={"commit": "def"}, drift={"driver": "580.2"}))]

    found = compare(side("base", [measured(1), measured(2)]), side("new", new)).moved()

    assert {str(fact): count for fact, count in found.items()} == {"driver 580.1 -> 580.2": 1, "commit abc -> def": 2}
    assert [str(fact) for fact in found] == ["driver 580.1 -> 580.2", "commit abc -> def"]


@pytest.mark.parametrize(
    ("then", "now", "said"),
    [
        (3, 6, "the base: record it again with -o sd_rounds=5"),
        (6, 3, "the candidate: give -o sd_rounds=5 or more"),
        (3, 3, "both sides: record the base again with -o sd_rounds=5, and give the candidate as many"),
    ],
)
def test_too_few_rounds_are_inconclusive_not_an_error(then: int, now: int, said: str) -> None:
    """Three rounds a case can be compared in memory; time needs five, and the side without is named."""
    base, new = ([measured(seconds=[1.0] * rounds)] for rounds in (then, now))

    (case,) = (found := compare(side("base", *[base] * 5), side("new", new))).cases

    assert (case.verdict, case.reason) == (
        Verdict.INCONCLUSIVE,
        f"time: fewer than 5 rounds in every run of {said}",
    )
    assert found.needs_rounds


def test_rounds_alone_are_needed_only_where_nothing_else_is_unclear() -> None:
    """A driver that moved, or a case that more runs settle, leaves something to find out by other means."""
    short, moved = [1.0] * 3, facts(drift={"driver": "580.2"})
    drifted = compare(side("base", [measured(seconds=short)]), side("new", [measured(seconds=short, facts=moved)]))
    beside = compare(
        side("base", [measured(1, seconds=short), measured(2)]), side("new", [measured(1, seconds=short), measured(2)])
    )
    clear = compare(side("base", *[[measured()]] * 5), side("new", [measured()]))

    assert [found.needs_rounds for found in (drifted, beside, clear)] == [False, False, False]
    assert beside.count(Verdict.INCONCLUSIVE) == 2


def test_an_explanation_names_what_grew() -> None:
    """Twice the cost of a call, the same of an image: the group of the regressed cases says so."""
    sizes = (1, 2, 4, 8)
    base = quiet_side("base", 5, {b: 1.0 + 0.5 * b for b in sizes})
    new = quiet_side("new", 5, {b: 2.0 + 0.5 * b for b in sizes})

    (explanation,) = compare(base, new).explanations

    assert str(explanation).startswith("sd15-fp16-512x512-s20: each call costs ")


def test_an_explanation_of_training_speaks_of_steps_and_examples() -> None:
    """The workload gives its words."""
    sizes = (1, 2, 4, 8)
    base = trained_side("base", 5, {b: 1.0 + 0.5 * b for b in sizes})
    new = trained_side("new", 5, {b: 2.0 + 0.5 * b for b in sizes})

    (explanation,) = compare(base, new).explanations

    assert re.search(r": each step costs .* more, each example the same$", str(explanation))


@given(RUNS, RUNS)
def test_every_case_of_either_side_has_exactly_one_verdict(base: list[Any], new: list[Any]) -> None:
    """Nothing is dropped, whatever ended how in which run; the counts add up."""
    there, here = (
        side(name, *([measured(s) if w == "ok" else ended(s, w) for s, w in run.items()] for run in runs))
        for name, runs in (("base", base), ("new", new))
    )

    found = compare(there, here)

    names = {name for run in (*there, *here) for name in run.cases}
    assert sorted(case.name for case in found.cases) == sorted(names)
    assert found.count(*Verdict) == len(names)
    assert all(case.reason for case in found.cases)
    both = {n for run in there for n in run.cases} & {n for run in here for n in run.cases}
    assert found.count(*COMPARED) <= len(both)


def test_the_budget_of_a_case_is_for_its_own_memory() -> None:
    """A marker may allow one test more; another one keeps to half a percent."""
    base = side("base", [measured(1), measured(4)])
    new = side("new", [measured(size, peak_bytes=[int(4.1 * GIB)] * 6) for size in (1, 4)])
    names = list(base[0].cases)

    found = compare(base, new, Config(memory_tolerance={names[0]: 0.05}))

    memory = [case.memory.verdict.value for case in found.cases if case.memory is not None]
    assert memory == ["unchanged", "regressed"]


def test_cases_that_look_slower_are_named_as_suspects() -> None:
    """More runs of the candidate may settle them; what drifted no number of runs settles."""
    base = quiet_side("base", 3, {1: 1.0, 4: 2.0, 8: 3.0})
    new = quiet_side("new", 1, {1: 1.1, 4: 2.0, 8: 2.9})
    drifted = quiet_side("new", 1, {1: 1.1, 4: 2.0, 8: 2.9}, facts=facts(drift={"driver": "590.1"}))

    assert compare(base, new).suspects == (next(iter(base[0].cases)),)
    assert compare(base, drifted).suspects == ()
