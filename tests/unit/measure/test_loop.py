"""The loop on a virtual clock: what it reports is compared with the truth, exactly."""

from __future__ import annotations

import gc
import sys
import weakref
from collections.abc import Callable
from typing import Any

import pytest

from pytest_sdbatch.devices.cpu import CpuDevice
from pytest_sdbatch.devices.fake import FakeDevice
from pytest_sdbatch.measure.loop import Measurement, measure
from pytest_sdbatch.measure.stopping import Rules
from pytest_sdbatch.records import Outcome, Round, StopReason


class Work:
    """*count* calls of *call* a round; preparing takes *prepare_s* of the device's clock."""

    def __init__(self, device: FakeDevice, *, size: int = 1, count: int = 1, prepare_s: float = 0.0) -> None:
        self.device = device
        self.size = size
        self.count = count
        self.prepare_s = prepare_s
        self.prepared = 0

    def prepare(self) -> list[Callable[[], object]]:
        """Return the calls of a round."""
        self.prepared += 1
        self.device.submit(self.prepare_s)
        return [self.call] * self.count

    def call(self) -> object:
        """Make a batch."""
        return self.device.generate(self.size)


def exact(**settings: Any) -> FakeDevice:
    """Return a device whose seconds are sums of powers of two: no rounding in any comparison."""
    return FakeDevice(**{"seconds_per_call": 0.5, "seconds_per_image": 0.25, **settings})


def run(work: Any, device: Any, rules: Rules | None = None, **settings: Any) -> Measurement:
    """Measure *work* with three rounds unless *rules* say otherwise."""
    return measure(work, device, rules or Rules(rounds=3), **settings)


def test_what_is_reported_is_what_was_spent() -> None:
    """Three calls of 0.5 + 2 x 0.25 s are 3 s a round and 1 s each, wall and CPU."""
    device = exact()
    result = run(Work(device, size=2, count=3), device)

    assert [reading.wall_s for reading in result.rounds] == [3.0] * 3
    assert [reading.cpu_s for reading in result.rounds] == [3.0] * 3
    assert {reading.call_s for reading in result.rounds} == {(1.0, 1.0, 1.0)}
    assert result.stopped is StopReason.FIXED_ROUNDS


def test_preparation_is_outside_the_timed_region() -> None:
    """Work that preparing has started is awaited before the clock starts, also where it is queued."""
    for asynchronous in (False, True):
        device = exact(asynchronous=asynchronous)
        work = Work(device, prepare_s=8.0)
        result = run(work, device)

        assert [reading.wall_s for reading in result.rounds] == [0.75] * 3
        assert result.warmup_s == (0.75, 0.75)
        assert work.prepared == 5


def test_a_round_ends_when_the_queue_is_empty() -> None:
    """On an asynchronous device calls return at once; the round lasts until the work is done."""
    device = exact(asynchronous=True, launch_s=0.125)
    result = run(Work(device, size=2, count=4), device)
    reading = result.rounds[0]

    assert reading.wall_s == 0.125 + 4 * 1.0
    assert reading.call_s == (0.125,) * 4
    assert reading.cpu_s == 0.5


def test_noise_of_the_device_is_reported_round_by_round() -> None:
    """Rounds keep their order and their differences."""
    device = exact(noise=(1.0, 1.0, 1.0, 2.0, 4.0))
    result = run(Work(device, size=2), device)

    assert result.warmup_s == (1.0, 1.0)
    assert [reading.wall_s for reading in result.rounds] == [1.0, 2.0, 4.0]


def test_the_first_call_is_the_cold_start_and_is_not_counted() -> None:
    """Warm-up takes single calls until two agree; its first is reported apart."""
    device = exact(first_call_extra_s=16.0)
    result = run(Work(device, size=2, count=4), device)

    assert result.cold_start_s.value == 17.0
    assert result.warmup_s == (17.0, 1.0, 1.0)
    assert [reading.wall_s for reading in result.rounds] == [4.0] * 3


