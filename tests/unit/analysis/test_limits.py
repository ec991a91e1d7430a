"""Limits: which numbers of a record break them, and which it does not have."""

from __future__ import annotations

from dataclasses import replace

import pytest
from compared import GIB

from pytest_sdbatch.analysis.limits import broken_limits, has_to_be_measured_again, unjudged_limits, unknown_limits
from pytest_sdbatch.grid.case import Case
from pytest_sdbatch.grid.training import Training
from pytest_sdbatch.records import Outcome, Record, Round

CASE = Case(model="tiny-sd", dtype="fp32", device="cpu", height=64, width=64, steps=4, batch_size=4, batch_count=2)
ROUNDS = tuple(Round(wall_s=2.0, cpu_s=2.0, call_s=(1.0, 1.0), peak_allocated_bytes=3 * GIB) for _ in range(5))
RECORD = Record(
    test="test_it.py::test_it", case=CASE, outcome=Outcome.OK, rounds=ROUNDS, memory_source="peak_allocated_bytes"
)


@pytest.mark.parametrize(
    ("limits", "broken"),
    [
        ({"latency": 1.0, "peak_memory": 3.0 * GIB, "images_per_s": 4.0}, []),
        ({"latency": 0.9}, ["1.00 s per call, at most 900 ms"]),
        ({"peak_memory": 2.0 * GIB}, ["peak memory 3.00 GiB, at most 2.00 GiB"]),
        ({"images_per_s": 4.5}, ["4.00 images/s, at least 4.50 images/s"]),
    ],
)
def test_a_limit_is_broken_by_a_number_beyond_it(limits: dict[str, float], broken: list[str]) -> None:
    """Four images a call, two calls in two seconds: one second a call and four images a second. Equal is kept."""
    assert broken_limits(RECORD, limits) == broken


def test_a_limit_of_training_is_told_of_steps_and_examples() -> None:
    """A step is one round, whatever the batches of an epoch; accumulated, it has twice the examples."""
    trained = replace(RECORD, case=replace(CASE, steps=1, training=Training(accumulation=2)))

    assert broken_limits(trained, {"latency": 1.0, "images_per_s": 4.5}) == [
        "2.00 s per step, at most 1.00 s",
        "4.00 examples/s, at least 4.50 examples/s",
    ]


def test_times_that_tell_nothing_break_no_limit() -> None:
    """A device that was slowed down by heat says nothing of the code's speed, and all of its memory."""
    limits = {"latency": 0.1, "peak_memory": 1.0 * GIB}

    assert broken_limits(RECORD, limits, timed=False) == ["peak memory 3.00 GiB, at most 1.00 GiB"]


def test_times_beside_other_work_break_no_limit_and_are_told_apart() -> None:
    """They may be what the others took; memory is not. Threads that wait for each other are the code's own."""
    limits = {"latency": 0.9, "peak_memory": 1.0 * GIB, "images_per_s": 4.5}
    busy = replace(RECORD, contention="1 thread had 0.4 of 1 core free: something else was running")
    own = replace(RECORD, contention="2 threads share 1 core, and wait for each other")

    assert broken_limits(busy, limits) == ["peak memory 3.00 GiB, at most 1.00 GiB"]
    assert unjudged_limits(busy, limits) == [
        "1.00 s per call, at most 900 ms",
        "4.00 images/s, at least 4.50 images/s",
    ]
    assert has_to_be_measured_again(busy, {"latency": 0.9})
    assert not has_to_be_measured_again(busy, {"latency": 1.1})
    for judged in (RECORD, own):
        assert len(broken_limits(judged, limits)) == 3
        assert unjudged_limits(judged, limits) == []


def test_a_case_without_rounds_breaks_no_limit() -> None:
    """Its outcome says what is wrong with it."""
    assert broken_limits(replace(RECORD, rounds=(), outcome=Outcome.OOM), {"latency": 0.1}) == []


def test_a_limit_that_cannot_be_looked_at_is_told() -> None:
    """A figure that this device does not have is not a limit that was kept."""
    blind = replace(RECORD, memory_source=None, memory_reason="Windows has no such figure")

    assert unknown_limits(blind, {"peak_memory": 1.0}) == ["peak memory is not known: Windows has no such figure"]
    assert unknown_limits(RECORD, {"peak_memory": 1.0}) == []
    assert unknown_limits(blind, {"latency": 1.0}) == []
