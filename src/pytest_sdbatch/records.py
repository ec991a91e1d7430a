"""What is kept: a round, a case's record, a run and where it ran. Pure data, no I/O, no torch."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from pytest_sdbatch.grid.case import Case

Fact = str | int | float | bool | None
PREDICTED = "predicted not to fit"  # how the reason of a size begins that was not tried
RAN_OUT, SPILLED = "ran out of memory", "spilled into the host's memory"  # how it ends: what a smaller size did
COUNT_INSIDE = "count_inside"  # the fact of a record that one call made all batches of a round


def short_name(test: str) -> str:
    """Return a node id without its file and classes; parameters of the test's own may hold anything."""
    name, bracket, own = test.partition("[")
    return name.rpartition("::")[2] + bracket + own


def full_name(test: str, case: Case) -> str:
    """Return the node id of *test* at *case*, as pytest makes it: parameters of the test's own come behind ours."""
    name, bracket, own = test.partition("[")
    return f"{name}[{case.id}-{own}" if bracket else f"{test}[{case.id}]"


class Outcome(StrEnum):
    """How a case ended. Every case that was started has exactly one."""

    OK = "ok"
    OOM = "oom"
    SPILLED = "spilled"
    OVER_LIMIT = "over-limit"
    INVALID_OUTPUT = "invalid-output"
    INVALID_ENVIRONMENT = "invalid-environment"
    THROTTLED = "throttled"
    CRASHED = "crashed"
    TIMEOUT = "timeout"
    DIVERGED = "diverged"
    SKIPPED = "skipped"

    @property
    def has_numbers(self) -> bool:
        """Whether the rounds of such a record may be shown as a speed."""
        return self in (Outcome.OK, Outcome.SPILLED, Outcome.THROTTLED)

    @property
    def did_not_fit(self) -> bool:
        """Whether the device's memory ended here, so that larger sizes need not be tried."""
        return self in (Outcome.OOM, Outcome.SPILLED)


NO_PIPELINE = "there is no pipeline whose stages could be timed"  # why a record has no stages: of a function, say


class StopReason(StrEnum):
    """Which rule ended the rounds of a case."""

    PRECISION = "precision"
    MAX_ROUNDS = "max-rounds"
    MAX_SECONDS = "max-seconds"
    FIXED_ROUNDS = "fixed-rounds"
    AGREED = "agreed"  # another process, with which this one trained, stopped
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """A figure, or the reason why it is not known. Never 0, -1, inf or NaN for unknown."""

    value: float | int | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """Readings of one round: ``Case.calls`` calls between two synchronizations."""

    wall_s: float
    cpu_s: float  # process CPU time, all threads
    call_s: tuple[float, ...]  # one per call; on a GPU they overlap
    stage_s: Mapping[str, float] | None = None  # seconds by stage, summed over the calls; None: see Record.stages
    # From here on: None where Environment.unknown says why, or Record.unread if it was known as the run began.
    machine_cpu_s: float | None = None  # of everything on the cores that this process may use; read for a CPU only
    run_delay_s: float | None = None  # the longest that a thread which worked was ready and had no core; CPU only
    peak_allocated_bytes: int | None = None  # of torch's allocator: live tensors
    peak_reserved_bytes: int | None = None  # and its segments
    host_peak_bytes: int | None = None  # resident high-water mark of the process during this round
    energy_joules: float | None = None  # of the device; None also where Record.energy_reason says why
    sw_power_cap_s: float | None = None  # for so long clocks were held down for the power limit: usual under load
    sw_thermal_s: float | None = None  # the same for heat, by the driver
    hw_thermal_s: float | None = None  # the same for heat, by the hardware
    hw_power_brake_s: float | None = None  # the same by a signal of the power supply
    sm_clock_mhz: int | None = None  # as the round ended
    temperature_celsius: int | None = None  # as the round ended

    @property
    def slowed(self) -> bool:
        """Whether heat or the power supply held the clocks down; a power limit alone does not count."""
        return any((self.sw_thermal_s, self.hw_thermal_s, self.hw_power_brake_s))


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryRound:
    """What the system told of memory in one more round, which was not timed. Bytes.

    ``scope`` says whose: ``device`` is what all processes hold on it, ``process`` what is resident of this one.
    """

    scope: str
    before_context: Reading  # before this process made its context on the device
    context: Reading  # and after that
    before_load: Reading  # before the pipeline was loaded
    loaded: Reading  # and after that
    peak: Reading  # the highest of the time line
    after: Reading  # when the outputs of the round were gone: the last of the time line
    time_s: tuple[float, ...] = ()  # of each point of the time line, since the round began
    used_bytes: tuple[int, ...] = ()  # at each point of the time line
    energy_updates: int | None = None  # how often the device's energy counter moved; None: it has none
    mark: str | None = None  # what makes the figures doubtful
    stage_peak_bytes: Mapping[str, int] | None = None  # by stage and "other", in the measure of Record.memory_source
    stage_peak_reason: str | None = None  # why that is not known
    limit_bytes: int | None = None  # in the same measure: what was in use before the round and what was free
    reserved_bytes: int | None = None  # the most that torch's allocator held for the tensors of this round
    unreleasable_bytes: int | None = None  # the most that lay unused between tensors and could not be given back
    address_space_bytes: int | None = None  # high-water mark of this process so far, where it is limited
    address_space_limit_bytes: int | None = None  # what the system grants it; None: no limit, or none is known