def test_a_warm_shape_is_not_warmed_up_again() -> None:
    """There is no cold start then, and the reason is given."""
    device = exact()
    result = run(Work(device), device, warm=True)

    assert result.warmup_s == ()
    assert result.cold_start_s.value is None
    assert result.cold_start_s.reason
    assert device.wall_s() == 3 * 0.75


def test_rounds_go_on_until_a_rule_stops_them() -> None:
    """Equal rounds are precise at five; noisy ones go on to the most."""
    steady, noisy = exact(), exact(noise=(1.0, 2.0, 3.0))

    assert run(Work(steady), steady, Rules()).stopped is StopReason.PRECISION
    result = run(Work(noisy), noisy, Rules(max_rounds=9, max_seconds=1e9))
    assert (len(result.rounds), result.stopped) == (9, StopReason.MAX_ROUNDS)


def test_peaks_are_those_of_the_round() -> None:
    """Each round starts from a reset peak, so that a large case before does not show."""
    device = exact(model_bytes=1_000, bytes_per_image=10)
    device.generate(50)
    result = run(Work(device, size=4), device)

    assert {reading.peak_allocated_bytes for reading in result.rounds} == {1_040}
    assert result.rounds[0].host_peak_bytes is None


def test_outputs_of_the_last_round_are_returned_in_the_order_of_calls() -> None:
    """One per call; those of earlier rounds are gone."""
    device = exact()
    numbers = iter(range(100))

    class Numbered(Work):
        def call(self) -> object:
            return next(numbers)

    result = run(Numbered(device, count=4), device, warm=True)

    assert result.outputs == (8, 9, 10, 11)


def test_outputs_of_a_round_are_dropped_before_the_next_is_prepared() -> None:
    """Two rounds' outputs are never alive together, else the peak would hold both."""
    device = exact()
    alive: weakref.WeakSet[Any] = weakref.WeakSet()
    most: list[int] = []

    class Output:
        pass

    class Tracked(Work):
        def prepare(self) -> list[Callable[[], object]]:
            most.append(len(alive))
            return super().prepare()

        def call(self) -> object:
            output = Output()
            alive.add(output)
            return output

    result = run(Tracked(device, count=2), device)

    assert most == [0] * len(most)
    assert len(alive) == len(result.outputs) == 2


def test_each_round_is_told_to_the_caller_as_it_ends() -> None:
    """A caller that keeps what it is told has the rounds before an error."""
    device = exact()
    kept: list[Round] = []

    class Failing(Work):
        def call(self) -> object:
            if len(kept) == 2:
                raise ValueError("third round")
            return super().call()

    with pytest.raises(ValueError, match="third round"):
        run(Failing(device), device, on_round=kept.append)

    assert [reading.wall_s for reading in kept] == [0.75, 0.75]


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(3), pytest.skip.Exception("no"), ValueError("x")])
def test_what_is_not_out_of_memory_passes_through_with_tracers_restored(error: BaseException) -> None:
    """Interrupts, skips and defects of the measured code are the caller's."""
    device = exact()

    class Raising(Work):
        def call(self) -> object:
            raise error

    def tracer(*_: object) -> None:
        return None

    before = sys.gettrace()
    sys.settrace(tracer)
    try:
        with pytest.raises(type(error)):
            run(Raising(device), device, warm=True)
        during = sys.gettrace()
    finally:
        sys.settrace(before)

    assert during is tracer


def test_an_active_tracer_is_named_and_paused() -> None:
    """Rounds run without it; the record can say that it was there."""
    device = exact()
    seen: list[object] = []

    class Looking(Work):
        def call(self) -> object:
            seen.append(sys.gettrace())
            return super().call()

    def tracer(*_: object) -> None:
        return None

    before = sys.gettrace()
    sys.settrace(tracer)
    try:
        result = run(Looking(device), device, warm=True)
    finally:
        sys.settrace(before)

    assert seen == [None] * 3
    assert "tracer" in (result.tracer or "")


