"""The loop that measures one case: warm-up, then rounds until a rule stops them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from pytest_sdbatch.devices.device import Device
from pytest_sdbatch.measure import tracers
from pytest_sdbatch.measure.boundaries import Watch
from pytest_sdbatch.measure.stages import StageClock
from pytest_sdbatch.measure.stopping import Rules, should_stop, warmup_done
from pytest_sdbatch.measure.workload import Calls
from pytest_sdbatch.records import NO_PIPELINE, Outcome, Reading, Round, StopReason

_LONGEST_REASON = 400


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Why a measurement ended early, in words: nothing here keeps memory alive."""

    outcome: Outcome
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """What was measured of one case."""

    rounds: tuple[Round, ...]
    warmup_s: tuple[float, ...]  # wall seconds of each warm-up call, in order
    cold_start_s: Reading  # of the first call of this shape
    stopped: StopReason
    outputs: tuple[object, ...] = ()  # of the last round, one per call; they hold the device's memory
    failure: Failure | None = None
    tracer: str | None = None  # names of tracers and profilers that were active, and paused for the rounds
    memory_reason: str | None = None  # why the device's figure of peak memory is not known; None where it is
    stages: str | None = None  # why there is no stage split; None when every round has one
    denoiser_batch: int | None = None
    denoiser_calls: int | None = None  # per call of the workload
    fault: str | None = None  # what went wrong with the device meanwhile
    unread: Mapping[str, str] = field(default_factory=dict)  # by figure, why a round lacks what a device may tell


@dataclass(slots=True)
class _Readings:
    """What was read so far: a failure half-way loses none of it."""

    watch: Watch
    rounds: list[Round] = field(default_factory=list)
    warmup_s: list[float] = field(default_factory=list)
    outputs: list[object] = field(default_factory=list)
    phase: str = "warm-up"
    tracer: str | None = None
    no_memory: str | None = None
    no_stages: str | None = None
    denoiser_batch: int | None = None
    denoiser_calls: int | None = None


def measure(
    workload: Calls,
    device: Device,
    rules: Rules,
    *,
    warm: bool = False,
    stages: StageClock | None = None,
    on_warm: Callable[[], None] | None = None,
    on_round: Callable[[Round], None] | None = None,
    tell: Callable[[str], None] | None = None,
    agree: Callable[[bool], bool] = bool,
) -> Measurement:
    """Warm *workload* up and time its rounds on *device*.

    Running out of memory is a result: it comes back as :class:`Failure` with the rounds before it, and its memory is
    free again. Everything else that a call raises, interrupts and skips included, passes through with tracers restored.

    Args:
        workload: gives the calls.
        device: where they run.
        rules: how long to warm up and when to stop.
        warm: whether calls of this shape ran in this process before; then there is no warm-up.
        stages: a clock that is attached to the pipeline, if there is one.
        on_warm: called between the warm-up and the first round.
        on_round: called after each round with what it read, so that a caller has the rounds before an error.
        tell: called before each warm-up call and each round with what comes, in words. None is called while timing.
        agree: takes whether to stop, and returns it, or what other processes that take part have decided.
    """
    __tracebackhide__ = True  # for pytest, when a call raises
    should_stop((1.0,) * 5, Rules())  # loads what the rule needs now: between rounds it would show up in their memory
    readings = _Readings(watch=Watch(device), no_stages=NO_PIPELINE if stages is None else None)
    reason: str | None = None
    try:
        if not warm:
            device.release_memory()  # peaks shall not depend on what was measured before
            _warm_up(workload, device, rules, tell, agree, readings.warmup_s)
        if on_warm is not None:
            on_warm()
        stopped = _run_rounds(workload, device, rules, stages, on_round, tell, agree, readings)
    except Exception as error:
        if not device.is_out_of_memory(error):
            raise
        stopped = StopReason.FAILED
        reason = f"in {readings.phase}: {described(error)}"
    if reason is not None:
        # After the except block: until it is left, the traceback keeps the frames, and with them the tensors, alive.
        readings.outputs.clear()
        device.release_memory()
    return _measured(readings, warm=warm, stopped=stopped, reason=reason)


def _measured(readings: _Readings, *, warm: bool, stopped: StopReason, reason: str | None) -> Measurement:
    """Return what was read; *reason*: why memory ran out, if it did."""
    return Measurement(
        rounds=tuple(readings.rounds),
        warmup_s=tuple(readings.warmup_s),
        cold_start_s=_cold_start(readings, warm=warm),
        stopped=stopped,
        outputs=tuple(readings.outputs),
        failure=Failure(outcome=Outcome.OOM, reason=reason) if reason is not None else None,
        tracer=readings.tracer,
        memory_reason=readings.no_memory,
        stages=readings.no_stages,
        denoiser_batch=readings.denoiser_batch,
        denoiser_calls=readings.denoiser_calls,
        fault=readings.watch.fault(),
        unread=readings.watch.unread,
    )


