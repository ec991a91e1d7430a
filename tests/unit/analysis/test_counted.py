"""Which runs count for the time of a case."""

from __future__ import annotations

from dataclasses import replace

import pytest
from compared import ended, facts, measured
from hypothesis import given
from hypothesis import strategies as st

from pytest_sdbatch.analysis.counted import is_slower_than_explained, runs_that_count, sound_of
from pytest_sdbatch.analysis.restless import was_disturbed
from pytest_sdbatch.analysis.sides import Measured
from pytest_sdbatch.analysis.verdict import CaseVerdict, Verdict

CALM = measured()
BUSY = measured(contention="1 thread had 0.4 of 1 core free: something else was running")
SHORT = measured(seconds=[1.0] * 4)
RUNS = st.lists(st.sampled_from([CALM, BUSY, SHORT, ended(1, "oom"), measured(waited=0.05)]), max_size=6)


@pytest.mark.parametrize(
    ("there", "here", "base", "candidate"),
    [
        ([CALM] * 4, [CALM, BUSY], [CALM] * 4, [CALM]),
        ([CALM, BUSY], [CALM] * 4, [CALM], [CALM] * 4),
        # One of the base alone does not do beside these: the others are slower, which a regression stands.
        ([CALM, BUSY, BUSY], [CALM, CALM, BUSY], [CALM, BUSY, BUSY], [CALM, CALM]),
        ([CALM] * 3, [CALM, BUSY], [CALM] * 3, [CALM, BUSY]),
        ([BUSY] * 5, [BUSY], [BUSY] * 5, [BUSY]),
        ([CALM, BUSY], [CALM], [CALM, BUSY], [CALM]),
        # Too few rounds are none.
        ([CALM, SHORT, ended(1, "oom")], [SHORT], [CALM], []),
    ],
)
def test_undisturbed_runs_count_where_they_are_enough(
    there: list[Measured], here: list[Measured], base: list[Measured], candidate: list[Measured]
) -> None:
    """Five of both sides; else the disturbed ones of the base too, or of the candidate, or all."""
    found = runs_that_count(there, here)

    assert (list(found.base), list(found.candidate)) == (base, candidate)


@given(there=RUNS, here=RUNS, verdict=st.sampled_from(list(Verdict)))
def test_what_waiting_may_have_caused_is_never_told(
    there: list[Measured], here: list[Measured], verdict: Verdict
) -> None:
    """No run of a regressed candidate waited, nor one of a base against which nothing is slower."""
    found = runs_that_count(there, here)

    cleared = found.without_blame(CaseVerdict(verdict=verdict, reason="so"))

    assert {*map(id, found.base)} <= {*map(id, there)}
    assert all(one in sound_of(here) for one in found.candidate)
    if (
        cleared.verdict is Verdict.REGRESSED
    ):  # its interval is not known, so that nothing is beyond what waiting explains
        assert not any(map(was_disturbed, found.candidate))
    if cleared.verdict in (Verdict.UNCHANGED, Verdict.IMPROVED):
        assert not any(map(was_disturbed, found.base))
    assert cleared.verdict in (verdict, Verdict.INCONCLUSIVE)


def test_runs_that_were_left_out_are_counted_where_nothing_is_told() -> None:
    """A reader sees more runs than the verdict stands on."""
    unclear = CaseVerdict(verdict=Verdict.INCONCLUSIVE, reason="it is not clear")

    assert runs_that_count([CALM] * 4, [CALM, BUSY, BUSY]).without_blame(unclear).reason == (
        "it is not clear; 2 runs beside other work not counted"
    )
    assert runs_that_count([CALM] * 4, [CALM]).without_blame(unclear) == unclear


@pytest.mark.parametrize(
    ("low", "waited", "regressed"),
    [
        (18.0, 0.1, True),  # at most 2 / 0.9 times as long, for what it waited and what it shared
        (1.2, 0.1, False),
        (1.3, 0.1, True),
        (2.9, 0.5, False),
        (18.0, None, False),  # who knows
        (18.0, 1.0, False),
    ],
)
def test_what_is_slower_than_anything_beside_it_explains_is_regressed(
    low: float, waited: float | None, *, regressed: bool
) -> None:
    """No slowdown is hidden by a busy machine, however large."""
    busy = replace(BUSY, waited=waited)
    slower = CaseVerdict(verdict=Verdict.REGRESSED, reason="slower", estimate=low, interval=(low, 2 * low))

    found = runs_that_count([CALM] * 5, [busy, replace(busy, waited=0.0)]).without_blame(slower)

    assert found.verdict is (Verdict.REGRESSED if regressed else Verdict.INCONCLUSIVE)
    assert ("by more than what else used the cores explains" in found.reason) is regressed


def test_what_is_unclear_beside_other_work_says_so_first() -> None:
    """Of both sides: more runs like these would say no more."""
    unclear = CaseVerdict(verdict=Verdict.INCONCLUSIVE, reason="it is not clear")

    assert runs_that_count([BUSY] * 5, [CALM, BUSY]).without_blame(unclear).reason == (
        "something else used the cores in 5 of 5 runs of the base: measure on a quiet machine, or both in turn with "
        "sdbatch ab; it is not clear"
    )


@pytest.mark.parametrize(
    ("run", "disturbed"),
    [
        (CALM, False),
        (BUSY, True),
        (measured(contention="2 threads share 1 core, and wait for each other"), False),
        (measured(contention="a round had 0.5 cores at work where 1 are usual: it waited for something"), False),
        (measured(waited=0.02), False),  # less than what a machine may have drifted
        (measured(waited=0.04), True),
        (measured(facts=facts(shown={"other_benchmarks": 1})), True),  # which take caches from each other
        (replace(BUSY, state="oom"), False),
    ],
)
def test_disturbed_is_what_may_be_slower_for_what_else_ran(run: Measured, *, disturbed: bool) -> None:
    """Whether it is marked as that or not."""
    assert was_disturbed(run) is disturbed
    assert runs_that_count([run], []).disturbed is disturbed


@pytest.mark.parametrize(
    ("run", "beyond"),
    [
        (replace(BUSY, waited=0.1, seconds=[2.3] * 6), True),
        (replace(BUSY, waited=0.1, seconds=[2.2] * 6), False),
        (replace(BUSY, seconds=[20.0] * 6), False),  # what it waited is not known
        (measured(seconds=[20.0] * 6), False),  # undisturbed: it is looked at as it is
        (replace(BUSY, waited=0.1, seconds=[20.0] * 4), False),
        (replace(BUSY, waited=0.1, seconds=[2.4] * 6, facts=facts(must_match={"threads": 2})), False),  # 2 / 0.8
        (replace(BUSY, waited=0.1, seconds=[2.6] * 6, facts=facts(must_match={"threads": 2})), True),
        (replace(BUSY, waited=0.5, seconds=[60.0] * 6, facts=facts(must_match={"threads": 2})), False),
        (replace(BUSY, waited=-0.1, seconds=[20.0] * 6), False),
        (replace(BUSY, waited=float("nan"), seconds=[20.0] * 6), False),
    ],
)
def test_one_run_may_be_slower_than_anything_explains(run: Measured, *, beyond: bool) -> None:
    """By its own waiting: 2 / 0.9 times as long as the base."""
    assert is_slower_than_explained(run, 1.0) is beyond
