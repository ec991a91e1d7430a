"""What is told of a study while it runs."""

from __future__ import annotations

import dataclasses
import time

import pytest
from studies import made_run

from pytest_sdbatch.training.progress import Progress

RUN = made_run(16, 0)


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Let time pass only where it is said to."""
    made = Clock()
    monkeypatch.setattr(time, "monotonic", made)
    return made


def test_the_time_left_is_that_of_the_runs_to_come(clock: Clock) -> None:
    """If they take as long as those that ran here; behind the last one nothing is left."""
    told: list[str] = []
    progress = Progress(told.append, 1000)
    progress.expect(3)
    for seconds in (30.0, 50.0, 10.0):
        progress.begin(0)
        clock.now += seconds
        progress.end(RUN)

    assert told[0].startswith(f"[1/3] {RUN.name}: reached, held-out loss ")
    assert told[0].endswith("s of steps; about 1 min left")
    assert told[1].endswith("s of steps; about 40 s left")
    assert told[2].endswith("s of steps")


def test_runs_that_had_ended_before_took_no_time_here(clock: Clock) -> None:
    """They count as done, and tell nothing of how long another one takes."""
    told: list[str] = []
    progress = Progress(told.append, 1000)
    progress.expect(3)
    progress.end(RUN)
    progress.begin(0)
    clock.now += 20.0
    progress.end(RUN)

    assert told[0].startswith("[1/3]")
    assert "left" not in told[0]
    assert told[1].endswith("about 20 s left")


def test_runs_before_the_table_are_told_without_a_place(clock: Clock) -> None:
    """How many it takes to find rates is not known; they say nothing of how long others take."""
    told: list[str] = []
    progress = Progress(told.append, 1000)
    progress.begin(0)
    clock.now += 500.0
    progress.end(RUN)
    progress.expect(2)
    progress.begin(0)
    clock.now += 5.0
    progress.end(RUN)

    assert told[0].startswith(f"{RUN.name}: ")
    assert told[1].startswith("[1/2] ")
    assert told[1].endswith("about 5 s left")


def test_the_rest_of_a_run_tells_nothing_of_whole_ones(clock: Clock) -> None:
    """One that goes on after an interruption takes a part of its time here."""
    told: list[str] = []
    progress = Progress(told.append, 1000)
    progress.expect(3)
    progress.begin(900)
    clock.now += 5.0
    progress.end(RUN)

    assert "left" not in told[0]


def test_the_pace_is_told_once_when_some_seconds_have_shown_it(clock: Clock) -> None:
    """So that one who gave a large folder can stop at once; what went before an interruption is not counted."""
    told: list[str] = []
    progress = Progress(told.append, 60_000)
    progress.expect(12)
    progress.begin(1000)
    look = dataclasses.replace(RUN.evaluations[-1], examples=1100)
    clock.now += 1.0
    progress.look(look)
    assert told == [], "too soon"
    clock.now += 9.0
    progress.look(look)
    progress.look(dataclasses.replace(look, examples=1200))

    assert told == [
        "at this pace a run takes 1 h 40 min for all its 60,000 examples; it is one of 12, and ends sooner at the "
        "target"
    ]


def test_the_pace_is_told_of_the_run_that_finds_a_target_and_again_of_the_others(clock: Clock) -> None:
    """The first has no target to end at, and may be of another size."""
    told: list[str] = []
    progress = Progress(told.append, 1000)
    for runs in (None, 4):
        if runs is not None:
            progress.expect(runs)
        progress.begin(0)
        clock.now += 10.0
        progress.look(dataclasses.replace(RUN.evaluations[-1], examples=100))

    assert told == [
        "at this pace a run takes 1 min 40 s for all its 1,000 examples",
        "at this pace a run takes 1 min 40 s for all its 1,000 examples; it is one of 4, and ends sooner at the target",
    ]