def test_out_of_memory_is_a_result_with_the_rounds_before_it() -> None:
    """A third round that does not fit leaves two rounds, and says where it happened."""
    device = exact(capacity_images=4)

    class Growing(Work):
        def prepare(self) -> list[Callable[[], object]]:
            self.size = 5 if self.prepared == 2 else 1
            return super().prepare()

    result = run(Growing(device), device, warm=True)

    assert len(result.rounds) == 2
    assert result.stopped is StopReason.FAILED
    assert result.outputs == ()
    assert result.failure is not None
    assert result.failure.outcome is Outcome.OOM
    assert result.failure.reason == "in round 3: OutOfMemory: fake device out of memory: 5 images where 4 fit"


def test_out_of_memory_in_the_warm_up_is_a_result_without_rounds() -> None:
    """The first call of a size that does not fit ends the case; there is no cold start to report."""
    device = exact(capacity_images=4)
    result = run(Work(device, size=5), device)

    assert result.rounds == ()
    assert result.cold_start_s.value is None
    assert result.failure is not None
    assert result.failure.reason.startswith("in warm-up: ")


def test_memory_is_free_again_when_out_of_memory_is_returned() -> None:
    """Nothing that the failed round made is alive: neither its outputs nor what its frames held."""
    device = exact(capacity_images=4)
    alive: weakref.WeakSet[Any] = weakref.WeakSet()
    at_release: list[int] = []

    class Tensor:
        def __init__(self) -> None:
            self.itself = self  # a cycle, as traceback and frame form one
            alive.add(self)

    class Failing(Work):
        def call(self) -> object:
            activation = Tensor()
            if len(alive) > 2:
                self.device.generate(99)
            return activation

    class Watched(FakeDevice):
        def release_memory(self) -> None:
            super().release_memory()
            at_release.append(len(alive))

    device = Watched(capacity_images=4)
    gc.disable()  # a collection that happens by chance would hide a frame kept alive
    try:
        result = run(Failing(device, count=4), device, warm=True)
        left = len(alive)
    finally:
        gc.enable()

    assert result.failure is not None
    assert at_release == [0]
    assert left == 0


def test_a_long_message_is_cut_and_put_on_one_line() -> None:
    """Reasons stay readable in a table and small in a file."""
    device = exact()

    class Failing(Work):
        def call(self) -> object:
            raise MemoryError("line one\nline two " + "x" * 5_000)

    result = run(Failing(device), device)

    assert result.failure is not None
    assert "line one line two" in result.failure.reason
    assert len(result.failure.reason) < 500


def test_without_a_stage_clock_the_split_has_a_reason() -> None:
    """No split is None with the reason beside it."""
    device = exact()
    result = run(Work(device), device)

    assert result.rounds[0].stage_s is None
    assert result.stages


def test_a_real_cpu_is_measured() -> None:
    """On the real clock a sleep of 10 ms reads 10 ms, with a resident peak where the system has one."""
    import time

    class Sleep:
        def prepare(self) -> list[Callable[[], object]]:
            return [lambda: time.sleep(0.01)] * 2

    result = run(Sleep(), CpuDevice())
    reading = result.rounds[0]

    assert 0.02 <= reading.wall_s < 1
    assert reading.cpu_s < 0.02
    assert sum(reading.call_s) <= reading.wall_s
    assert reading.machine_cpu_s is not None
    if sys.platform == "linux":
        assert (reading.host_peak_bytes or 0) > 1 << 20


def test_the_caller_is_told_once_when_the_warm_up_is_over() -> None:
    """After the last warm-up call, before the first round is prepared; also where there is nothing to warm up."""
    for warm, calls_before in ((False, 2), (True, 0)):
        device = exact()
        work = Work(device)
        told: list[int] = []
        run(work, device, warm=warm, on_warm=lambda work=work, told=told: told.append(work.prepared))

        assert told == [calls_before]
