"""A learning study as data: its runs, what was read along them, and where it all ran. Plain, so that it can be kept."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from pytest_sdbatch.analysis.learning_curve import End, Evaluation
from pytest_sdbatch.analysis.noise_scale import NoiseScale, NoiseSplit
from pytest_sdbatch.records import Fact, Reading


class Part(StrEnum):
    """What a run is for."""

    TABLE = "table"  # a constant batch size to the target
    RAMP = "ramp"  # size and count raised on the way
    COUNT = "count"  # a constant size in short epochs of few batches
    SUBSET = "subset"  # a constant size on a part of the data
    TUNING = "tuning"  # another learning rate, on a seed of its own


class RatePolicy(StrEnum):
    """Where the learning rate of a batch size comes from."""

    FIXED = "fixed"  # the same for every size
    SQRT = "sqrt"  # in proportion to the root of the size
    LINEAR = "linear"  # in proportion to the size
    TUNED = "tuned"  # the best of several, for each size


class Clock(StrEnum):
    """What the seconds of steps are."""

    CPU = "cpu"  # of this process: others on the machine do not count
    WALL = "wall"


@dataclass(frozen=True, slots=True, kw_only=True)
class Quality:
    """What a trained network generates, judged by those that had no part in its training."""

    accuracy: Reading  # share of its images that the classifier takes for the class that was asked for
    frechet: Reading  # distance of their pixels from those of held-out images
    images: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RunKey:
    """What one run is told from all others of its study by."""

    part: Part
    data: str = "all"
    batch_size: int
    batch_count: int | None = None
    rate: float
    seed: int

    @property
    def name(self) -> str:
        """What it is called, in files and lines of progress."""
        count = "" if self.batch_count is None else f"x{self.batch_count}"
        return f"{self.part.value}-{self.data}-b{self.batch_size}{count}-r{self.rate:.3g}-seed{self.seed}"


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingRun:
    """One network, from its first step to its last."""

    part: Part
    data: str  # all, or the name of a subset
    batch_size: int  # that it began with
    batch_count: int | None  # batches of an epoch that it began with; None: all of the data
    rate: float  # learning rate that it began with
    seed: int
    end: End
    reason: str  # why it ended there
    evaluations: tuple[Evaluation, ...]  # the first one before any step
    quality: Quality | None = None
    joules: Reading = field(default_factory=lambda: Reading(reason="it was not read"))  # of the device, in all steps

    @property
    def name(self) -> str:
        """What it is called, in files and lines of progress."""
        return RunKey(
            part=self.part,
            data=self.data,
            batch_size=self.batch_size,
            batch_count=self.batch_count,
            rate=self.rate,
            seed=self.seed,
        ).name


@dataclass(frozen=True, slots=True, kw_only=True)
class NoiseReading:
    """The gradient noise scale of a network along its way."""

    examples: int  # that it had seen
    held_out_loss: float
    data: str  # the examples it was taken on: all, or the name of a subset
    plain: NoiseScale
    adam: NoiseScale | None  # in Adam's own measure of length; None: it had made no step
    cpu_s: float  # that taking it cost


@dataclass(frozen=True, slots=True, kw_only=True)
class TunedRate:
    """The learning rates that were tried at a batch size."""

    batch_size: int
    rate: float  # the best
    interior: bool  # whether both its neighbours were worse, so that it is an optimum and no end of the grid
    tried: tuple[tuple[float, float | None], ...]  # rate, and examples to the target: None where it was not reached
    largest_stable: float | None  # the largest rate tried that did not diverge, where a larger one did


@dataclass(frozen=True, slots=True, kw_only=True)
class StepMemory:
    """The peaks of memory in one step of a batch size, which was made for this alone and is not timed."""

    batch_size: int
    measure: str  # the field of Round that "peak memory" means on the device
    phase_bytes: Mapping[str, int] = field(default_factory=dict)  # by phase, in their order; empty: not known
    reason: str = ""  # why it is not

    @property
    def peak_bytes(self) -> int | None:
        """The highest of them."""
        return max(self.phase_bytes.values(), default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class DataFacts:
    """What was learned from."""

    name: str
    train_images: int
    held_out_images: int
    side: int
    channels: int
    classes: int
    parameters: int  # of the network

    def batches_of(self, size: int) -> int:
        """Return how many batches of *size* an epoch of all the images has, the last one as it comes."""
        return math.ceil(self.train_images / size)


@dataclass(frozen=True, slots=True, kw_only=True)
class Study:
    """Everything that was measured; all tables and verdicts follow from it."""

    started_at: str
    data: DataFacts
    target: float  # held-out loss
    policy: RatePolicy
    rates_from: str  # where the rates come from, in words
    tuned_here: bool  # whether they were tuned on this data and machine
    rates_fit: bool  # whether each size has one that was tuned for it, here or elsewhere
    most_examples: int  # that a run was given
    runs: tuple[TrainingRun, ...]
    noise: tuple[NoiseReading, ...] = ()
    split: NoiseSplit | None = None
    rates: tuple[TunedRate, ...] = ()
    memory: tuple[StepMemory, ...] = ()  # of the sizes of the table
    facts: Mapping[str, Fact]  # device, threads, clock, versions
    command: str = ""

    def of(self, part: Part, *, data: str = "all") -> tuple[TrainingRun, ...]:
        """Return the runs of *part* on *data*, in their order."""
        return tuple(run for run in self.runs if run.part is part and run.data == data)

    @property
    def clock(self) -> Clock:
        """What its seconds are."""
        told = self.facts.get("clock")
        if told in set(Clock):
            return Clock(told)
        return Clock.CPU if self.facts.get("device_kind") == "cpu" else Clock.WALL  # what went before the fact

    @property
    def sizes(self) -> tuple[int, ...]:
        """The batch sizes of the table, ascending."""
        return tuple(sorted({run.batch_size for run in self.of(Part.TABLE)}))

    @property
    def seeds(self) -> tuple[int, ...]:
        """The seeds of the table, ascending."""
        return tuple(sorted({run.seed for run in self.of(Part.TABLE)}))
