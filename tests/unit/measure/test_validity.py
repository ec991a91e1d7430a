"""Whether figures may be believed: who else was there, whether it spilled, whether it was slowed down."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from pytest_sdbatch.devices.device import Processes
from pytest_sdbatch.devices.fake import FakeDevice
from pytest_sdbatch.grid.case import Case
from pytest_sdbatch.measure import validity
from pytest_sdbatch.records import Fact, MemoryRound, Outcome, Reading, Record, Round

CASE = Case(model="sd15", dtype="bf16", device="fake", height=512, width=512, steps=20, batch_size=1, batch_count=1)
GIB = 1 << 30
UNKNOWN = Reading(reason="not looked at")


def processes(foreign: int | None) -> Processes:
    """Return a list with so many others."""
    return Processes(own_bytes=UNKNOWN, foreign=UNKNOWN if foreign is None else Reading(value=foreign))


def record(batch_size: int, wall_s: float, *, peak: int | None = None, **fields: Any) -> Record:
    """Return a sound record of five equal rounds, with a memory round where *peak* is given."""
    made = None
    if peak is not None:
        made = MemoryRound(
            scope="device",
            before_context=UNKNOWN,
            context=UNKNOWN,
            before_load=UNKNOWN,
            loaded=UNKNOWN,
            peak=Reading(value=peak),
            after=UNKNOWN,
        )
    usual: dict[str, Any] = {
        "test": "t.py::test_x",
        "case": replace(CASE, batch_size=batch_size),
        "outcome": Outcome.OK,
        "rounds": (Round(wall_s=wall_s, cpu_s=0.0, call_s=(wall_s,)),) * 5,
        "memory_round": made,
    }
    return Record(**{**usual, **fields})


@pytest.mark.parametrize(
    ("seen", "most"), [((0, 0), 0), ((0, 2), 2), ((3, 1), 3), ((None, 1), 1), ((None, None), None), ((), None)]
)
def test_others_on_the_device_are_the_most_of_any_list(seen: tuple[int | None, ...], most: int | None) -> None:
    """Before or after counts alike; unknown only where no list tells."""
    assert validity.foreign_processes(*map(processes, seen)) == most


@pytest.mark.parametrize(
    ("where", "waits"),
    [
        ({"device_kind": "cpu", "threads": 2, "cores": 2}, True),
        ({"device_kind": "cpu", "threads": 2, "cores": 4}, False),
        ({"device_kind": "cpu", "threads": 2, "cores": None}, False),  # nothing is known, nothing is said
        ({"device_kind": "cuda", "threads": 2, "cores": 2}, False),  # the work is done elsewhere
    ],
)
def test_what_else_ran_on_the_cores_counts_where_they_do_the_work(where: dict[str, Fact], waits: bool) -> None:
    """One of the cores was used by something else all the time."""
    rounds = [Round(wall_s=1.0, cpu_s=1.0, call_s=(1.0,), machine_cpu_s=2.0)] * 3

    assert (validity.contention(rounds, where) is not None) is waits


def test_a_clock_that_stood_still_says_nothing_of_others() -> None:
    """A round of no duration is told elsewhere."""
    still = [Round(wall_s=0.0, cpu_s=1.0, call_s=(0.0,), machine_cpu_s=2.0)]

    assert validity.contention(still, {"device_kind": "cpu", "threads": 2, "cores": 2}) is None


def test_others_spoil_a_case_that_must_have_none() -> None:
    """Their number is said; none, or not known, is no doubt."""
    doubt = validity.crowded(1)

    assert doubt is not None
    assert doubt.outcome is Outcome.INVALID_ENVIRONMENT
    assert doubt.reason == "1 other process used the device (foreign_processes=fail)"
    assert validity.other_processes(3) == "3 other processes used the device"
    assert validity.crowded(0) is validity.crowded(None) is None


@pytest.mark.parametrize(
    ("limit", "peak", "wall_s", "spilled"),
    [
        (100 * GIB, 98 * GIB, 10.0, True),
        (100 * GIB, 96 * GIB, 10.0, False),
        (100 * GIB, 98 * GIB, 7.9, False),
        (None, 98 * GIB, 10.0, False),
    ],
)
def test_spilled_is_a_full_device_and_twice_the_time_where_drivers_do_that(
    limit: int | None, peak: int, wall_s: float, spilled: bool
) -> None:
    """97 % in use and more than twice the seconds per image of the next smaller size, both."""
    device = FakeDevice(spills_beyond_bytes=limit)

    doubt = validity.spilled(device, record(4, wall_s, peak=peak), 1.0)

    assert (doubt is not None) is spilled
    if doubt is not None:
        assert doubt.outcome is Outcome.SPILLED
        assert doubt.reason.startswith("98.0 GiB of 100 GiB in use, and an image takes ")
        assert "2.5 times as long as at the next smaller size" in doubt.reason
        assert "CUDA - Sysmem Fallback Policy" in doubt.reason


def test_without_a_memory_round_what_is_in_use_now_counts() -> None:
    """An allocator that keeps its memory shows the peak after the rounds too."""
    device = FakeDevice(model_bytes=990, spills_beyond_bytes=1000)

    assert validity.spilled(device, record(4, 9.0), 1.0) is not None
    assert validity.spilled(FakeDevice(model_bytes=9, spills_beyond_bytes=1000), record(4, 9.0), 1.0) is None
    assert validity.spilled(device, record(4, 9.0), None) is None


def test_the_next_smaller_size_is_that_of_the_same_group_and_sound() -> None:
    """Other tests, groups, larger sizes and disturbed records do not count."""
    like = record(8, 1.0)
    others = [
        record(1, 2.0),
        record(2, 3.0),
        record(4, 1.0, outcome=Outcome.THROTTLED),
        record(16, 1.0),
        record(4, 1.0, test="t.py::test_y"),
        record(4, 1.0, case=replace(CASE, batch_size=4, steps=9)),
    ]

    assert validity.smaller_s_per_image(others, like) == pytest.approx(1.5)
    assert validity.smaller_s_per_image(others[2:], like) is None
    assert validity.smaller_s_per_image([record(1, 0.0)], like) is None


def test_throttled_is_a_case_of_which_no_round_was_left_alone() -> None:
    """One round at full speed still tells the device's speed."""
    free, hot = (Round(wall_s=1.0, cpu_s=0.0, call_s=(1.0,), sw_thermal_s=seconds) for seconds in (0.0, 0.5))
    doubt = validity.throttled([hot, hot])

    assert doubt is not None
    assert doubt.outcome is Outcome.THROTTLED
    assert doubt.reason == "2 of 2 rounds slowed down by heat (the driver) for 1.00 s"
    assert validity.throttled([hot, free]) is validity.throttled([]) is None