def _warm_up(
    workload: Calls,
    device: Device,
    rules: Rules,
    tell: Callable[[str], None] | None,
    agree: Callable[[bool], bool],
    seconds: list[float],
) -> None:
    __tracebackhide__ = True
    # Not paused for tracers: here coverage sees the measured code.
    while not agree(warmup_done(seconds, rules)):
        if tell is not None:
            tell(f"warm-up {len(seconds) + 1}")
        call = workload.prepare()[0]
        device.synchronize()
        start = device.wall_s()
        call()
        device.synchronize()
        seconds.append(device.wall_s() - start)


def _run_rounds(
    workload: Calls,
    device: Device,
    rules: Rules,
    stages: StageClock | None,
    on_round: Callable[[Round], None] | None,
    tell: Callable[[str], None] | None,
    agree: Callable[[bool], bool],
    readings: _Readings,
) -> StopReason:
    __tracebackhide__ = True
    stopped: StopReason | None = None
    while stopped is None:
        readings.phase = f"round {len(readings.rounds) + 1}"
        if tell is not None:
            tell(f"{readings.phase} of {rules.rounds or f'at most {rules.max_rounds}'}")
        readings.outputs.clear()  # before the next round, else its peak would hold both
        calls = workload.prepare()
        if stages is not None:
            stages.clear()
        before = readings.watch.read()
        with tracers.paused() as readings.tracer:
            timed = _time_round(calls, device, readings.outputs)
        told = readings.watch.fields(before, readings.watch.read())
        reading = replace(_read_round(timed, device, stages, readings), **told)
        readings.rounds.append(reading)
        if on_round is not None:
            on_round(reading)
        stopped = should_stop([one.wall_s for one in readings.rounds], rules)
        stopped = (stopped or StopReason.AGREED) if agree(stopped is not None) else None
    return stopped


@dataclass(slots=True)
class _Times:
    start_s: float
    ends_s: list[float]  # when each call returned
    end_s: float
    cpu_s: float


def _time_round(calls: Sequence[Callable[[], object]], device: Device, outputs: list[object]) -> _Times:
    __tracebackhide__ = True
    count = len(calls)
    outputs.extend([None] * count)
    ends_s = [0.0] * count
    clock = device.wall_s
    device.reset_peaks()
    device.synchronize()
    cpu_start_s = device.cpu_s()
    start_s = clock()
    for index, call in enumerate(calls):
        outputs[index] = call()
        ends_s[index] = clock()
    device.synchronize()
    end_s = clock()
    return _Times(start_s=start_s, ends_s=ends_s, end_s=end_s, cpu_s=device.cpu_s() - cpu_start_s)


def _read_round(timed: _Times, device: Device, stages: StageClock | None, readings: _Readings) -> Round:
    stage_s = None
    if stages is not None:
        split = stages.read()
        stage_s = split.seconds
        readings.no_stages = readings.no_stages or split.reason
        readings.denoiser_batch = stages.denoiser_batch
        calls, rest = divmod(stages.denoiser_calls, len(timed.ends_s))
        readings.denoiser_calls = calls if calls and not rest else None
    starts_s = [timed.start_s, *timed.ends_s]
    peaks = {
        "peak_allocated_bytes": device.peak_allocated(),
        "peak_reserved_bytes": device.peak_reserved(),
        "host_peak_bytes": device.host_peak(),
    }
    for name, reading in peaks.items():
        if reading.value is None and name != device.memory_source:
            readings.watch.unread.setdefault(name, str(reading.reason))
    readings.no_memory = readings.no_memory or peaks[device.memory_source].reason
    return Round(
        wall_s=timed.end_s - timed.start_s,
        cpu_s=timed.cpu_s,
        call_s=tuple(end - start for start, end in zip(starts_s, timed.ends_s, strict=False)),
        stage_s=stage_s,
        **{name: _bytes(reading) for name, reading in peaks.items()},
    )


def _bytes(reading: Reading) -> int | None:
    return None if reading.value is None else int(reading.value)


def _cold_start(readings: _Readings, *, warm: bool) -> Reading:
    if readings.warmup_s:
        return Reading(value=readings.warmup_s[0])
    return Reading(
        reason="this shape ran in this process before" if warm else "the first one of this shape did not end"
    )


def described(error: Exception) -> str:
    """Return class and message on one line of bounded length."""
    message = " ".join(str(error).split()) or "no message"
    if len(message) > _LONGEST_REASON:
        message = message[: _LONGEST_REASON - 3] + "..."
    return f"{type(error).__name__}: {message}"