@dataclass(frozen=True, slots=True, kw_only=True)
class Compilation:
    """What a compiled variant cost before its first timed round."""

    seconds: float
    graphs: int
    recompiles_in_rounds: int  # must be 0 for the times to mean anything


@dataclass(frozen=True, slots=True, kw_only=True)
class Weights:
    """Where the values of the parameters came from; must match before two records are compared."""

    kind: str  # "random", "trained", or "own" for a pipeline the user's code made
    seed: int | None = None
    fill: str | None = None  # the rule that filled random weights, with its version
    source: str | None = None  # folder or hub id with revision, as the user wrote it


@dataclass(frozen=True, slots=True, kw_only=True)
class Derived:
    """What the pipeline made of the case: read from it, not asked for."""

    denoiser_batch: int | None = None  # 2b under classifier-free guidance for SD and SDXL
    denoiser_calls: int | None = None  # per pipeline call, as counted
    parameters: int | None = None
    vae_slicing: bool | None = None
    vae_tiling: bool | None = None
    force_upcast: bool | None = None
    safety_checker: bool | None = None
    watermarker: bool | None = None
    scheduler: str | None = None
    pipeline_class: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """What training adds to a record. What is not known is None: of a step of the test's own, and before a step."""

    effective_batch: int  # examples of an optimizer step: batch size x accumulation x processes
    accumulation: int = 1
    processes: int = 1
    images: int | None = None  # in the data; None: none was named
    repeats: int = 1  # of each image in an epoch
    data: str | None = None  # where the examples came from, in words
    objective: str | None = None  # what the loss is on: noise, velocity, flow matching
    trainable_parameters: int | None = None
    # Of the network that is trained, counted and not measured. What its peak has on top are activations.
    weight_bytes: int | None = None
    gradient_bytes: int | None = None
    optimizer_bytes: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One measured case of one test in one process."""

    test: str  # node id without the parameters
    case: Case
    outcome: Outcome
    reason: str | None = None  # why the outcome is not ok, or against what it regressed
    test_outcome: str = "passed"  # of the test: passed, failed, skipped; regressed: it failed by the gate alone
    rounds: Sequence[Round] = ()
    warmup_s: tuple[float, ...] = ()  # wall seconds of each warm-up call, in order; not counted
    cold_start_s: Reading = field(default_factory=Reading)  # the first call of this shape
    load_s: Reading = field(default_factory=Reading)
    model_bytes: Reading = field(default_factory=Reading)  # device memory after load (resident size on a CPU)
    memory_source: str | None = None  # which field of Round "peak memory" means here
    memory_reason: str | None = None  # why that field is not known; None where it is
    memory_round: MemoryRound | None = None
    memory_round_reason: str | None = None  # why there is no memory round, or why it ended early
    process_bytes: Reading = field(default_factory=Reading)  # of the device, held by this process after the rounds
    process_source: str | None = None  # how the driver's list told this process from others
    energy_reason: str | None = None  # why the rounds have no energy though the device counts it
    unread: Mapping[str, str] | None = None  # why rounds lack figures that were known as the run began, by figure
    foreign_processes: int | None = None  # others on the device before or after, at least so many; None: not known
    compilation: Compilation | None = None
    stopped: StopReason | None = None
    stages: str | None = None  # why there is no stage split; None when there is one
    output_check: str = "unchecked"  # "checked", or why it was not
    tracer: str | None = None  # a tracer or profiler that was active and paused
    parallel: int = 1  # processes that shared the machine by our own doing
    contention: str | None = None  # why the times include waiting for a core, in words; None: nothing says so
    must_match: Mapping[str, Fact] = field(default_factory=dict)  # beside the environment's: seed, prompts ...
    weights: Weights = field(default_factory=lambda: Weights(kind="own"))
    derived: Derived = field(default_factory=Derived)
    trained: Trained | None = None  # of a case that trains; None: it generates, or never began

    @property
    def key(self) -> tuple[str, str]:
        """What identifies a record in a run: the test and the case's id."""
        return self.test, self.case.id

    @property
    def predicted_not_to_fit(self) -> bool:
        """Whether it was not tried because memory would not have done, and not by a limit that was set."""
        reason = self.reason or ""
        return self.outcome is Outcome.SKIPPED and (reason.startswith(PREDICTED) or reason.endswith((RAN_OUT, SPILLED)))

    @property
    def untimed_s(self) -> float:
        """Seconds that the case took beside its rounds: warm-up, and the round that reads memory."""
        memory_s = self.memory_round.time_s[-1] if self.memory_round and self.memory_round.time_s else 0.0
        return math.fsum(self.warmup_s) + memory_s

    @property
    def count_inside(self) -> bool:
        """Whether one call of the application made all batches of a round."""
        return bool(self.must_match.get(COUNT_INSIDE))

    @property
    def peak_device_bytes(self) -> int | None:
        """The most that all processes held of the device in the memory round; None: not known, or a CPU."""
        made = self.memory_round
        return int(made.peak.value) if made is not None and made.scope == "device" and made.peak.value else None

    @property
    def joules_per_image(self) -> float | None:
        """Energy of the device over the rounds that know theirs, per image; None: not known, see energy_reason."""
        known = [reading.energy_joules for reading in self.rounds if reading.energy_joules is not None]
        return math.fsum(known) / len(known) / self.case.images if known else None

    @property
    def counts(self) -> bool:
        """Whether its figures may answer a question: it was measured well, whatever the gate said of them."""
        return self.outcome is Outcome.OK and self.test_outcome in ("passed", "regressed")

    @property
    def is_alone(self) -> bool:
        """Whether one process made it, with none of ours beside it that it would have to wait for."""
        return self.parallel == 1 and (self.trained is None or self.trained.processes == 1)

    @property
    def fit_for_baseline(self) -> bool:
        """Whether later runs may be compared with this record."""
        return self.outcome is Outcome.OK and self.test_outcome == "passed" and self.parallel == 1


OTHER_BENCHMARKS = "other_benchmarks"  # of Environment.shown: how many were seen on the machine meanwhile


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """Where a run happened, in the three classes of a comparison.

    ``must_match`` makes two records incomparable when it differs, ``drift`` weakens a comparison, ``shown`` is
    for the reader. Unknown is None; ``unknown`` holds the reason by key.
    """

    must_match: Mapping[str, Fact]
    drift: Mapping[str, Fact]
    shown: Mapping[str, Fact]
    unknown: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """The records of one process: the unit of replication for statistics."""

    id: str  # sortable: UTC time and a random part
    started_at: str  # ISO 8601, UTC
    environment: Environment
    options: Mapping[str, str]  # text of each option that was not left at its default; of a shard its plan, too
    records: tuple[Record, ...] = ()
    interrupted: bool = False
    resumed_from: str | None = None  # id of an interrupted run, some of whose records are among these
    plugin_version: str = ""
