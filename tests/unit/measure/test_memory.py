"""The memory round: what a thread reads while one more round runs, and what is said of it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_sdbatch.devices.cpu import CpuDevice
from pytest_sdbatch.devices.fake import FakeDevice
from pytest_sdbatch.measure.loop import measure
from pytest_sdbatch.measure.memory import MOST_POINTS, measure_memory, thinned
from pytest_sdbatch.measure.stopping import Rules
from pytest_sdbatch.records import Reading

MIB = 1 << 20
NEVER_S = 60.0  # between two readings of the thread: only those at the ends of the round are left


@dataclass(frozen=True)
class Work:
    """Calls of one round."""

    calls: tuple[Callable[[], object], ...]

    def prepare(self) -> tuple[Callable[[], object], ...]:
        """Return them."""
        return self.calls


@dataclass(frozen=True)
class Loaded:
    """What was read when a pipeline was loaded."""

    before_load: Reading
    after_load: Reading


def generate(device: FakeDevice, size: int) -> Work:
    """Return a round of one batch."""
    return Work((lambda: device.generate(size),))


def samplers() -> list[threading.Thread]:
    """Return the threads that read memory now."""
    return [thread for thread in threading.enumerate() if thread.name == "sdbatch-memory"]


def test_200_mib_for_100_ms_are_seen_on_a_real_cpu() -> None:
    """The time line rises by the allocation while it is held, falls after it, and its highest point is the peak."""

    def allocate() -> None:
        held = bytearray(b"\x01") * (200 * MIB)
        time.sleep(0.1)
        del held
        time.sleep(0.05)

    made, reason = measure_memory(Work((allocate,)), CpuDevice(), loading=None)

    start = made.used_bytes[0]
    high = [t for t, used in zip(made.time_s, made.used_bytes, strict=True) if used - start > 180 * MIB]
    assert reason is None
    assert made.scope == "process"
    assert made.peak.value == max(made.used_bytes)
    assert len(high) >= 2
    assert made.used_bytes[-1] - start < 100 * MIB
    assert made.time_s[0] < 0.05
    assert made.time_s[-1] >= 0.15


def test_figures_before_the_round_are_passed_on() -> None:
    """Context and loading are read once where they happen; the round adds its peak and what is left."""
    device = FakeDevice(model_bytes=1_000, bytes_per_image=10, context_bytes=300)
    device.sensors.neighbour_bytes = 5
    device.start()
    loading = Loaded(Reading(value=305), Reading(value=1_305))

    made, _ = measure_memory(generate(device, 4), device, loading=loading, every_s=NEVER_S)

    assert (made.before_context.value, made.context.value) == (5, 305)
    assert (made.before_load.value, made.loaded.value) == (305, 1_305)
    assert made.used_bytes == (1_305, 1_345, 1_345)
    assert made.peak.value == made.after.value == 1_345
    assert made.mark is None


def test_memory_that_earlier_cases_left_with_the_allocator_is_given_back_before() -> None:
    """A large case before does not show in the time line of a small one."""
    device = FakeDevice(model_bytes=1_000, bytes_per_image=10)
    device.generate(50)

    made, _ = measure_memory(generate(device, 1), device, loading=None, every_s=NEVER_S)

    assert made.peak.value == 1_010
    assert made.loaded == Reading(reason="the plugin did not load the pipeline")


def test_no_figure_of_the_round_lies_above_its_peak() -> None:
    """A process that grows while it is read, as a CPU's does by some KiB: the last reading counts too."""

    class Growing(FakeDevice):
        read = 0

        def in_use_bytes(self) -> Reading:
            self.read += 4096
            return Reading(value=self.read)

    device = Growing()

    made, _ = measure_memory(generate(device, 1), device, loading=None, every_s=NEVER_S)

    assert made.after.value == made.used_bytes[-1] == made.peak.value


def test_out_of_memory_is_a_reason_and_keeps_the_time_line() -> None:
    """What was read until then stays, and the memory of the calls before is free again."""
    device = FakeDevice(capacity_images=4, model_bytes=1_000, bytes_per_image=10)
    work = Work((lambda: device.generate(4), lambda: device.generate(5)))

    made, reason = measure_memory(work, device, loading=None, every_s=NEVER_S)

    assert reason == "in the memory round: OutOfMemory: fake device out of memory: 5 images where 4 fit"
    assert made.used_bytes == (1_000, 1_040, 1_000)
    assert made.after.value == 1_000
    assert samplers() == []


