"""Whether a size fits what is free now, by the likeliest figure, or by the upper limit where a process would die."""

from __future__ import annotations

from dataclasses import replace

import pytest
import reported

from pytest_sdbatch.devices.fake import FakeDevice
from pytest_sdbatch.grid.case import Case
from pytest_sdbatch.measure.room import free_now, too_large
from pytest_sdbatch.records import Outcome, Record, Round

MIB = 2**20


def records(device: FakeDevice, *sizes: int) -> list[Record]:
    """Return what was measured on *device*."""
    found = []
    for size in sizes:
        device.reset_peaks()
        device.generate(size)
        peak = int(device.peak_allocated().value or 0)
        case = Case(model=None, dtype="fp32", device="fake", height=8, width=8, steps=1, batch_size=size, batch_count=1)
        rounds = (Round(wall_s=1, cpu_s=1, call_s=(1,), peak_allocated_bytes=peak),)
        found.append(
            Record(test="t", case=case, outcome=Outcome.OK, rounds=rounds, memory_source="peak_allocated_bytes")
        )
    return found


@pytest.mark.parametrize("capacity", [8, 9, 16])
def test_a_size_that_the_device_holds_is_tried_and_no_other(capacity: int) -> None:
    """Up to the last image; what is missing is said in the reason."""
    device = FakeDevice(bytes_per_image=100 * MIB, capacity_images=capacity)
    known = records(device, 1, 2, 4)

    assert too_large(known, capacity, device) is None
    said = too_large(known, capacity + 1, device)
    assert said is not None
    assert said.startswith("predicted not to fit: needs ")
    assert said.endswith(" free")


def test_where_nothing_is_known_a_size_is_tried() -> None:
    """One size gives no line, an unknown device no limit, and a failed case no peak."""
    device = FakeDevice(bytes_per_image=100 * MIB, capacity_images=4)
    known = records(device, 1, 2, 4)

    assert too_large(known[:1], 64, device) is None
    assert too_large([replace(one, outcome=Outcome.CRASHED) for one in known], 64, device) is None
    assert too_large(known, 64, FakeDevice(bytes_per_image=100 * MIB)) is None


def test_a_process_that_would_be_killed_is_given_the_upper_limit() -> None:
    """A device tells that its memory ran out and may be tried by the likeliest figure; a host kills."""

    class Host(FakeDevice):
        memory_scope = "process"

    given = {"bytes_per_image": 100 * MIB, "capacity_images": 16}
    device, host = FakeDevice(**given), Host(**given)  # type: ignore[arg-type]
    known = records(device, 1, 2, 4, 8)

    assert too_large(known, 16, device) is None
    assert too_large(known, 16, host) is not None


def test_what_is_free_is_named() -> None:
    """By the memory; one that does not tell is left out."""
    assert free_now(FakeDevice(bytes_per_image=MIB, capacity_images=3)) == {"memory": 3 * MIB}
    assert free_now(FakeDevice()) == {}


def test_where_a_driver_spills_there_must_be_room_for_what_is_kept() -> None:
    """Beyond its end the device is slower and says nothing; the likeliest figure alone would lead there."""
    measured = FakeDevice(model_bytes=0, bytes_per_image=100 * MIB, capacity_images=16)
    kept = replace(reported.memory_round(4, 1.0), stage_peak_bytes=None, unreleasable_bytes=400 * MIB)
    known = [replace(one, memory_round=kept) for one in records(measured, 2, 4)]
    spilling = FakeDevice(model_bytes=0, bytes_per_image=100 * MIB, capacity_images=16, spills_beyond_bytes=10**12)

    assert too_large(known, 16, measured) is None
    assert too_large(known, 8, spilling) is None  # 400 MiB more are kept for the 400 of 4 images: twice the tensors
    assert too_large(known, 9, spilling) is not None
