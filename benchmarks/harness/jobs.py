"""The jobs that a gate is held against: simulated noise, and pairs of recorded processes of unchanged code."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol, TypeAlias

import numpy as np

from pytest_sdbatch.analysis.noise import noise_of

ROUNDS = 10
BATCH_SIZES = (1, 2, 4, 8)  # the cases of a group
HALF_SATURATION = 2.0  # a / c of t(b) = a + c b
DENOISER_SHARE = 0.8

Values: TypeAlias = "np.ndarray[Any, np.dtype[np.float64]]"
Run: TypeAlias = Mapping[str, Sequence[float]]
Design: TypeAlias = Mapping[str, tuple[str, int, int]]


class Job(Protocol):
    """Two versions of a program on a machine, where the candidate's cases take more or less."""

    @property
    def design(self) -> Design:
        """The cases."""

    def pairs(self, flipped: Sequence[bool], cases: Sequence[str] | None) -> list[tuple[Run, Run]]:
        """Return (base run, candidate run) of neighbours in time; *flipped*: the candidate ran first."""

    def apart(self, *, stored: int, new: int) -> tuple[list[Run], list[Run]]:
        """Return runs of the base that were stored, and new ones of the candidate."""


class Machine(Protocol):
    """Where jobs run."""

    @property
    def design(self) -> Design:
        """The cases of its jobs."""

    @property
    def between(self) -> float:
        """Stdev between its processes, in ln s."""

    @property
    def words(self) -> str:
        """What it is, after the name of a cell."""

    def job(self, number: int, growth: Values, seed: int) -> Job:
        """Return a job, the same every time; *growth* is the ln of what each case takes more in the candidate."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Noise:
    """What a machine adds to the true times. All in ln s, so 0.01 is 1 %."""

    between: float  # stdev of processes about their level; half of the variance is shared by all cases of a process
    within: float = 0.006  # of the rounds of a process
    drift: float | None = None  # stdev of a level that all processes share; None: half of *between*
    memory: float = 0.9  # autocorrelation of that level from a process to the next
    slow_clock: float = 0.01  # what a round costs more while the clock is low
    lowered: float = 0.05  # chance of a round to enter that state, and
    raised: float = 0.2  # to leave it
    spikes: float = 0.004  # rounds that something else disturbed
    speeds: float = (
        0.0  # how much slower a process is in half of the cases, as caches or a tuner had it; drawn for each
    )
    moved: float = 0.0  # how much slower the machine has become since the baseline was stored


@dataclass(frozen=True, slots=True, kw_only=True)
class Simulated:
    """A machine of noise."""

    noise: Noise
    cases: int = 12

    @property
    def design(self) -> Design:
        """Cases in groups of four batch sizes."""
        return design_of(self.cases)

    @property
    def between(self) -> float:
        """As it was asked for, and of the two speeds."""
        return math.hypot(self.noise.between, self.noise.speeds / 2)

    @property
    def words(self) -> str:
        """Cases and noise."""
        return f"{self.cases} case{'s' * (self.cases > 1)}, {self.noise.between:.2%} between processes"

    def job(self, number: int, growth: Values, seed: int) -> Job:
        """Return a job; jobs that differ in the slowdown alone have noise of their own."""
        random = np.random.default_rng([number, self.cases, round(self.noise.between * 1e5), seed])
        return SimulatedJob(random=random, noise=self.noise, design=self.design, growth=growth)


@dataclass(slots=True, kw_only=True)
class SimulatedJob:
    """A job on a machine of noise."""

    random: np.random.Generator
    noise: Noise
    design: Design
    growth: Values
    level: float | None = None  # that the machine drifted to; None: at any

    def pairs(self, flipped: Sequence[bool], cases: Sequence[str] | None) -> list[tuple[Run, Run]]:
        """Return pairs one after the other."""
        sides = [side for flip in flipped for side in ((True, False) if flip else (False, True))]
        runs = self._processes(sides, cases, self.growth)
        halves = zip(runs[::2], runs[1::2], strict=True)
        return [(two, one) if flip else (one, two) for flip, (one, two) in zip(flipped, halves, strict=True)]

    def apart(self, *, stored: int, new: int) -> tuple[list[Run], list[Run]]:
        """Return runs of the base, and of the candidate at another time on a machine that moved."""
        base = self._processes([False] * stored, None, self.growth)
        self.level = None
        return base, self._processes([True] * new, None, self.growth + math.log1p(self.noise.moved))

    def _processes(self, sides: Sequence[bool], cases: Sequence[str] | None, growth: Values) -> list[Run]:
        """Return the runs of processes one after the other; *sides*: whether each is of the candidate."""
        noise, random = self.noise, self.random
        level = float(random.standard_normal()) if self.level is None else self.level
        columns = [index for index, case in enumerate(self.design) if cases is None or case in cases]
        number, width = len(sides), len(self.design)
        levels = []
        for step in random.standard_normal(number):
            level = noise.memory * level + math.sqrt(1 - noise.memory**2) * step
            levels.append(level)
        self.level = level
        half = noise.between * math.sqrt(0.5)
        drift = noise.between / 2 if noise.drift is None else noise.drift
        shared = half * random.standard_normal(number) + drift * np.array(levels)
        slower = np.asarray(sides, dtype=float)[:, None] * growth
        logs = shared[:, None] + half * random.standard_normal((number, width)) + slower
        if noise.speeds:  # asked so that the draws of all others stay as they are
            logs += noise.speeds * (random.random((number, width)) < 1 / 2)
        seconds = np.exp(logs[:, columns, None] + self._rounds(number, len(columns)))
        names = [case for case in self.design if cases is None or case in cases]
        times = np.array([_true_s(self.design[case][1]) for case in names])
        return [dict(zip(names, run, strict=True)) for run in (seconds * times[:, None]).tolist()]

    def _rounds(self, number: int, width: int) -> Values:
        noise, random = self.noise, self.random
        logs = noise.within * random.standard_normal((number, width, ROUNDS))
        chance = random.random((ROUNDS, number, width))
        low = random.random((number, width)) < noise.lowered / (noise.lowered + noise.raised)
        for index in range(ROUNDS):
            low = np.where(low, chance[index] >= noise.raised, chance[index] < noise.lowered)
            logs[..., index] += noise.slow_clock * low
        struck = random.random(logs.shape) < noise.spikes
        return logs + struck * np.log(1 + random.uniform(0.3, 1.0, logs.shape))


def _true_s(batch_size: int) -> float:
    return HALF_SATURATION + batch_size


@dataclass(frozen=True, kw_only=True)
class Traced:
    """A machine that was recorded: processes of unchanged code, in time order."""

    runs: tuple[Run, ...]
    design: Design

    @cached_property
    def between(self) -> float:
        """Of the noisiest case."""
        return max(noise_of([run[case] for run in self.runs]).between for case in self.design)

    @property
    def words(self) -> str:
        """Cases, noise and processes."""
        cases = f"{len(self.design)} case{'s' * (len(self.design) > 1)}"
        return f"{cases}, up to {self.between:.2%} between {len(self.runs)} recorded processes"

    def job(self, number: int, growth: Values, seed: int) -> Job:
        """Return a job of some of the processes, chosen by *number*."""
        return TracedJob(random=np.random.default_rng([number, seed]), machine=self, growth=growth)


@dataclass(slots=True, kw_only=True)
class TracedJob:
    """A job of recorded processes: which was the candidate is drawn, and its times are multiplied."""

    random: np.random.Generator
    machine: Traced
    growth: Values
    left: list[int] = field(default_factory=list)  # the first of each pair of neighbours that was not drawn yet

    @property
    def design(self) -> Design:
        """The cases of the machine."""
        return self.machine.design

    def pairs(self, flipped: Sequence[bool], cases: Sequence[str] | None) -> list[tuple[Run, Run]]:
        """Return pairs of neighbours, none twice before all were drawn; which side ran first is drawn, not obeyed."""
        drawn = []
        for _ in flipped:
            if not self.left:
                self.left = self.random.permutation(len(self.machine.runs) - 1).tolist()
            at, sign = self.left.pop(), int(self.random.integers(2))
            base, candidate = self.machine.runs[at + sign], self.machine.runs[at + 1 - sign]
            drawn.append((_of(base, cases), _of(self._slowed(candidate), cases)))
        return drawn

    def apart(self, *, stored: int, new: int) -> tuple[list[Run], list[Run]]:
        """Return processes of a stretch of time; which of them were stored is drawn."""
        number = stored + new
        start = int(self.random.integers(len(self.machine.runs) - number + 1))
        runs = [self.machine.runs[start + at] for at in self.random.permutation(number)]
        return runs[:stored], [self._slowed(run) for run in runs[stored:]]

    def _slowed(self, run: Run) -> Run:
        factors = zip(self.design, np.exp(self.growth).tolist(), strict=True)
        return {case: [seconds * factor for seconds in run[case]] for case, factor in factors}


def _of(run: Run, cases: Sequence[str] | None) -> Run:
    return run if cases is None else {case: run[case] for case in cases}


def read_traces(path: Path, *, fewest: int) -> Traced:
    """Return the processes that ``sdbatch calibrate --keep-traces`` kept, with the cases that all of them measured.

    Raises:
        SystemExit: for fewer than *fewest* whole processes, or no case that all of them have.

    """
    from pytest_sdbatch.storage.sides import read_side_runs

    whole = [run for run in read_side_runs(path) if not run.interrupted]
    if len(whole) < fewest:
        raise SystemExit(f"{path}: {len(whole)} whole processes; {fewest} are needed")
    places = {
        name: measured.place
        for name, measured in whole[0].cases.items()
        if all(name in run.cases and len(run.cases[name].seconds) >= 5 for run in whole)
    }
    if not places:
        raise SystemExit(f"{path}: no case has 5 rounds in every process")
    return Traced(
        runs=tuple({name: tuple(run.cases[name].seconds) for name in places} for run in whole),
        design={name: (place.group, place.batch_size, place.batch_count) for name, place in places.items()},
    )


def design_of(cases: int) -> Design:
    """Return *cases* cases in groups of four batch sizes."""
    width = len(BATCH_SIZES)
    return {
        f"g{k // width}-b{BATCH_SIZES[k % width]}x1": (f"g{k // width}", BATCH_SIZES[k % width], 1)
        for k in range(cases)
    }


def growth_of(change: str, slowdown: float, design: Design) -> Values:
    """Return ln of what each case takes more: "case" (one of them); "all", "denoiser", ..."""
    weights = np.array([HALF_SATURATION / _true_s(batch_size) for _, batch_size, _ in design.values()])
    shares = {
        "case": np.arange(len(design)) == len(design) // 2,
        "denoiser": np.full(len(design), DENOISER_SHARE),
        "overhead": weights,
        "image": 1 - weights,
        "all": np.ones(len(design)),
    }
    return np.asarray(np.log1p(slowdown * shares[change]))