@pytest.mark.parametrize("error", [ValueError("x"), KeyboardInterrupt()])
def test_other_errors_pass_through_and_end_the_thread(error: BaseException) -> None:
    """A defect of the measured code is the caller's, and nothing goes on reading."""

    def fail() -> None:
        assert len(samplers()) == 1
        raise error

    with pytest.raises(type(error)):
        measure_memory(Work((fail,)), FakeDevice(), loading=None)
    assert samplers() == []


def test_no_thread_reads_memory_while_rounds_are_timed() -> None:
    """Neither in the warm-up nor in a round; in the memory round there is one."""
    device = FakeDevice()
    seen: list[int] = []

    def look() -> object:
        seen.append(len(samplers()))
        return device.generate(1)

    work = Work((look,))
    measure(work, device, Rules(rounds=3))
    timed = list(seen)
    measure_memory(work, device, loading=None)

    assert timed == [0] * 5
    assert seen[len(timed) :] == [1]


@pytest.mark.parametrize(
    ("in_use", "mark"),
    [
        (900 * MIB, "the driver tells of 900 MiB in use where torch's allocator alone held 1.00 GiB"),
        (1024 * MIB, None),
        (1536 * MIB, None),
        (3072 * MIB, "foreign or non-torch memory: 2.00 GiB beside the context and torch's allocator"),
    ],
)
def test_what_does_not_fit_to_torchs_allocator_is_marked(in_use: int, mark: str | None) -> None:
    """Less than the allocator held is another device's figure; much more is memory of others or of other libraries."""

    class Told(FakeDevice):
        def in_use_bytes(self) -> Reading:
            return Reading(value=in_use)

    device = Told(model_bytes=1024 * MIB)
    device.start()
    made, _ = measure_memory(generate(device, 0), device, loading=None, every_s=NEVER_S)

    assert (made.mark or "").startswith(mark or "")
    assert (made.mark is None) is (mark is None)


def test_memory_that_cannot_be_read_is_unknown_with_its_reason() -> None:
    """No point, no peak, and never 0."""

    class Silent(FakeDevice):
        def in_use_bytes(self) -> Reading:
            return Reading(reason="the GPU is lost")

    device = Silent()
    made, reason = measure_memory(generate(device, 1), device, loading=None, every_s=NEVER_S)

    assert reason is None
    assert (made.peak, made.time_s, made.used_bytes) == (Reading(reason="the GPU is lost"), (), ())


def test_moves_of_the_energy_counter_are_counted() -> None:
    """So that one knows how coarse it is; without a counter that is unknown."""
    counting, silent = FakeDevice(watts=100.0), FakeDevice()

    def call() -> None:
        counting.generate(1)
        time.sleep(0.05)

    work = Work((call,) * 3)

    assert measure_memory(work, counting, loading=None, every_s=0.005)[0].energy_updates == 3
    assert measure_memory(generate(silent, 1), silent, loading=None)[0].energy_updates is None


@given(
    used=st.lists(st.integers(0, 2**40), max_size=400),
    most=st.integers(3, 60),
)
def test_a_thinned_time_line_keeps_its_ends_and_its_peak(used: list[int], most: int) -> None:
    """At most so many points, all of them real, in order."""
    points = [(index / 64, value) for index, value in enumerate(used)]
    times, values = thinned(points, most)
    rounded: Any = [(round(time_s, 3), value) for time_s, value in points]

    assert len(times) == len(values) <= most
    assert list(times) == sorted(times)
    assert set(zip(times, values, strict=True)) <= set(rounded)
    assert max(values, default=None) == max(used, default=None)
    if points:
        assert (times[0], values[0], times[-1], values[-1]) == (*rounded[0], *rounded[-1])


def test_a_time_line_is_short_enough_for_a_file_of_ten_thousand_cases() -> None:
    """Points and their digits are what a file of many cases is made of."""
    times, values = thinned([(index * 0.0151234, 2**36 + index) for index in range(40_000)], MOST_POINTS)

    assert len(times) == MOST_POINTS
    assert len(str(list(times))) + len(str(list(values))) < 6_000
