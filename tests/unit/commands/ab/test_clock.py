"""The time of a job: asked, it stays as it is; told, it makes the job smaller."""

from __future__ import annotations

import time

import pytest

from pytest_sdbatch.commands.ab.clock import Clock
from pytest_sdbatch.commands.ab.process import STEPS
from pytest_sdbatch.commands.ab.schedule import CaseCost, Cost, Fit


def cost(own_s: float = 1.0, *, cases: int = 2, rounds: int = 10, round_s: float = 1.0) -> Cost:
    """Return what a process takes whose cases are alike."""
    return Cost(own_s=own_s, cases={f"c{n}": CaseCost(rounds=rounds, round_s=round_s) for n in range(cases)})


def clock(left_s: float | None, *, fixed_steps: bool = False, costs: Cost | None = None) -> Clock:
    """Return the clock of a job with so much time left, which has seen a process of the base that took *costs*."""
    made = Clock(None if left_s is None else time.monotonic() + left_s, fixed_steps=fixed_steps)
    if costs is not None:
        made.took("base", costs)
    return made


@pytest.mark.parametrize(("left_s", "is_over"), [(None, False), (1000.0, False), (-1.0, True)])
def test_the_time_is_over_at_the_deadline(left_s: float | None, is_over: bool) -> None:
    """A job without one has all the time."""
    assert clock(left_s).is_over == is_over


@pytest.mark.parametrize(
    ("left_s", "cases", "fits"),
    [(1000.0, None, True), (41.0, None, False), (41.0, ("c0",), True), (21.0, ("c0",), False), (None, None, True)],
)
def test_a_pair_fits_that_ends_in_time(left_s: float | None, cases: tuple[str, ...] | None, fits: bool) -> None:
    """Two processes of 1 s and 10 s a case: 42 s for both cases, 22 s for one."""
    assert clock(left_s, costs=cost()).fits(cases) == fits


@pytest.mark.parametrize(
    ("left_s", "count"), [(None, 3), (250.0, 3), (247.0, 2), (169.0, 2), (167.0, 1), (89.0, 1), (87.0, 3)]
)
def test_of_cases_that_do_not_fit_the_first_do(left_s: float | None, count: int) -> None:
    """Four pairs of 1 s and 10 s a case: 248 s for three cases, 168 s for two, 88 s for one; of none all are tried."""
    cases = ("c0", "c1", "c2")

    assert clock(left_s, costs=cost(cases=3)).first_that_fit(cases, pairs=4) == cases[:count]


def test_what_no_process_has_shown_is_tried() -> None:
    """Before the first one ends nobody knows what a pair takes."""
    assert clock(1.0).fits(None)
    assert clock(1.0).cost is None


def test_asking_changes_nothing() -> None:
    """No time for all cases may still be enough for the suspects, in whatever order it is asked."""
    job = clock(41.0, costs=cost())

    assert [job.fits(cases) for cases in (None, ("c0",), None, ("c0",))] == [False, True, False, True]
    assert (job.steps, job.is_over) == (STEPS, False)


def test_a_job_that_ends_in_time_stays_whole() -> None:
    """Nothing is made smaller for fear."""
    job = clock(1000.0, costs=cost())

    assert job.make_fit(21.0, may_rename=True) == Fit()
    assert job.steps == STEPS


def test_a_job_is_made_to_fit_once() -> None:
    """Fewer rounds are enough here; a second process that takes longer changes nothing any more."""
    job = clock(90.0, costs=cost(rounds=30))

    assert job.make_fit(61.0, may_rename=True) == Fit(rounds=5)
    assert job.make_fit(1e6, may_rename=True) == Fit()


def test_what_the_whole_job_would_take_is_kept() -> None:
    """As it was before anything was made smaller; of a job that fits there is nothing to say."""
    small, whole = clock(60.0, costs=cost()), clock(1000.0, costs=cost())

    small.make_fit(21.0, may_rename=True)
    small.took("base", cost(round_s=0.1))
    small.make_fit(3.0, may_rename=True)
    whole.make_fit(21.0, may_rename=True)

    assert (small.whole_s, whole.whole_s) == (cost().expected_s, None)


def test_fewer_steps_are_looked_at_once_more() -> None:
    """They give the cases other names and costs: only with these it is known what is to be left out."""
    job = clock(30.0, costs=cost(round_s=2.0))

    first = job.make_fit(41.0, may_rename=True)
    job.took("base", cost(round_s=2.0))

    assert first.steps is not None
    assert job.steps == str(first.steps) < STEPS
    assert job.make_fit(41.0, may_rename=True) != Fit()


@pytest.mark.parametrize(("fixed_steps", "may_rename"), [(True, True), (False, False)])
def test_steps_that_are_given_or_counted_stay(fixed_steps: bool, may_rename: bool) -> None:
    """Cases are left out instead: what the user asked for, and what a run that counts has measured, keeps its name."""
    job = clock(30.0, fixed_steps=fixed_steps, costs=cost(round_s=2.0))

    made = job.make_fit(41.0, may_rename=may_rename)

    assert (made.steps, made.rounds, len(made.left_out)) == (None, 5, 1)
    assert job.steps == (None if fixed_steps else STEPS)


def test_the_last_process_of_a_side_tells_what_its_cases_take() -> None:
    """Of some cases it tells of these, and of what a process takes of its own: the machine may be slower by now."""
    job = clock(1000.0, costs=cost())
    job.took("base", cost(own_s=3.0, cases=1, round_s=4.0), whole=False)

    assert job.cost is not None
    assert job.cost.process_s() == 3.0 + 40.0 + 10.0
    assert job.told() == (
        "in all about 7 min 16 s where 4 more pairs of one case decide, at most the 16 min 40 s that --minutes leaves"
    )

    job.took("base", cost())
    assert job.cost.process_s() == 21.0


def test_what_is_left_is_told_in_words() -> None:
    """By both sides' mean, of the cases that are still run; nothing where it is not known or nothing is left."""
    job = clock(None, costs=cost())
    job.took("candidate", cost(own_s=3.0))

    assert job.left(None, pairs=2) == "2 more pairs of all cases: about 2 min left, then what looks slower or faster"
    assert job.left(("c0",), pairs=1) == "1 more pair of 1 case: about 25 s left"
    assert job.left(None, pairs=0) == clock(None).left(None, pairs=2) == ""
